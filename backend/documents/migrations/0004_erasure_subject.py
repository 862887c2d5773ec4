from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("documents", "0003_chunk_correction")]

    operations = [
        migrations.AddConstraint(
            model_name="erasure",
            constraint=models.UniqueConstraint(fields=("subject", "subject_id"), name="erasure_subject"),
        ),
    ]
