from django.urls import path

from backend.sharing import views

urlpatterns = [
    path("conversations/<uuid:conversation_id>/shares/", views.ShareListView.as_view(), name="shares"),
    path("conversations/<uuid:conversation_id>/export/", views.ExportView.as_view(), name="conversation-export"),
    path("shares/<uuid:share_id>/", views.ShareView.as_view(), name="share"),
    path("shared/<str:token>/", views.SharedView.as_view(), name="shared"),
]
