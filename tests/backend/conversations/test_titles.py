import pytest

from backend.conversations import services
from backend.conversations.models import Conversation
from backend.conversations.questions.titles import CHARS, title_of
from backend.users.models import User

LONG = "Explain how the tides of the northern sea depend on the moon and on the shape of the coast around it, please"


@pytest.mark.parametrize(
    ("question", "title"),
    [
        ("How far is the moon?", "How far is the moon?"),
        ("Why? I want to know.", "Why?"),
        ("  How far\n is the moon?  ", "How far is the moon?"),
        ("How far is the moon? I read that it moves away.", "How far is the moon?"),
        ("Hi! How far is the moon? Thanks.", "Hi! How far is the moon?"),
        ("The moon is far away. How far?", "The moon is far away"),
        ("What is version 3.11 about?", "What is version 3.11 about?"),
        ("# **Orbit** of the `moon`", "Orbit of the moon"),
        ("1. first\n2. second", "first second"),
        ("see [the page](https://example.com/x) and ![a picture](https://example.com/y)", "see the page and a picture"),
        ("<b>bold</b> words, a < b", "bold words, a < b"),
        ("snake_case stays, _this_ does not", "snake_case stays, this does not"),
        ("月球有多远？我想知道。", "月球有多远？"),
        ("这个问题比较长一些，月球到底有多远？我想知道。", "这个问题比较长一些，月球到底有多远？"),
        ("***", "***"),
        ("?", "?"),
        ("", ""),
    ],
)
def test_a_title_is_the_first_sentence_without_markup(question: str, title: str) -> None:
    assert title_of(question) == title


def test_a_long_one_is_cut_between_words() -> None:
    title = title_of(LONG)
    assert title == "Explain how the tides of the northern sea depend on the moon and on the shape…"
    assert len(title) <= CHARS


def test_one_long_word_is_cut_all_the_same() -> None:
    assert title_of("x" * 500) == "x" * (CHARS - 1) + "…"


@pytest.mark.parametrize(("given", "title"), [("", "How often?"), ("Mine", "Mine")])
def test_the_first_question_names_a_conversation_that_has_no_name(
    owner: User, conversation: Conversation, given: str, title: str
) -> None:
    services.rename_conversation(conversation=conversation, title=given)
    services.ask(user=owner, conversation_id=conversation.pk, text="# **How** often?\nI wonder.")
    conversation.refresh_from_db()
    assert conversation.title == title
