"""A misspelt word is found as one that the documents have; a right one never goes for another."""

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from agent_service.pipeline.lexical import asked, indexed
from agent_service.pipeline.retrieving import RESPELLED
from agent_service.pipeline.spelling import joining_meant, letters_of, near, respelled, word_meant
from tests.agent_service.calls import Caller, storing

FILING = (
    "The revenue of the company rose in the second quarter. Its headquarters are in Leeds. Rates and races are told."
)
WORDLLAMA = "local:wordllama:256"


def meant(question: str, text: str = FILING, languages: Sequence[str] = ("en",)) -> tuple[str, list[int]]:
    """Over an index of one text, and which terms were looked up."""
    held = indexed(text).counts
    looked_up: list[int] = []

    async def counts(terms: Sequence[int]) -> Mapping[int, int]:
        looked_up.extend(terms)
        return {term: 1 for term in terms if term in held}

    missing = frozenset(form for one in asked(question, languages) for form in one.forms if form not in held)
    return asyncio.run(respelled(question, languages, missing, counts)), looked_up


@pytest.mark.parametrize(
    ("question", "query"),
    [
        ("wht is teh reveneu", "what is the revenu"),
        ("Revneue in the second quarter?", "revenu in the second quarter"),
        ("Where are the hedquarters?", "where are the headquart"),
        ("Where are the headquuarters?", "where are the headquart"),
        ("Where are the headquorters?", "where are the headquart"),
    ],
)
def test_one_slip_is_seen_through(question: str, query: str) -> None:
    assert meant(question)[0] == query


@pytest.mark.parametrize(
    "question",
    [
        "What is the revenue?",
        "What is the avenue?",  # the first letter is nearly always right
        "What about ratos?",  # one letter for another makes another word of a short one
        "Who won?",  # near "own", but not by the first letter
        "What is rate5?",
        "",
        "收入是多少",
    ],
)
def test_what_may_be_right_stays_to_the_letter(question: str) -> None:
    assert meant(question)[0] == question


def test_nothing_is_looked_up_for_words_that_are_known() -> None:
    assert meant("What is the revenue of the company in the second quarter?") == (
        "What is the revenue of the company in the second quarter?",
        [],
    )


def test_a_question_of_unknown_words_is_about_something_else() -> None:
    question = "Reveneu, compnay, secnod, quater or headqarters?"
    assert meant(question) == (question, [])
    assert meant(question.replace(", secnod", ""))[1]


def test_of_two_words_the_one_by_the_likelier_slip_is_meant() -> None:
    assert word_meant("lihgt", {"light", "liht"}, "en") == "light"
    assert word_meant("company", {"compan"}, "en") == "compan"
    assert word_meant("rate", {"rates"}, "en") == "rate"
    assert joining_meant("teh", "en") == "the"
    assert [joining_meant(word, "en") for word in ("won", "thens")] == ["", ""]
    assert meant("Which lihgt?", "The light and the liht.")[0] == "which light"


def test_other_scripts_have_letters_of_their_own() -> None:
    assert {"ä", "ö", "a"} <= set(letters_of("de"))
    assert "ж" in letters_of("ru")
    assert "a" not in letters_of("ru")
    assert meant("Где находится комапния?", "Компания находится в Москве.", ["ru"])[0] == "где находится компан"


def test_all_slips_of_a_word_are_tried_and_the_word_itself_is_none() -> None:
    forms = near("abcdefgh", "xy")
    assert {"acbdefgh", "abxcdefgh", "abcdefghy", "acdefgh", "abcdefgx"} <= forms.keys()
    assert "abcdefgh" not in forms
    assert all(form.startswith("a") for form in forms)


def test_a_misspelt_question_finds_what_the_right_one_finds(keyless: Caller) -> None:
    texts = ["The quarterly revenue was 5 million.", "Dogs like bones.", "The office has a garden."]
    keyless.post("/embed_and_store", storing(*texts, embedding=WORDLLAMA))
    right, wrong = (
        keyless.post("/retrieve", {"embedding": WORDLLAMA, "query": text, "limit": 1}).json()
        for text in ("what is the revenu", "wht is teh reveneu")
    )
    assert wrong["hits"][0]["chunk"] == right["hits"][0]["chunk"]
    assert wrong["confidence"] == pytest.approx(RESPELLED * right["confidence"], abs=1e-4)
    assert (right["query"], right["rewritten"]) == ("what is the revenu", "none")
    assert (wrong["query"], wrong["rewritten"]) == ("what is the revenu", "words")


def test_where_no_word_is_near_the_question_stays(keyless: Caller) -> None:
    keyless.post("/embed_and_store", storing("The office has a garden.", embedding=WORDLLAMA))
    answer = keyless.post(
        "/retrieve", {"embedding": WORDLLAMA, "query": "who discovered penicillin", "limit": 1}
    ).json()
    assert (answer["query"], answer["rewritten"]) == ("who discovered penicillin", "none")
