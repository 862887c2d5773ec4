from django.urls import path

from backend.gateway import views

urlpatterns = [
    path("gateway/providers/", views.ProviderListView.as_view(), name="gateway-providers"),
    path("gateway/models/", views.GatewayModelListView.as_view(), name="gateway-models"),
    path("gateway/models/<path:model>/", views.GatewayModelView.as_view(), name="gateway-model"),
    path("gateway/count-tokens/", views.CountTokensView.as_view(), name="gateway-count-tokens"),
    path("gateway/estimate-cost/", views.EstimateCostView.as_view(), name="gateway-estimate-cost"),
    path("gateway/chat/", views.GatewayChatView.as_view(), name="gateway-chat"),
]
