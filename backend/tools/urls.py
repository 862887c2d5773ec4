from django.urls import path

from backend.tools import views

urlpatterns = [
    path("bots/<uuid:bot_id>/tools/", views.ToolListView.as_view(), name="bot-tools"),
    path("tools/<uuid:tool_id>/", views.ToolView.as_view(), name="tool"),
    path("tools/<uuid:tool_id>/offer/", views.OfferView.as_view(), name="tool-offer"),
    path("tools/<uuid:tool_id>/approve/", views.ApprovalView.as_view(), name="tool-approve"),
    path("tools/<uuid:tool_id>/try/", views.TrialView.as_view(), name="tool-try"),
]
