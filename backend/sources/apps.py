from django.apps import AppConfig


class SourcesConfig(AppConfig):
    name = "backend.sources"
    label = "sources"

    def ready(self) -> None:
        # The models these import exist only now.
        from backend.documents.erasure import before_a_bot_goes
        from backend.sources.connectors import register
        from backend.sources.erasure import forget_sources_of
        from backend.sources.web.connector import WebConnector

        register(WebConnector())
        before_a_bot_goes.append(forget_sources_of)
