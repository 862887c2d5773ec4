"""A price for every model from the first start on. Change them in the admin, never here."""

from uuid import UUID

from django.db import migrations

PRICES = [
    # id, model, per answer, per 1000 tokens read, per 1000 tokens written
    ("0198c0de-0000-7000-8000-000000000001", "local:extractive", 1, 0, 0),
    ("0198c0de-0000-7000-8000-000000000002", "google:gemini-2.5-flash", 1, 1, 3),
    ("0198c0de-0000-7000-8000-000000000003", "*", 1, 1, 4),
]


def fill(apps, schema_editor):
    price = apps.get_model("credits", "Price")
    for id_, model, per_answer, input_per_1k, output_per_1k in PRICES:
        price.objects.create(
            id=UUID(id_), model=model, per_answer=per_answer, input_per_1k=input_per_1k, output_per_1k=output_per_1k
        )


class Migration(migrations.Migration):
    dependencies = [("credits", "0002_ledger_rules")]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
