"""Plans, and one from the first start on. Change it in the admin, never here."""

from uuid import UUID

import django.db.models.deletion
from django.db import migrations, models

import backend.core.ids

STANDARD = UUID("0198c0de-0000-7000-8000-000000000011")


def fill(apps, schema_editor):
    apps.get_model("credits", "Plan").objects.create(
        id=STANDARD, name="Standard", is_default=True, bots=100, files=20_000, bytes=20 * 2**30, pages=1_000_000
    )


class Migration(migrations.Migration):
    dependencies = [("credits", "0003_price_book")]

    operations = [
        migrations.CreateModel(
            name="Plan",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=backend.core.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("name", models.CharField(max_length=60, unique=True)),
                ("is_default", models.BooleanField(default=False, editable=False)),
                ("bots", models.PositiveIntegerField(blank=True, null=True)),
                (
                    "files",
                    models.PositiveIntegerField(blank=True, help_text="Documents of all bots together", null=True),
                ),
                ("bytes", models.PositiveBigIntegerField(blank=True, help_text="Of their originals", null=True)),
                ("pages", models.PositiveIntegerField(blank=True, help_text="That were read from them", null=True)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("is_default", True)), fields=("is_default",), name="credits_plan_default"
                    )
                ]
            },
        ),
        migrations.AddField(
            model_name="account",
            name="plan",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="accounts",
                to="credits.plan",
            ),
        ),
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
