from django.apps import AppConfig


class CuratedConfig(AppConfig):
    name = "backend.curated"
    label = "curated"
