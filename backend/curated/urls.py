from django.urls import path

from backend.curated import views

urlpatterns = [
    path("bots/<uuid:bot_id>/questions/", views.PairListView.as_view(), name="questions"),
    path("questions/<uuid:question_id>/", views.PairView.as_view(), name="question"),
]
