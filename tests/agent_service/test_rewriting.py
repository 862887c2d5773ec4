"""A question that leans on what was said before it is made to stand alone; another is left as it is."""

import pytest

from agent_service.contract import Turn
from agent_service.errors import UpstreamError
from agent_service.pipeline.rewriting import by_words, leans
from agent_service.ports import Piece
from tests.agent_service.calls import Caller, storing
from tests.agent_service.conftest import StartAgent
from tests.agent_service.doubles import ScriptedChat, ScriptedEmbedder, follows, says

WORDLLAMA = "local:wordllama:256"
FAUST = [
    Turn(role="user", text="Who wrote Faust?"),
    Turn(role="assistant", text="Faust was written by Johann Wolfgang von Goethe [1]."),
]
LEANING = [
    "And in 2019?", "Why?", "When did he die?", "What about Germany?", "Where is it located?", "Tell me more",
    "How many awards did she win in 1999?", "What does this mean?", "Und wann wurde er geboren?", "Warum?",
    "Où est-elle née ?", "¿Y por qué?", "ومتى مات هو؟", "它有多大？", "А когда он умер?",
]  # fmt: skip
STANDING = [
    "Who is the CEO of Amcor?", "How long does it take to get a visa?", "What is photosynthesis?", "Gibt es Hunde?",
    "Wann wurde Goethe geboren?", "Können Sie mir sagen, was Amcor ist?", "Qui a écrit La Peste?", "الأرض مسطحة؟",
    "What did Beyoncé announce after she performed?", "What is it called when plants make sugar?",
    "In what country is Normandy located?", "光合作用是什么？",
]  # fmt: skip


@pytest.mark.parametrize("question", LEANING)
def test_a_question_that_points_back_leans(question: str) -> None:
    assert leans(question)


@pytest.mark.parametrize("question", STANDING)
def test_a_question_that_says_what_it_is_about_stands(question: str) -> None:
    assert not leans(question)


def test_a_question_that_stands_is_searched_to_the_letter() -> None:
    standing = by_words("In what country is Normandy located?", FAUST)
    assert (standing.query, standing.by) == ("In what country is Normandy located?", "none")


def test_a_leaning_question_takes_over_what_was_asked_and_who_was_named() -> None:
    standing = by_words("When was he born?", FAUST)
    assert standing.by == "words"
    assert {"Faust", "Johann", "Goethe"} <= set(standing.query.split())
    assert standing.query.startswith("When was he born?")


def test_it_reaches_over_a_question_that_leaned_itself() -> None:
    said = [*FAUST, Turn(role="user", text="When was he born?"), Turn(role="assistant", text="In 1749.")]
    assert "Faust" in by_words("And where?", said).query


def test_another_year_takes_the_place_of_the_one_before() -> None:
    said = [Turn(role="user", text="What was Amcor's revenue in 2018?"), Turn(role="assistant", text="9.3 billion")]
    query = by_words("And in 2019?", said).query
    assert ("revenue" in query, "2018" in query) == (True, False)


def test_without_a_conversation_nothing_is_taken_over() -> None:
    assert by_words("Why?", []).by == "none"


def ask(caller: Caller, **fields: object) -> dict[str, object]:
    request = {"embedding": "fake:letters:8", "query": "And when?", "limit": 5} | fields
    response = caller.post("/retrieve", request)
    assert response.status_code == 200, response.text
    answer: dict[str, object] = response.json()
    return answer


HISTORY = [turn.model_dump() for turn in FAUST]


def test_a_model_rewrites_in_one_call_and_says_what_it_took(start_agent: StartAgent) -> None:
    chat = says("QUESTION: When was Goethe born?\nSEARCH: Goethe life\nSEARCH: Goethe dates\n")
    answer = ask(start_agent(chat=chat), history=HISTORY, rewriting="model", model="fake:chat")
    assert (answer["query"], answer["terms"]) == ("When was Goethe born?", ["Goethe life", "Goethe dates"])
    assert (answer["rewritten"], answer["rewriting"]["input_tokens"]) == ("model", 20)  # type: ignore[index]
    assert (chat.opened, "rewrite_ms" in answer["timings"]) == (1, True)  # type: ignore[operator]


