"""What becomes of the hits that the agent gives: filters, repetitions, reranking, diversity, neighbours."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any
from uuid import uuid4

import pytest
from asgiref.sync import async_to_sync

from agent_service import contract
from backend import agent_client
from backend.bots.models import Bot, BotVersion
from backend.bots.services import create_bot
from backend.conversations.passages import retrieval
from backend.conversations.passages.filtering import Filters
from backend.conversations.passages.retrieval import Retrieval
from backend.core.database import in_this_thread
from backend.documents.models import Chunk, Document, Page
from backend.sources.models import Item, Source
from backend.users.models import User
from tests.backend.conversations.library import Book, write
from tests.backend.conversations.scripted_agent import ScriptedAgent

Ask = Callable[..., Retrieval]

WORDS = ["moon", "sun", "rain", "wind", "snow", "fog", "ice", "hail"]
SENTENCES = [f"Passage {n} tells of the {word}." for n, word in enumerate(WORDS)]


@pytest.fixture
def bot(owner: User, agent: ScriptedAgent) -> Bot:
    bot = create_bot(owner=owner, name="Library")
    Bot.objects.filter(pk=bot.pk).update(embedding="local:wordllama:256")
    bot.refresh_from_db()
    return bot


@pytest.fixture
def ask(bot: Bot, owner: User) -> Ask:
    """`configuration` are fields of the bot's version."""

    async def retrieve(version: BotVersion, more: dict[str, Any]) -> Retrieval:
        async with agent_client.connect() as agent:
            return await retrieval.retrieve(
                agent, bot=bot, version=version, user=owner.pk, database=in_this_thread, **more
            )

    def asked(question: str = "What of the moon?", limit: int = 3, **more: Any) -> Retrieval:
        fields = {name: more.pop(name) for name in list(more) if hasattr(BotVersion, name)}
        return async_to_sync(retrieve)(BotVersion(**fields), {"question": question, "limit": limit, **more})

    return asked


def texts(found: Retrieval) -> list[str]:
    return [passage.text for passage in found.passages]


def check_offsets(found: Retrieval) -> None:
    for passage in found.passages:
        page = Page.objects.get(version=passage.version_id, number=passage.page)
        assert page.text[passage.start : passage.end] == passage.text


def test_the_passages_around_are_added_in_one_text(ask: Ask, bot: Bot, agent: ScriptedAgent) -> None:
    book = write(bot, [SENTENCES])
    agent.hits = book.hits(3)
    found = ask(neighbours=1)
    assert texts(found) == ["\n".join(SENTENCES[2:5])]
    assert found.passages[0].chunk_id == book.chunks[3].pk
    check_offsets(found)


def test_neighbours_stay_on_their_page(ask: Ask, bot: Bot, agent: ScriptedAgent) -> None:
    book = write(bot, [SENTENCES[:2], SENTENCES[2:4], SENTENCES[4:]])
    agent.hits = book.hits(2)
    found = ask(neighbours=3)
    assert texts(found) == ["\n".join(SENTENCES[2:4])]
    check_offsets(found)


def test_two_that_meet_become_one_and_another_takes_the_place(ask: Ask, bot: Bot, agent: ScriptedAgent) -> None:
    book = write(bot, [SENTENCES, ["Far away."], ["Farther away."]])
    agent.hits = book.hits(3, 4, 8, 9)
    found = ask(neighbours=1, limit=3)
    assert texts(found) == ["\n".join(SENTENCES[2:6]), "Far away.", "Farther away."]
    check_offsets(found)


def test_one_between_two_joins_them(ask: Ask, bot: Bot, agent: ScriptedAgent) -> None:
    book = write(bot, [SENTENCES])
    agent.hits = book.hits(1, 5, 3)
    found = ask(neighbours=1)
    assert texts(found) == ["\n".join(SENTENCES[0:7])]
    check_offsets(found)


def test_a_passage_that_is_switched_off_is_not_brought_back(ask: Ask, bot: Bot, agent: ScriptedAgent) -> None:
    book = write(bot, [SENTENCES])
    Chunk.objects.filter(pk=book.chunks[4].pk).update(enabled=False)
    agent.hits = book.hits(3)
    assert texts(ask(neighbours=2)) == ["\n".join(SENTENCES[1:4])]


def test_the_same_text_comes_once(ask: Ask, bot: Bot, agent: ScriptedAgent) -> None:
    text = "The quick brown fox jumps over the lazy dog while the cat looks on from the warm window sill."
    books = [write(bot, [[one]]) for one in (text, text.upper(), f"{text} Always.", "Something else entirely.")]
    agent.hits = [hit for n, book in enumerate(books) for hit in book.hits(best=0.9 - n / 10)]
    assert texts(ask()) == [text, "Something else entirely."]


