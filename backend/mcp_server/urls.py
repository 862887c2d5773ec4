from django.urls import path

from backend.mcp_server import views

urlpatterns = [
    path("", views.McpView.as_view(), name="mcp"),
]
