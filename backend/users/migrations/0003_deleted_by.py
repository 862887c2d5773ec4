from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("users", "0002_api_keys")]

    operations = [
        migrations.AddField(model_name="user", name="deleted_by", field=models.UUIDField(editable=False, null=True)),
    ]
