import importlib

from django.apps import AppConfig


class TelegramConfig(AppConfig):
    name = "backend.telegram"
    label = "telegram"

    def ready(self) -> None:
        # Only now are there models, which the connectors look at.
        importlib.import_module("backend.telegram.connectors").register_all()
