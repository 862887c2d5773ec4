"""A greeting is answered with the bot's own words and never with "nothing found"; whatever says more is a question."""

import httpx
import pytest

from backend.bots.models import Bot, BotVersion
from backend.conversations.answers.small_talk import Talk, talk_of
from backend.conversations.models import Answer, Conversation
from backend.credits import services as ledger
from backend.users.models import User
from tests.backend.conversations.conftest import ask
from tests.backend.conversations.scripted_agent import ScriptedAgent
from tests.backend.conversations.sse import events

SUGGESTED = ["How often does the moon orbit the earth?", "Who lives there?"]


@pytest.mark.parametrize(
    ("text", "talk"),
    [
        ("hi", Talk("en", "greeting")),
        ("  Hello, there!! 👋", Talk("en", "greeting")),
        ("Good morning. How are you?", Talk("en", "greeting")),
        ("Hi! Who are you?", Talk("en", "about")),
        ("What’s your name?", Talk("en", "about")),
        ("Thanks a lot, bye", Talk("en", "goodbye")),
        ("Thank you very much.", Talk("en", "thanks")),
        ("Guten Tag, wer sind Sie?", Talk("de", "about")),
        ("Merci beaucoup", Talk("fr", "thanks")),
        ("¿Quién eres?", Talk("es", "about")),
        ("Спасибо!", Talk("ru", "thanks")),
        ("السلام عليكم", Talk("ar", "greeting")),
        ("नमस्ते", Talk("hi", "greeting")),
        ("你好！", Talk("zh", "greeting")),
        ("ありがとうございます。", Talk("ja", "thanks")),
    ],
)
def test_what_is_nothing_but_small_talk(text: str, talk: Talk) -> None:
    assert talk_of(text) == talk


@pytest.mark.parametrize(
    "text",
    [
        "",
        "?!",
        "Hi, what is the refund policy?",
        "Who are the auditors?",
        "who are you voting for",
        "Thanks, and the revenue?",
        "what is it",
        "How does this work?",
        "who",
        "ok",
        "yes",
        "no",
        "help with my invoice",
        "hello " * 40,
    ],
)
def test_what_says_anything_else_is_a_question(text: str) -> None:
    assert talk_of(text) is None


def test_a_greeting_is_answered_in_the_owners_words_for_nothing(
    client: httpx.Client, conversation: Conversation, agent: ScriptedAgent, owner: User
) -> None:
    BotVersion.objects.update(greeting="Welcome to the moon!", suggested_questions=SUGGESTED)
    before = ledger.account_for(owner).available
    answer = ask(client, conversation, "Hello!").json()
    assert (answer["text"], answer["follow_ups"]) == ("Welcome to the moon!", SUGGESTED)
    assert (answer["finish_reason"], answer["citations"], answer["usage"]["charged"]) == ("small_talk", [], 0)
    assert (ledger.account_for(owner).available, ledger.account_for(owner).reserved) == (before, 0)
    assert (agent.retrievals, agent.chats) == ([], [])


def test_a_stream_tells_it_apart_as_well(client: httpx.Client, conversation: Conversation) -> None:
    BotVersion.objects.update(suggested_questions=SUGGESTED)
    url = f"conversations/{conversation.pk}/messages/"
    told = dict(events(client.post(url, json={"text": "thanks"}, headers={"accept": "text/event-stream"}).text))
    assert told["delta"] == {"text": "You are welcome."}
    assert told["follow_ups"] == {"questions": SUGGESTED}
    assert told["done"] == {"state": "done", "finish_reason": "small_talk"}


def test_who_it_is_says_its_name_and_its_description(client: httpx.Client, conversation: Conversation) -> None:
    Bot.objects.update(name="Luna {0}", description="It knows the moon.")
    BotVersion.objects.update(greeting="Welcome!")
    answer = ask(client, conversation, "Wer bist du?").json()
    assert answer["text"] == "Ich bin Luna {0} und beantworte Fragen aus meinen Dokumenten. It knows the moon."


def test_without_a_greeting_it_says_hello_and_who_it_is(client: httpx.Client, conversation: Conversation) -> None:
    assert (
        ask(client, conversation, "hi").json()["text"] == "Hello! I am Moon bot and answer questions from my documents."
    )


def test_it_is_no_question_that_the_bot_could_not_answer(
    client: httpx.Client, conversation: Conversation, owner: User
) -> None:
    ask(client, conversation, "hi")
    assert client.get(f"bots/{conversation.bot_id}/unanswered/").json()["results"] == []


@pytest.mark.parametrize(("model", "asked"), [("google:gemini-2.5-flash", True), ("local:extractive", False)])
def test_a_model_that_need_not_stay_with_the_documents_finds_its_own_words(
    client: httpx.Client, conversation: Conversation, agent: ScriptedAgent, model: str, asked: bool
) -> None:
    BotVersion.objects.update(strictness="prefer", model=model)
    ask(client, conversation, "hi")
    assert bool(agent.chats) == asked
    assert Answer.objects.get().finish_reason == ("stop" if asked else "small_talk")


def test_a_greeting_with_a_question_goes_the_ordinary_way(
    client: httpx.Client, conversation: Conversation, agent: ScriptedAgent
) -> None:
    answer = ask(client, conversation, "Hi, how often does it orbit?").json()
    assert (answer["finish_reason"], len(agent.chats)) == ("stop", 1)