def test_texts_that_differ_in_a_figure_both_come(ask: Ask, bot: Bot, agent: ScriptedAgent) -> None:
    words = " ".join(f"word{chr(97 + n)}" for n in range(26))
    text = f"The annual report says that the revenue was {{}} million. {words} {words[::-1]} {words.upper()} the end."
    books = [write(bot, [[text.format(figure)]]) for figure in (512, 611)]
    agent.hits = [hit for book in books for hit in book.hits()]
    assert len(ask().passages) == 2


def test_passages_of_a_page_that_lie_in_one_another_come_once(ask: Ask, bot: Bot, agent: ScriptedAgent) -> None:
    book = write(bot, [[*SENTENCES]])
    inside = book.chunks[1]
    Chunk.objects.filter(pk=inside.pk).update(start=0, text="\n".join(SENTENCES[:2]))
    agent.hits = book.hits(1, 0, 5)
    assert texts(ask()) == ["\n".join(SENTENCES[:2]), SENTENCES[5]]


def test_diversity_prefers_what_was_not_said(ask: Ask, bot: Bot, agent: ScriptedAgent) -> None:
    said = ["The moon orbits the earth in 27 days.", "The moon orbits the earth in 28 days.", "Tides follow the sea."]
    book = write(bot, [[text] for text in said])
    agent.hits = book.hits()
    assert texts(ask(limit=2)) == said[:2]
    assert texts(ask(limit=2, diversity=0.5)) == [said[0], said[2]]


def test_below_the_threshold_nothing_is_used(ask: Ask, bot: Bot, agent: ScriptedAgent) -> None:
    agent.hits = [*write(bot, [["Near."]]).hits(best=0.8), *write(bot, [["Far."]]).hits(best=0.2)]
    assert texts(ask(threshold=0.5)) == ["Near."]
    assert len(agent.retrievals) == 1


def test_a_reranker_changes_the_order_and_is_charged(ask: Ask, bot: Bot, agent: ScriptedAgent) -> None:
    agent.hits = write(bot, [[one] for one in SENTENCES]).hits()
    found = ask(rerank="google:gemini-2.5-flash", limit=2)
    assert texts(found) == [SENTENCES[7], SENTENCES[6]]
    assert [usage.input_tokens for usage in found.usage] == [40]
    assert "rerank_ms" in found.timings


def test_a_reranker_that_fails_is_done_without(ask: Ask, bot: Bot, agent: ScriptedAgent) -> None:
    agent.hits, agent.rerank_refused = write(bot, [[one] for one in SENTENCES]).hits(), True
    found = ask(rerank="lexical", limit=2)
    assert (texts(found), list(found.notes)) == (SENTENCES[:2], ["rerank_failed:overloaded"])


def test_where_nobody_pays_no_model_is_asked(ask: Ask, bot: Bot, agent: ScriptedAgent) -> None:
    agent.hits = write(bot, [[one] for one in SENTENCES]).hits()
    ask(rerank="google:gemini-2.5-flash", rewriting="model", asks_models=False, history=[said("Hello?")])
    assert (agent.reranked, agent.retrievals[0]["rewriting"]) == ([], "words")


def said(text: str) -> contract.Turn:
    return contract.Turn(role="user", text=text)


def test_the_conversation_goes_along_where_a_question_may_lean(ask: Ask, bot: Bot, agent: ScriptedAgent) -> None:
    ask(history=[said("x" * 5_000)])
    ask(history=[said("x")], rewriting="none")
    sent = [(request["rewriting"], [len(turn["text"]) for turn in request["history"]]) for request in agent.retrievals]
    assert sent == [("words", [2_000]), ("none", [])]


def dated(*years: int) -> list[datetime | None]:
    return [datetime(year, 6, 1, tzinfo=UTC) for year in years]


def test_as_many_as_there_are_within_a_date_range(ask: Ask, bot: Bot, agent: ScriptedAgent) -> None:
    """Though hundreds that fit better are of other dates."""
    years = [2001] * 300 + [2019] * 5
    book = write(bot, [[f"Post {n} has its own words {n}."] for n in range(305)], dated=dated(*years))
    agent.hits = book.hits()
    found = ask(limit=5, filters=Filters(dated_from=date(2019, 1, 1), dated_to=date(2019, 6, 1)))
    assert {passage.page for passage in found.passages} == {301, 302, 303, 304, 305}
    assert agent.retrievals[0]["documents"] == [str(book.document.pk)]


def test_a_heading_is_a_beginning(ask: Ask, bot: Bot, agent: ScriptedAgent) -> None:
    book = write(bot, [SENTENCES[:3]], headings=["Tax > Income", "Tax", "Intax"])
    agent.hits = book.hits()
    assert texts(ask(filters=Filters(heading="tax"))) == SENTENCES[:2]


