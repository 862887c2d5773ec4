from importlib import import_module

from django.apps import AppConfig


class UsersConfig(AppConfig):
    name = "backend.users"
    label = "users"

    def ready(self) -> None:
        import_module("backend.users.openapi")
