from django.urls import path

from backend.webhooks import views

urlpatterns = [
    path("webhooks/", views.EndpointListView.as_view(), name="webhooks"),
    path("webhooks/<uuid:endpoint_id>/", views.EndpointView.as_view(), name="webhook"),
    path("webhooks/<uuid:endpoint_id>/rotate/", views.RotateView.as_view(), name="webhook-rotate"),
    path("webhooks/<uuid:endpoint_id>/ping/", views.PingView.as_view(), name="webhook-ping"),
    path("webhooks/<uuid:endpoint_id>/deliveries/", views.DeliveryListView.as_view(), name="webhook-deliveries"),
    path(
        "webhooks/<uuid:endpoint_id>/deliveries/<uuid:delivery_id>/redeliver/",
        views.RedeliverView.as_view(),
        name="webhook-redeliver",
    ),
]
