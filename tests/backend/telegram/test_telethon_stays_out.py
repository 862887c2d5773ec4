"""Telethon takes 100 MB: a web process never loads it, and neither does a worker that reads no channels."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = """
import sys, django
django.setup()
import backend.config.urls, backend.telegram.admin, backend.telegram.connectors, backend.telegram.tasks
sys.exit("telethon" in sys.modules)
"""


def test_starting_does_not_import_it() -> None:
    environment = {"DJANGO_SETTINGS_MODULE": "backend.config.settings", "DATABASE_URL": "postgres://127.0.0.1/none"}
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, env=environment, check=False, timeout=120)
    assert done.returncode == 0
