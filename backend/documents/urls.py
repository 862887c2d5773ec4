from django.urls import path

from backend.documents import views

urlpatterns = [
    path("bots/<uuid:bot_id>/documents/", views.DocumentListView.as_view(), name="documents"),
    path("bots/<uuid:bot_id>/documents/limits/", views.LimitsView.as_view(), name="document-limits"),
    path("bots/<uuid:bot_id>/documents/reindex/", views.ReindexBotView.as_view(), name="documents-reindex"),
    path("documents/<uuid:document_id>/", views.DocumentView.as_view(), name="document"),
    path("documents/<uuid:document_id>/file/", views.OriginalView.as_view(), name="document-file"),
    path("documents/<uuid:document_id>/pages/", views.PageListView.as_view(), name="document-pages"),
    path("documents/<uuid:document_id>/pages/<positive:number>/", views.PageView.as_view(), name="document-page"),
    path("documents/<uuid:document_id>/chunks/", views.ChunkListView.as_view(), name="document-chunks"),
    path("documents/<uuid:document_id>/retry/", views.RetryView.as_view(), name="document-retry"),
    path("documents/<uuid:document_id>/reindex/", views.ReindexView.as_view(), name="document-reindex"),
]
