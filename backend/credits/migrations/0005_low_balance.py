from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("credits", "0004_plans")]

    operations = [
        migrations.AddField(
            model_name="account", name="low_balance", field=models.PositiveBigIntegerField(null=True)
        ),
    ]
