"""`python -m bench.across [bots]`: a search across so many public bots (10,000) of one document of three passages each,
over HTTP, beside the same search in one bot, with where its milliseconds go.

The bots are copies of one that was made over the API, row by row; their vectors and words are stored by the agent's own
code.
"""

import asyncio
import itertools
import logging
import random
import sys
import time
from collections.abc import Iterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import psycopg
from pydantic import SecretStr

from agent_service.contract import Chunk, EmbedAndStoreRequest
from agent_service.pipeline.agents.registry import FOLDER as FOLDER_OF_AGENTS
from agent_service.pipeline.agents.registry import read_agents
from agent_service.pipeline.service import Service
from agent_service.pipeline.storing import embed_and_store
from agent_service.providers import registry
from agent_service.settings import Settings
from bench.load import percentile
from tests.real_data import FOLDER, lines
from tests.stack import Person, Stack, running_stack

EMBEDDING = "local:wordllama:256"
PASSAGES = 3
AT_ONCE = 8
QUESTIONS = 200

_CLONES = """
    create temp table clone (n int primary key, bot uuid, configuration uuid, document uuid, version uuid);
    create temp table part (n int, position int, start int, "end" int, text text, chunk uuid);
"""
_COPIES = """
    insert into bots_bot select (jsonb_populate_record(t, jsonb_build_object(
        'id', c.bot, 'version_id', c.configuration, 'name', 'Bot ' || c.n))).*
        from bots_bot t, clone c where t.id = %(bot)s;
    insert into bots_botversion select (jsonb_populate_record(t, jsonb_build_object(
        'id', c.configuration, 'bot_id', c.bot))).* from bots_botversion t, clone c where t.bot_id = %(bot)s;
    insert into documents_document select (jsonb_populate_record(t, jsonb_build_object(
        'id', c.document, 'version_id', c.version, 'bot_id', c.bot))).*
        from documents_document t, clone c where t.bot_id = %(bot)s;
    insert into documents_documentversion select (jsonb_populate_record(t, jsonb_build_object(
        'id', c.version, 'document_id', c.document))).*
        from documents_documentversion t join documents_document d on d.version_id = t.id, clone c
        where d.bot_id = %(bot)s;
    insert into documents_page select (jsonb_populate_record(t, jsonb_build_object(
        'id', nextval(pg_get_serial_sequence('documents_page', 'id')), 'version_id', c.version, 'text', whole.text))).*
        from documents_page t join documents_document d on d.version_id = t.version_id, clone c
        join (select n, string_agg(text, '' order by position) as text from part group by n) whole using (n)
        where d.bot_id = %(bot)s;
    insert into documents_chunk select (jsonb_populate_record(t, jsonb_build_object(
        'id', p.chunk, 'version_id', c.version, 'document_id', c.document, 'bot_id', c.bot, 'position', p.position,
        'start', p.start, 'end', p."end", 'text', p.text))).*
        from documents_chunk t, clone c join part p using (n) where t.bot_id = %(bot)s and t.position = 0;
    analyze;
"""


def main() -> None:
    if not FOLDER.is_dir():
        print("skipped: ../shared/data with its real texts is not here")
        return
    logging.getLogger("httpx").setLevel(logging.WARNING)  # wordllama turns everybody's log on
    bots = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with running_stack(SIGNUP_GRANT="1000000") as stack:
        owner, asker = stack.person("owner@example.com"), stack.person("asker@example.com")
        template = owner.make_bot("Template")
        owner.http.patch(f"bots/{template}/", json={"visibility": "public"})
        owner.wait_until_ended(owner.paste(template, "A text that says nothing of interest to anybody."))
        started = time.perf_counter()
        one = asyncio.run(_fill(stack, template, bots))
        print(f"{bots} bots of {PASSAGES} passages stored in {time.perf_counter() - started:.0f} s", flush=True)
        questions = [row["question"] for row in lines("squad2/questions.jsonl")][:QUESTIONS]
        _measure(asker, f"across {bots} bots", "search/", questions)
        _measure(asker, "in one bot", f"bots/{one}/search/", questions)


async def _fill(stack: Stack, template: str, bots: int) -> UUID:
    parts = list(_parts(bots))
    clones = [(n, uuid4(), uuid4(), uuid4(), uuid4()) for n in range(bots)]
    with psycopg.connect(stack.postgres.url()) as connection:
        connection.execute(_CLONES)
        cursor = connection.cursor()
        with cursor.copy("copy clone from stdin") as copy:
            for clone in clones:
                copy.write_row(clone)
        with cursor.copy("copy part from stdin") as copy:
            for row in parts:
                copy.write_row(row)
        for statement in _COPIES.split(";\n"):
            if statement.strip():
                cursor.execute(statement.encode(), {"bot": template} if "%(bot)s" in statement else None)
    texts: dict[int, list[Any]] = {n: list(group) for n, group in itertools.groupby(parts, key=lambda row: row[0])}
    async with _agent(stack) as service:
        gate = asyncio.Semaphore(AT_ONCE)

        async def store(n: int, bot: UUID, document: UUID, version: UUID) -> None:
            chunks = [Chunk(id=chunk, document=document, version=version, text=text) for *_, text, chunk in texts[n]]
            async with gate:
                await embed_and_store(
                    EmbedAndStoreRequest(embedding=EMBEDDING, chunks=chunks),
                    namespace=f"bot-{bot.hex}",
                    reader=service.reader(EMBEDDING),
                    shelf=service.shelf(),
                    turnstile=service.turnstile,
                )

        await asyncio.gather(*(store(n, bot, document, version) for n, bot, _, document, version in clones))
    with psycopg.connect(stack.postgres.url(), autocommit=True) as connection:
        connection.execute("analyze")
    return clones[0][1]


def _parts(bots: int) -> Iterator[tuple[int, int, int, int, str, UUID]]:
    """Sentences of real paragraphs, put together anew for each bot."""
    chance = random.Random(7)
    sentences = [
        sentence
        for row in lines("squad2/paragraphs.jsonl")
        for sentence in row["text"].split(". ")
        if len(sentence) > 20
    ]
    for n in range(bots):
        start = 0
        for position in range(PASSAGES):
            text = f"{'. '.join(chance.sample(sentences, 4))}. "
            yield n, position, start, start + len(text), text, uuid4()
            start += len(text)


@asynccontextmanager
async def _agent(stack: Stack) -> Any:
    settings = Settings(
        _env_file=None,
        service_key=SecretStr(stack.environment["SERVICE_KEY"]),
        agent_database_url=SecretStr(stack.postgres.url()),
        google_api_key=SecretStr(""),
        pinecone_api_key=SecretStr(""),
    )
    async with registry.opened(settings) as catalogue:
        yield Service(settings, catalogue, read_agents(FOLDER_OF_AGENTS))


def _measure(asker: Person, label: str, path: str, questions: list[str]) -> None:
    milliseconds: list[float] = []
    short = 0
    for number, question in enumerate([*questions[:20], *questions]):
        started = time.perf_counter()
        found = asker.post(path, {"query": question, "limit": 10})
        if number >= 20:
            milliseconds.append((time.perf_counter() - started) * 1000)
            short += len(found["passages"]) < 10
    p50, p95 = percentile(milliseconds, 50), percentile(milliseconds, 95)
    print(
        f"{label:<24} p50 {p50:6.1f} ms  p95 {p95:6.1f} ms  fewer than 10 passages: {short} of {len(questions)}",
        flush=True,
    )


if __name__ == "__main__":
    main()
