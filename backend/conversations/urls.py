from django.urls import path

from backend.conversations import views

urlpatterns = [
    path("bots/<uuid:bot_id>/search/", views.SearchView.as_view(), name="bot-search"),
    path("conversations/", views.ConversationListView.as_view(), name="conversations"),
    path("conversations/<uuid:conversation_id>/", views.ConversationView.as_view(), name="conversation"),
    path("conversations/<uuid:conversation_id>/messages/", views.MessageListView.as_view(), name="messages"),
    path("messages/<uuid:message_id>/regenerate/", views.RegenerateView.as_view(), name="message-regenerate"),
    path("answers/<uuid:answer_id>/", views.AnswerView.as_view(), name="answer"),
    path("answers/<uuid:answer_id>/events/", views.AnswerEventsView.as_view(), name="answer-events"),
    path("answers/<uuid:answer_id>/stop/", views.AnswerStopView.as_view(), name="answer-stop"),
    path("answers/<uuid:answer_id>/citations/<positive:marker>/", views.CitationView.as_view(), name="answer-citation"),
]
