import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

import backend.core.ids


class Migration(migrations.Migration):
    dependencies = [("bots", "0001_initial")]

    operations = [
        migrations.AddField(model_name="bot", name="generation", field=models.PositiveIntegerField(default=0)),
        migrations.AddField(model_name="bot", name="deleted_by", field=models.UUIDField(editable=False, null=True)),
        migrations.CreateModel(
            name="IndexBuild",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=backend.core.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("embedding", models.CharField(max_length=120)),
                ("generation", models.PositiveIntegerField()),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("building", "Building"),
                            ("failed", "Failed"),
                            ("done", "Done"),
                            ("cancelled", "Cancelled"),
                        ],
                        default="building",
                        max_length=10,
                    ),
                ),
                ("done", models.PositiveIntegerField(default=0)),
                ("total", models.PositiveIntegerField(null=True)),
                ("sending", models.JSONField(default=list)),
                ("fence", models.PositiveBigIntegerField(default=0)),
                ("lease_until", models.DateTimeField(null=True)),
                ("wake_at", models.DateTimeField(null=True)),
                ("failures", models.PositiveSmallIntegerField(default=0)),
                ("error_code", models.CharField(blank=True, max_length=60)),
                ("error_message", models.CharField(blank=True, max_length=500)),
                ("error_hint", models.CharField(blank=True, max_length=500)),
                ("obsolete", models.PositiveIntegerField(null=True)),
                ("forget_at", models.DateTimeField(null=True)),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("updated_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                (
                    "bot",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="builds", to="bots.bot"
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("state", "building")),
                        fields=["state", "lease_until"],
                        name="index_build_due",
                    ),
                    models.Index(
                        condition=models.Q(("obsolete__isnull", False)),
                        fields=["forget_at"],
                        name="index_build_obsolete",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("bot", "generation"), name="index_build_generation"),
                    models.UniqueConstraint(
                        condition=models.Q(("state__in", ("building", "failed"))),
                        fields=("bot",),
                        name="index_build_unfinished",
                    ),
                ],
            },
        ),
    ]
