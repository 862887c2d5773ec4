"""A price for answers that are passages as they are: no model is asked for them."""

from uuid import UUID

from django.db import migrations

PRICE = UUID("0198c0de-0000-7000-8000-000000000004")


def fill(apps, schema_editor):
    price = apps.get_model("credits", "Price")
    if not price.objects.filter(model="local:passages").exists():
        price.objects.create(id=PRICE, model="local:passages", per_answer=1, input_per_1k=0, output_per_1k=0)


class Migration(migrations.Migration):
    dependencies = [("credits", "0006_price_of_what_was_used")]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
