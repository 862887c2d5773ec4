from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("documents", "0001_initial"), ("bots", "0002_index_build")]

    operations = [
        migrations.AddField(
            model_name="documentversion", name="generation", field=models.PositiveIntegerField(default=0)
        ),
        migrations.AddField(model_name="chunk", name="rebuilt", field=models.PositiveIntegerField(null=True)),
    ]