def test_only_documents_of_a_source(ask: Ask, bot: Bot, agent: ScriptedAgent) -> None:
    one, _other = write(bot, [["Of the source."]]), write(bot, [["Of nobody."]])
    source = Source.objects.create(bot=bot, kind="page", title="S", identity="i" * 64, configuration={})
    Item.objects.create(source=source, external_id="1", document=one.document)
    ask(filters=Filters(bot.owner_id, sources=[source.pk]))
    assert agent.retrievals[0]["documents"] == [str(one.document.pk)]


@pytest.mark.parametrize("whose", ["nobody's", "a stranger's"])
def test_a_foreign_document_finds_nothing_as_one_that_never_was(
    ask: Ask, bot: Bot, agent: ScriptedAgent, stranger: User, whose: str
) -> None:
    foreign = write(create_bot(owner=stranger, name="Theirs"), [["Secret."]])
    agent.hits = foreign.hits()
    found = ask(filters=Filters(documents=[foreign.document.pk if whose == "a stranger's" else uuid4()]))
    assert (found.passages, list(found.notes), agent.retrievals) == ([], ["filters_leave_nothing"], [])


def test_what_may_not_be_shown_is_made_up_for(ask: Ask, bot: Bot, agent: ScriptedAgent) -> None:
    """A hundred hits of a document that is switched off come first."""
    off = write(bot, [[f"Off {n}, word{n}."] for n in range(100)])
    on = write(bot, [[f"On {n}, word{n}."] for n in range(3)])
    Document.objects.filter(pk=off.document.pk).update(enabled=False)
    agent.hits = [*off.hits(best=0.9), *on.hits(best=0.5)]
    assert len(ask(limit=3).passages) == 3
    assert [request["limit"] for request in agent.retrievals] == [9, 36, 144]


def test_the_agent_is_asked_once_where_that_is_enough(ask: Ask, bot: Bot, agent: ScriptedAgent) -> None:
    agent.hits = write(bot, [[one] for one in SENTENCES]).hits()
    ask(limit=3)
    ask(limit=20)
    assert len(agent.retrievals) == 2


def drawn(ask: Ask, agent: ScriptedAgent, question: str) -> tuple[Any, list[str]]:
    found = ask(question, draw_filters=True)
    return agent.retrievals[-1]["documents"], list(found.notes)


def test_a_title_in_the_question_narrows_it(ask: Ask, bot: Bot, agent: ScriptedAgent) -> None:
    report, _ = write(bot, [["A."]], title="Amcor_Annual-Report.pdf"), write(bot, [["B."]], title="Other")
    agent.hits = report.hits()
    assert drawn(ask, agent, "What does the Amcor annual report say?") == ([str(report.document.pk)], ["drawn_title"])


def test_a_year_in_the_question_narrows_it(ask: Ask, bot: Bot, agent: ScriptedAgent) -> None:
    posts = write(bot, [["A."]], dated=dated(2019), title="Posts")
    report, _ = write(bot, [["C."]], title="Report 2019"), write(bot, [["B."]], dated=dated(2018), title="More")
    agent.hits = posts.hits()
    documents, notes = drawn(ask, agent, "What happened in 2019?")
    assert (set(documents), notes) == ({str(posts.document.pk), str(report.document.pk)}, ["drawn_date"])


def test_what_is_drawn_and_leaves_nothing_is_dropped(ask: Ask, bot: Bot, agent: ScriptedAgent) -> None:
    agent.hits = write(bot, [["A."]], dated=dated(2018)).hits()
    assert drawn(ask, agent, "What happened in 2019?") == (None, ["drawn_date_dropped"])


def test_what_is_drawn_and_finds_nothing_is_dropped(ask: Ask, bot: Bot, agent: ScriptedAgent) -> None:
    """The rows have the document, the agent knows nothing of it yet."""
    other = write(bot, [["Of that."]], title="Other")
    write(bot, [["A."]], dated=dated(2019))
    agent.hits = other.hits()
    real = agent.hits

    class Narrow(list[Any]):
        def __getitem__(self, which: Any) -> Any:
            return [] if agent.retrievals[-1]["documents"] else real[which]

    agent.hits = Narrow()
    documents, notes = drawn(ask, agent, "What happened in 2019?")
    assert (documents, notes) == (None, ["drawn_filters_dropped"])


def test_numbers_that_are_no_years_draw_nothing(ask: Ask, bot: Bot, agent: ScriptedAgent) -> None:
    write(bot, [["A."]], dated=dated(2019))
    assert drawn(ask, agent, "Why 20190 or 1.2019 or 12019?") == (None, [])


def test_a_document_keeps_its_own_passages(bot: Bot) -> None:
    book: Book = write(bot, [SENTENCES[:2], SENTENCES[2:]])
    for chunk in book.chunks:
        page = Page.objects.get(version=book.version, number=chunk.page)
        assert page.text[chunk.start : chunk.end] == chunk.text
