from django.apps import AppConfig


class SourcesConfig(AppConfig):
    name = "backend.sources"
    label = "sources"

    def ready(self) -> None:
        # The models these import exist only now.
        from backend.sources.connectors import register
        from backend.sources.web.connector import WebConnector

        register(WebConnector())
