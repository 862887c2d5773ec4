from django.urls import path

from backend.conversations.rest import receipt_views, search_views, views

urlpatterns = [
    path("bots/<uuid:bot_id>/search/", search_views.SearchView.as_view(), name="bot-search"),
    path("search/", search_views.SearchAcrossView.as_view(), name="search"),
    path("conversations/", views.ConversationListView.as_view(), name="conversations"),
    path("conversations/<uuid:conversation_id>/", views.ConversationView.as_view(), name="conversation"),
    path("conversations/<uuid:conversation_id>/messages/", views.MessageListView.as_view(), name="messages"),
    path(
        "conversations/<uuid:conversation_id>/context/",
        receipt_views.ContextView.as_view(),
        name="conversation-context",
    ),
    path(
        "messages/<uuid:message_id>/images/<positive:position>/",
        receipt_views.ImageView.as_view(),
        name="message-image",
    ),
    path("answers/<uuid:answer_id>/receipt/", receipt_views.ReceiptView.as_view(), name="answer-receipt"),
    path("answers/<uuid:answer_id>/replay/", receipt_views.ReplayView.as_view(), name="answer-replay"),
    path("messages/<uuid:message_id>/regenerate/", views.RegenerateView.as_view(), name="message-regenerate"),
    path("answers/<uuid:answer_id>/", views.AnswerView.as_view(), name="answer"),
    path("answers/<uuid:answer_id>/events/", views.AnswerEventsView.as_view(), name="answer-events"),
    path("answers/<uuid:answer_id>/stop/", views.AnswerStopView.as_view(), name="answer-stop"),
    path("answers/<uuid:answer_id>/citations/<positive:marker>/", views.CitationView.as_view(), name="answer-citation"),
]
