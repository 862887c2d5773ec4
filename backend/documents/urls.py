from django.urls import include, path

from backend.documents import reading_views, upload_views, usage_views, views

_of_document = [
    path("", views.DocumentView.as_view(), name="document"),
    path("why/", views.WhyView.as_view(), name="document-why"),
    path("retry/", views.RetryView.as_view(), name="document-retry"),
    path("cancel/", views.CancelView.as_view(), name="document-cancel"),
    path("approve/", views.ApproveView.as_view(), name="document-approve"),
    path("reindex/", views.ReindexView.as_view(), name="document-reindex"),
    path("file/", upload_views.OriginalView.as_view(), name="document-file"),
    path("versions/", reading_views.VersionListView.as_view(), name="document-versions"),
    path("report/", reading_views.ReportView.as_view(), name="document-report"),
    path("preview/", reading_views.PreviewView.as_view(), name="document-preview"),
    path("pages/", reading_views.PageListView.as_view(), name="document-pages"),
    path("pages/<positive:number>/", reading_views.PageView.as_view(), name="document-page"),
    path("chunks/", reading_views.ChunkListView.as_view(), name="document-chunks"),
    path("chunks/<uuid:chunk_id>/", reading_views.ChunkView.as_view(), name="document-chunk"),
    path("corrections/", reading_views.CorrectionListView.as_view(), name="document-corrections"),
    path("corrections/<uuid:correction_id>/", reading_views.CorrectionView.as_view(), name="document-correction"),
]

urlpatterns = [
    path("bots/<uuid:bot_id>/documents/", upload_views.DocumentListView.as_view(), name="documents"),
    path("bots/<uuid:bot_id>/documents/limits/", upload_views.LimitsView.as_view(), name="document-limits"),
    path("bots/<uuid:bot_id>/documents/events/", views.EventsView.as_view(), name="documents-events"),
    path("bots/<uuid:bot_id>/documents/retry/", views.RetryFailedView.as_view(), name="documents-retry"),
    path("bots/<uuid:bot_id>/documents/reindex/", views.ReindexBotView.as_view(), name="documents-reindex"),
    path("documents/<uuid:document_id>/", include(_of_document)),
    path("usage/", usage_views.UsageView.as_view(), name="usage"),
    path("erasures/", usage_views.ErasureListView.as_view(), name="erasures"),
]
