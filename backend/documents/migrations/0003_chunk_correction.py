import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("documents", "0002_generations")]

    operations = [
        migrations.AddField(
            model_name="chunk",
            name="correction",
            field=models.ForeignKey(
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="chunks",
                to="documents.correction",
            ),
        ),
        migrations.AddIndex(
            model_name="chunk",
            index=models.Index(
                condition=models.Q(("correction__isnull", False)), fields=["correction"], name="chunk_correction"
            ),
        ),
    ]
