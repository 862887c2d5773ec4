from django.apps import AppConfig


class McpServerConfig(AppConfig):
    name = "backend.mcp_server"
    label = "mcp_server"
