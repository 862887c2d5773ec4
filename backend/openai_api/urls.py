"""Without a slash at the end, as OpenAI's clients ask."""

from django.urls import path

from backend.openai_api import views

urlpatterns = [
    path("chat/completions", views.CompletionsView.as_view(), name="openai-completions"),
    path("embeddings", views.EmbeddingsView.as_view(), name="openai-embeddings"),
    path("models", views.ModelListView.as_view(), name="openai-models"),
    path("models/<uuid:bot_id>", views.ModelView.as_view(), name="openai-model"),
    path("models/<path:name>", views.NoModelView.as_view()),
    path("<path:rest>", views.UnknownView.as_view()),
]