@pytest.mark.parametrize(
    "chat",
    [
        follows(UpstreamError("unavailable", "fake", status=503)),
        says("I would rather talk about something else."),
        says("QUESTION:\n"),
        follows(20.0, Piece(text="QUESTION: late")),
    ],
    ids=["fails", "babbles", "says nothing", "hangs"],
)
def test_a_model_that_is_of_no_use_is_done_without(start_agent: StartAgent, chat: ScriptedChat) -> None:
    caller = start_agent(chat=chat, model_rewrite_seconds=0.3)
    answer = ask(caller, history=HISTORY, rewriting="model", model="fake:chat")
    assert (answer["rewritten"], chat.opened) == ("words", 1)
    assert "Goethe" in str(answer["query"])


def test_by_default_no_model_is_asked(start_agent: StartAgent) -> None:
    chat = says("QUESTION: x")
    answer = ask(start_agent(chat=chat), history=HISTORY, rewriting="words")
    assert (answer["rewritten"], answer["rewriting"], chat.opened) == ("words", None, 0)


def test_a_follow_up_finds_what_it_is_about(keyless: Caller) -> None:
    texts = [f"Town {n} was founded in 17{n:02} by a duke." for n in range(30)]
    request = storing(*texts, "Johann Wolfgang Goethe was born in 1749 in Frankfurt.", embedding=WORDLLAMA)
    keyless.post("/embed_and_store", request)
    answer = ask(keyless, embedding=WORDLLAMA, query="When was he born?", history=HISTORY, rewriting="words")
    assert answer["hits"][0]["chunk"] == request["chunks"][30]["id"]  # type: ignore[index]


def test_a_term_beside_the_question_finds_what_the_question_does_not(keyless: Caller) -> None:
    texts = [f"Barn number {n} stands in the town." for n in range(120)]
    request = storing(*texts, "The harvest was good.", "Perseverance landed in a crater.", embedding=WORDLLAMA)
    keyless.post("/embed_and_store", request)
    question = {"embedding": WORDLLAMA, "query": "Was the harvest of the barn in the town good?", "limit": 2}
    harvest, crater = (chunk["id"] for chunk in request["chunks"][120:])
    assert found(keyless, **question, terms=["Perseverance crater"]) == [harvest, crater]
    assert crater not in found(keyless, **question)


def found(caller: Caller, **fields: object) -> list[str]:
    return [hit["chunk"] for hit in ask(caller, **fields)["hits"]]  # type: ignore[attr-defined]


def test_the_words_alone_ask_no_embedder(start_agent: StartAgent) -> None:
    embedder = ScriptedEmbedder()
    caller = start_agent(embedder=embedder)
    caller.post("/embed_and_store", storing("The oil price rose."))
    embedder.faults = [UpstreamError("unavailable", "fake", status=503)] * 9
    answer = ask(caller, query="oil price", lexical_only=True)
    assert (len(answer["hits"]), answer["degraded"], len(embedder.batches)) == (1, True, 1)  # type: ignore[arg-type]


def test_only_the_documents_that_are_named_are_searched(keyless: Caller) -> None:
    wanted, other = (
        storing("The oil price rose.", embedding=WORDLLAMA),
        storing(*(f"The oil price rose by {n} percent." for n in range(150)), embedding=WORDLLAMA),
    )
    for request in (wanted, other):
        keyless.post("/embed_and_store", request)
    document = wanted["chunks"][0]["document"]
    answer = ask(keyless, embedding=WORDLLAMA, query="Did the oil price rise?", documents=[document], limit=5)
    assert [hit["document"] for hit in answer["hits"]] == [document]  # type: ignore[attr-defined]
    assert ask(keyless, embedding=WORDLLAMA, query="oil price", documents=[])["hits"] == []
