"""The web process: Django, and the turns it owns, which a shutdown lets finish."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backend.config.settings")
django.setup(set_prefix=False)

from backend.config.body_limit import with_body_limit  # noqa: E402 - what needs models can be imported only now
from backend.config.handler import Handler  # noqa: E402
from backend.config.lifespan import with_lifespan  # noqa: E402

application = with_lifespan(with_body_limit(Handler()))
