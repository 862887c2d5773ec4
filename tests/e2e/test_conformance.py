"""One bot, many doors: the same question gets the same answer, the same citations and the same charge at each."""

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import httpx2
import openai
import pytest
from langchain_openai import ChatOpenAI
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from tests.agent_service.agents.line import converse, last, text_of
from tests.agent_service.calls import Caller
from tests.backend.conversations.sse import events
from tests.stack import ROOT, Person, Stack

QUESTIONS = {
    "answered": "Where is the range of the tide largest?",
    "nothing found": "Who won the chess championship of 1972?",
}
DOORS = ("JSON", "SSE", "OpenAI", "OpenAI stream", "LangChain", "LangChain stream", "MCP handshake", "MCP stateless")


class Programs:
    """A person's bot, asked by programs. Each door gives the id of the answer and the text that it showed."""

    def __init__(self, person: Person, bot: str) -> None:
        self.person, self.bot = person, bot
        self.url = person.stack.url
        self.key = person.post("api-keys/", {"name": "programs"})["key"]
        self.doors: dict[str, Callable[[str], tuple[str, str]]] = {
            "JSON": self._json,
            "SSE": self._sse,
            "OpenAI": self._openai,
            "OpenAI stream": self._openai_stream,
            "LangChain": self._langchain,
            "LangChain stream": self._langchain_stream,
            "MCP handshake": lambda question: asyncio.run(self._mcp(question, "legacy")),
            "MCP stateless": lambda question: asyncio.run(self._mcp(question, "auto")),
        }

    def _json(self, question: str) -> tuple[str, str]:
        answer = self.person.ask(self.person.converse(self.bot), question).json()
        return answer["id"], answer["text"]

    def _sse(self, question: str) -> tuple[str, str]:
        stream = self.person.ask(self.person.converse(self.bot), question, accept="text/event-stream").text
        found = events(stream)
        text = "".join(data["text"] for name, data in found if name == "delta")
        return dict(found)["meta"]["answer_id"], text

    def _client(self) -> Any:
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key=self.key, max_retries=0)

    def _openai(self, question: str) -> tuple[str, str]:
        with self._client() as client:
            messages = [{"role": "user", "content": question}]
            completion = client.chat.completions.create(model=self.bot, messages=messages)
        return completion.chatsphere["id"], completion.choices[0].message.content

    def _openai_stream(self, question: str) -> tuple[str, str]:
        with self._client() as client:
            messages = [{"role": "user", "content": question}]
            chunks = list(client.chat.completions.create(model=self.bot, messages=messages, stream=True))
        return chunks[-1].chatsphere["id"], "".join(chunk.choices[0].delta.content or "" for chunk in chunks)

    def _chat_openai(self) -> Any:
        options: dict[str, Any] = {"base_url": f"{self.url}/v1", "api_key": self.key, "max_retries": 0}
        return ChatOpenAI(model=self.bot, **options)

    def _langchain(self, question: str) -> tuple[str, str]:
        message = self._chat_openai().invoke(question)
        return message.response_metadata["id"].removeprefix("chatcmpl-"), message.content

    def _langchain_stream(self, question: str) -> tuple[str, str]:
        text = "".join(str(chunk.content) for chunk in self._chat_openai().stream(question))
        newest = self.person.get("credits/entries/")["results"][0]  # LangChain shows no id of a streamed answer
        return newest["reference"], text

    async def _mcp(self, question: str, mode: str) -> tuple[str, str]:
        headers = {"Authorization": f"Bearer {self.key}"}
        async with (
            httpx2.AsyncClient(headers=headers, timeout=60, trust_env=False) as http,
            Client(streamable_http_client(f"{self.url}/mcp/", http_client=http), mode=mode) as client,
        ):
            result = await client.call_tool("ask_bot", {"bot": self.bot, "question": question})
        shown = result.structured_content
        assert not result.is_error
        return shown["id"], shown["text"]

    def over_websocket(self, question: str, receipt: Any) -> list[tuple[str, Any]]:
        """The events of the agent's own protocol, by which another service asks it: unpaid, and with passages that the
        service brings along, here those of an answer's receipt."""
        caller = Caller(self.person.stack.agent_url, "none", uuid4(), UUID(self.bot))
        known = {"model", "temperature", "strictness", "check", "max_output_tokens", "follow_ups", "stop", "agent"}
        settings = {name: value for name, value in receipt["parameters"].items() if name in known}
        instructions = self.person.get(f"bots/{self.bot}/")["configuration"]["instructions"]
        passages = [self._passage(ranked) for ranked in receipt["passages"]]
        request = settings | {"question": question, "instructions": instructions, "passages": passages}
        return converse(caller, request, key=self.person.stack.environment["SERVICE_KEY"])

    def _passage(self, ranked: Any) -> dict[str, Any]:
        page = self.person.get(f"documents/{ranked['document']}/pages/{ranked['page']}/")
        title = self.person.get(f"documents/{ranked['document']}/")["title"]
        text = page["text"][ranked["start"] : ranked["end"]]
        return {"id": ranked["chunk"], "title": title, "page": ranked["page"], "text": text}


