import django.db.models.fields.json
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("documents", "0005_turns")]

    operations = [
        migrations.AddIndex(
            model_name="documentversion",
            index=models.Index(django.db.models.fields.json.KT("report__text_sha256"), name="document_version_text"),
        ),
    ]
