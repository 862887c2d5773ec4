from django.urls import path

from backend.sources import views

urlpatterns = [
    path("bots/<uuid:bot_id>/sources/", views.SourceListView.as_view(), name="sources"),
    path("bots/<uuid:bot_id>/sources/limits/", views.SourceLimitsView.as_view(), name="source-limits"),
    path("sources/<uuid:source_id>/", views.SourceView.as_view(), name="source"),
    path("sources/<uuid:source_id>/sync/", views.SyncView.as_view(), name="source-sync"),
    path("sources/<uuid:source_id>/resolve/", views.ResolveView.as_view(), name="source-resolve"),
    path("sources/<uuid:source_id>/items/", views.ItemListView.as_view(), name="source-items"),
    path(
        "sources/<uuid:source_id>/items/<uuid:item_id>/resolve/",
        views.ItemResolveView.as_view(),
        name="source-item-resolve",
    ),
]
