from django.apps import AppConfig


class BotsConfig(AppConfig):
    name = "backend.bots"
    label = "bots"
