"""Which sentences of an answer the sources support, and where."""

from typing import Any

import httpx
import pytest

from agent_service import contract
from backend.bots.models import BotVersion
from backend.conversations.answers import quoting
from backend.conversations.models import Conversation
from tests.backend.conversations.conftest import PAGE, QUOTE, Knowledge, ask
from tests.backend.conversations.scripted_agent import ScriptedAgent
from tests.backend.conversations.sse import events

TEXT = "Every 27 days [1]. It is cheese [2]. A rock [1]."


def sentence(start: int, end: int, *markers: int, **more: Any) -> dict[str, Any]:
    place = {"start": PAGE.index(QUOTE), "end": PAGE.index(QUOTE) + len(QUOTE)}
    evidence = [{"marker": marker, **place, "score": 0.9} for marker in markers]
    told = {"claim": True, "supported": bool(markers), "score": 0.9, "markers": list(markers), "evidence": evidence}
    return {"start": start, "end": end, **told, **more}


@pytest.fixture
def answered(client: httpx.Client, conversation: Conversation, knowledge: Knowledge, agent: ScriptedAgent) -> Any:
    """Three sentences; the marker of the second names nothing."""
    spans = [(TEXT.index(part), TEXT.index(part) + len(part)) for part in TEXT.replace(". ", ".\n").split("\n")]
    told = [sentence(*spans[0], 1), sentence(*spans[1]), sentence(*spans[2], 1)]
    agent.answer(TEXT, citations=[knowledge.citation()], sentences=told, withheld=0)
    return ask(client, conversation).json()


def test_sentences_are_where_the_stored_text_has_them(answered: Any) -> None:
    text = answered["text"]
    shown = [text[one["start"] : one["end"]] for one in answered["support"]]
    assert shown == ["Every 27 days [1].", "It is cheese .", "A rock [1]."]


def test_a_sentence_says_whether_the_sources_support_it(answered: Any) -> None:
    assert [(one["supported"], one["markers"]) for one in answered["support"]] == [
        (True, [1]), (False, []), (True, [1]),
    ]  # fmt: skip


def test_evidence_is_a_place_in_the_cited_page(answered: Any) -> None:
    (evidence,) = answered["support"][0]["evidence"]
    assert PAGE[evidence["start"] : evidence["end"]] == QUOTE


def test_a_sentence_whose_citations_do_not_hold_is_not_supported(
    client: httpx.Client, conversation: Conversation, knowledge: Knowledge, agent: ScriptedAgent
) -> None:
    wrong = knowledge.citation(quote="It was made of cheese.")
    agent.answer("Cheese [1].", citations=[wrong], sentences=[sentence(0, 11, 1)])
    (support,) = ask(client, conversation).json()["support"]
    assert (support["supported"], support["markers"], support["evidence"]) == (False, [], [])


@pytest.mark.parametrize("span", [(0, 99), (5, 5), (99, 120)])
def test_a_sentence_that_is_not_in_the_text_is_dropped(
    client: httpx.Client, conversation: Conversation, agent: ScriptedAgent, span: tuple[int, int]
) -> None:
    agent.answer("Short.", sentences=[sentence(*span) | {"end": max(span[1], 1)}])
    assert ask(client, conversation).json()["support"] == []


def test_the_stream_tells_support_and_the_text_that_it_counts_in(
    client: httpx.Client, conversation: Conversation, knowledge: Knowledge, agent: ScriptedAgent
) -> None:
    agent.answer(
        "Cheese [2]. Moon [1].", citations=[knowledge.citation()], sentences=[sentence(0, 11), sentence(12, 21, 1)]
    )
    named = dict(events(ask(client, conversation, headers={"accept": "text/event-stream"}).text))
    stored = client.get(f"answers/{named['meta']['answer_id']}/").json()
    assert (named["citations"]["text"], named["citations"]["support"]) == (stored["text"], stored["support"])


@pytest.mark.parametrize(("strictness", "check"), [("strict", "withhold"), ("prefer", "mark"), ("free", "mark")])
def test_only_a_strict_bot_withholds(
    client: httpx.Client, conversation: Conversation, agent: ScriptedAgent, strictness: str, check: str
) -> None:
    BotVersion.objects.update(strictness=strictness)
    ask(client, conversation)
    assert agent.chats[-1]["check"] == check


def test_a_place_moves_by_what_was_cut_before_it() -> None:
    text = quoting.trimmed("ab[1]cd[2]ef", keep=[2])
    assert (text.text, [text.moved(place) for place in (0, 2, 4, 5, 7, 12)]) == ("abcd[2]ef", [0, 2, 2, 2, 4, 9])


def test_evidence_outside_of_its_passage_is_dropped() -> None:
    told = contract.Sentence.model_validate(sentence(0, 3, 1, markers=[1]))
    (support,) = quoting.supported([told], quoting.trimmed("Yes"), [], [1])
    assert support["evidence"] == []
