from django.urls import path

from backend.feedback import views

urlpatterns = [
    path("answers/<uuid:answer_id>/feedback/", views.FeedbackView.as_view(), name="answer-feedback"),
    path(
        "conversations/<uuid:conversation_id>/feedback/",
        views.ConversationFeedbackView.as_view(),
        name="conversation-feedback",
    ),
    path("bots/<uuid:bot_id>/feedback/", views.ReceivedView.as_view(), name="bot-feedback"),
    path(
        "bots/<uuid:bot_id>/feedback/<uuid:feedback_id>/receipt/", views.ReceiptView.as_view(), name="feedback-receipt"
    ),
    path("bots/<uuid:bot_id>/unanswered/", views.UnansweredView.as_view(), name="bot-unanswered"),
]
