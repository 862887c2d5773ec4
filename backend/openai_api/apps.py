from django.apps import AppConfig


class OpenAIApiConfig(AppConfig):
    name = "backend.openai_api"
    label = "openai_api"
