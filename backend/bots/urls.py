from django.urls import path

from backend.bots import views

urlpatterns = [
    path("agents/", views.AgentListView.as_view(), name="agents"),
    path("bots/", views.BotListView.as_view(), name="bots"),
    path("bots/<uuid:bot_id>/", views.BotView.as_view(), name="bot"),
    path("bots/<uuid:bot_id>/index/", views.IndexView.as_view(), name="bot-index"),
    path("bots/<uuid:bot_id>/versions/", views.BotVersionListView.as_view(), name="bot-versions"),
    path("bots/<uuid:bot_id>/versions/<positive:number>/", views.BotVersionView.as_view(), name="bot-version"),
    path(
        "bots/<uuid:bot_id>/versions/<positive:number>/restore/",
        views.BotVersionRestoreView.as_view(),
        name="bot-version-restore",
    ),
]