@pytest.fixture(scope="module")
def programs(person: Person) -> Programs:
    bot = person.make_bot("Tides")
    document = person.upload(bot, ROOT / "samples" / "tides.md")
    assert person.wait_until_ended(document)["state"] == "ready"
    return Programs(person, bot)


def kept(person: Person, answer_id: str) -> dict[str, Any]:
    """What is stored of an answer, without what is new in each."""
    answer = person.get(f"answers/{answer_id}/")
    names = ("state", "text", "model", "finish_reason", "citations", "citations_rejected", "usage", "error")
    return {name: answer[name] for name in names} | {"support": answer.get("support")}


def booked(person: Person, answer_id: str) -> list[tuple[Any, ...]]:
    """The ledger's entries for an answer."""
    entries = person.get("credits/entries/", params={"limit": 100})["results"]
    names = ("kind", "amount", "spent_delta", "price", "input_tokens", "output_tokens")
    return [tuple(entry.get(name) for name in names) for entry in entries if entry["reference"] == answer_id]


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
def test_every_door_gives_the_same_answer_at_the_same_price(programs: Programs, question: str) -> None:
    person = programs.person
    asked = {name: programs.doors[name](question) for name in DOORS}
    texts = {name: text for name, (_, text) in asked.items()}
    answers = {name: kept(person, answer_id) for name, (answer_id, _) in asked.items()}
    ledger = {name: booked(person, answer_id) for name, (answer_id, _) in asked.items()}
    native = "JSON"
    assert answers[native]["state"] == "done"
    assert len(ledger[native]) == 2
    for name in DOORS:
        assert texts[name] == texts[native], name
        assert answers[name] == answers[native], name
        assert ledger[name] == ledger[native], name


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
def test_the_agents_websocket_gives_that_answer_too(programs: Programs, question: str) -> None:
    """What it says is compared: it stores nothing and charges nothing."""
    answer_id, text = programs.doors["JSON"](question)
    answer = programs.person.get(f"answers/{answer_id}/")
    receipt = programs.person.get(f"answers/{answer_id}/receipt/")
    spent = programs.person.balance()
    told = programs.over_websocket(question, receipt)
    cited = last(told, "citations")
    places = {ranked["chunk"]: ranked for ranked in receipt["passages"]}
    assert text_of(told) == text
    assert [
        (one["marker"], one["quote"], places[one["passage"]]["start"] + one["start"]) for one in cited["citations"]
    ] == [(one["marker"], one["quote"], one["start"]) for one in answer["citations"]]
    assert [one["supported"] for one in cited["sentences"]] == [one["supported"] for one in answer["support"]]
    assert cited["prompt_sha256"] == receipt["prompt_sha256"]
    assert told[-1] == ("done", {"finish_reason": answer["finish_reason"]})
    assert programs.person.balance() == spent


@pytest.mark.parametrize("door", ["whole", "stream"])
def test_a_stop_sequence_ends_a_keyless_answer(programs: Programs, door: str) -> None:
    """What is left of it is cited and checked as it stands."""
    _, whole = programs.doors["JSON"](QUESTIONS["answered"])
    messages = [{"role": "user", "content": QUESTIONS["answered"]}]
    with programs._client() as client:
        create = client.chat.completions.create
        if door == "whole":
            completion = create(model=programs.bot, messages=messages, stop=["Fundy"])
            text, shown = completion.choices[0].message.content, completion.chatsphere
            assert completion.choices[0].finish_reason == "stop"
        else:
            chunks = list(create(model=programs.bot, messages=messages, stop=["Fundy"], stream=True))
            text, shown = "".join(chunk.choices[0].delta.content or "" for chunk in chunks), chunks[-1].chatsphere
            assert chunks[-1].choices[0].finish_reason == "stop"
    assert text == whole[: whole.index("Fundy")]
    assert all(one["end"] <= len(text) for one in shown["support"])


def test_the_questions_are_of_both_kinds(programs: Programs) -> None:
    """Otherwise the comparison above would hold for doors that answer nobody."""
    found, missed = (kept(programs.person, programs.doors["JSON"](question)[0]) for question in QUESTIONS.values())
    assert "Bay of Fundy" in found["citations"][0]["quote"]
    assert found["usage"]["charged"] > missed["usage"]["charged"] == 0
    assert missed["citations"] == []


def test_a_system_message_changes_no_citation(programs: Programs) -> None:
    with programs._client() as client:
        messages = [
            {"role": "system", "content": "You are a pirate."},
            {"role": "user", "content": QUESTIONS["answered"]},
        ]
        completion = client.chat.completions.create(model=programs.bot, messages=messages)
    assert "Bay of Fundy" in completion.citations[0]["quote"]


def test_embeddings_come_from_the_real_embedder(programs: Programs) -> None:
    with programs._client() as client:
        given = ["The tide is high.", "High tide.", "A chess opening."]
        vectors = [item.embedding for item in client.embeddings.create(model="local:wordllama:256", input=given).data]
    assert {len(vector) for vector in vectors} == {256}
    near, far = (sum(a * b for a, b in zip(vectors[0], other, strict=True)) for other in vectors[1:])
    assert near > far


def test_the_gateway_answers_from_the_real_agent(programs: Programs) -> None:
    person = programs.person
    assert [provider["id"] for provider in person.get("gateway/providers/")["providers"]]
    assert person.get("gateway/models/local:extractive/")["default"] is True
    counted = person.post("gateway/count-tokens/", {"model": "local:extractive", "text": "How high is the tide?"})
    assert counted["input_tokens"] > 0
    told = person.post("gateway/estimate-cost/", {"model": "local:extractive", "input_tokens": 1, "output_tokens": 1})
    assert float(told["dollars"]["total"]) == 0
    answer = person.post("gateway/chat/", {"model": "local:extractive", "text": "How high is the tide?"})
    assert (answer["state"], answer["citations"]) == ("done", [])


def test_search_and_documents_are_the_same_over_mcp(programs: Programs) -> None:
    async def found() -> tuple[Any, Any]:
        headers = {"X-API-Key": programs.key}
        async with (
            httpx2.AsyncClient(headers=headers, timeout=60, trust_env=False) as http,
            Client(streamable_http_client(f"{programs.url}/mcp/", http_client=http)) as client,
        ):
            query = {"bot": programs.bot, "query": QUESTIONS["answered"], "limit": 3}
            passages = (await client.call_tool("search_knowledge", query)).structured_content["passages"]
            wanted = {"document": passages[0]["document"]["id"], "page": passages[0]["page"]}
            return passages, (await client.call_tool("read_document", wanted)).structured_content

    passages, page = asyncio.run(found())
    native = programs.person.post(f"bots/{programs.bot}/search/", {"query": QUESTIONS["answered"], "limit": 3})
    assert passages == native["passages"]
    assert (
        page["text"][passages[0]["start"] : passages[0]["end"]] == passages[0]["text"]
        or page["page"] != passages[0]["page"]
    )


def test_the_ledger_adds_up_behind_all_doors(keyless: Stack, programs: Programs) -> None:
    assert programs.person.balance()["reserved"] == 0
    assert keyless.try_command("ledger_audit").returncode == 0
