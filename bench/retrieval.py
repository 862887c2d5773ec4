"""`make bench-retrieval`: how often a keyless bot finds what answers the question, on the sets of ../shared/data.

Every abstract and paragraph is a document of its own, pasted or uploaded over HTTP, and every question goes to the
search endpoint. The two rankings alone are asked of the same indexes in this process. `ARGS="--neural"` measures the
small neural embedder. "Best" is what the fused twenty would give in the best order: what lies above it was not found at
all, what lies below it was ranked too low; "at most" is what five passages can hold of all that are relevant.
"""

import argparse
import asyncio
import logging
import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any
from uuid import UUID

import psycopg
from pydantic import SecretStr

from agent_service.pipeline.agents.registry import FOLDER as AGENTS
from agent_service.pipeline.agents.registry import read_agents
from agent_service.pipeline.lexical import asked
from agent_service.pipeline.service import Service
from agent_service.ports import Found
from agent_service.providers import registry
from agent_service.providers.minilm_weights import PACKAGE
from agent_service.settings import Settings
from bench.load import percentile
from tests.real_data import FOLDER, lines
from tests.stack import Person, Stack, StackError, running_stack

AT_ONCE = 4
PASSAGES = 20
LIGHT, NEURAL = "local:wordllama:256", "local:minilm:384"
WAYS = ("BM25 alone", "dense alone", "fused")
STRANGERS = 200
GATE = 0.29

Ranking = list[str]
Relevant = Mapping[str, int]


@dataclass(frozen=True)
class Question:
    text: str
    relevant: Relevant


@dataclass
class TestSet:
    """`bot` holds the documents; `names` gives each its name in the set."""

    name: str
    bot: str
    questions: Sequence[Question]
    names: dict[str, str]
    rankings: dict[str, list[Ranking]] = field(default_factory=lambda: defaultdict(list))
    confidences: list[float] = field(default_factory=list)
    milliseconds: list[float] = field(default_factory=list)


def main() -> None:
    if not FOLDER.is_dir():
        print("skipped: ../shared/data with its real questions is not here")
        return
    parser = argparse.ArgumentParser(prog="make bench-retrieval", description=__doc__)
    parser.add_argument("--neural", action="store_true", help="with the small neural embedder")
    embedding = NEURAL if parser.parse_args().neural else LIGHT
    logging.getLogger("httpx").setLevel(logging.WARNING)  # wordllama turns everybody's log on
    chosen = {"LOCAL_NEURAL": "1", "DEFAULT_EMBEDDING": embedding} if embedding == NEURAL else {}
    unlimited = {"SIGNUP_GRANT": "1000000", "UPLOAD_LIMIT_PER_HOUR": "0", "ACCESS_TOKEN_SECONDS": "36000"}
    with running_stack(**unlimited, **chosen) as stack:
        print(f"embeddings: {embedding}")
        person = stack.person()
        sets = [fill(person) for fill in (_cranfield, _squad("squad2"), _squad("xquad-de"), _squad("xquad-ar"))]
        filings, pages = _financebench(person)
        for one in (*sets, filings):
            _search(person, one, pages if one is filings else {})
            asyncio.run(_search_alone(stack, embedding, one, pages if one is filings else {}))
        print(_HEADING)
        for one in (*sets, filings):
            _report(one)
        print(_GATE_HEADING)
        for one in sets:
            _report_gate(person, one, sets)


def _cranfield(person: Person) -> TestSet:
    relevant: dict[str, dict[str, int]] = defaultdict(dict)
    for line in (FOLDER / "cranfield" / "qrels.tsv").read_text().splitlines():
        query, document, grade = line.split()
        relevant[query][document] = int(grade)
    texts = {row["_id"]: (row["title"], row["text"]) for row in lines("cranfield/corpus.jsonl")}
    questions = [Question(row["text"], relevant[row["_id"]]) for row in lines("cranfield/queries.jsonl")]
    return _pasted(person, "cranfield", texts, [one for one in questions if any(one.relevant.values())])


def _squad(name: str) -> Callable[[Person], TestSet]:
    """The paragraphs get no title: the name of their article would help more than a real document's title does."""

    def fill(person: Person) -> TestSet:
        texts = {row["id"]: ("Paragraph", row["text"]) for row in lines(f"{name}/paragraphs.jsonl")}
        rows = lines(f"{name}/questions.jsonl")
        return _pasted(person, name, texts, [Question(row["question"], {row["paragraph"]: 1}) for row in rows])

    return fill


def _pasted(person: Person, name: str, texts: Mapping[str, tuple[str, str]], questions: list[Question]) -> TestSet:
    bot = person.make_bot(name)
    started = time.perf_counter()

    def paste(known: str) -> tuple[str, str]:
        title, text = texts[known]
        response = person.http.post(f"bots/{bot}/documents/", json={"title": title or known, "text": text or title})
        if response.status_code not in (201, 409):
            raise StackError(response.text)
        body = response.json()
        return (body["id"] if response.status_code == 201 else body["details"]["id"]), known

    with ThreadPoolExecutor(AT_ONCE) as pool:
        names = dict(pool.map(paste, [known for known, (title, text) in texts.items() if title or text]))
    _wait(person, bot)
    print(f"{name}: {len(names)} documents in {time.perf_counter() - started:.0f} s", flush=True)
    return TestSet(name, bot, questions, names)


def _financebench(person: Person) -> tuple[TestSet, dict[str, str]]:
    """Relevant are the pages that hold the evidence; the second value names the page of each chunk."""
    bot = person.make_bot("financebench")
    files = {person.upload(bot, path): path.name for path in sorted((FOLDER / "financebench" / "pdf").glob("*.pdf"))}
    _wait(person, bot)
    rows = lines("financebench/questions.jsonl")
    questions = [Question(row["question"], {f"{row['file']}#{page}": 1 for page in row["pages"]}) for row in rows]
    with psycopg.connect(person.stack.postgres.url()) as connection:
        chunks = connection.execute("select id, document_id, page from documents_chunk where bot_id = %s", (bot,))
        pages = {str(pk): f"{files[str(document)]}#{page}" for pk, document, page in chunks}
    return TestSet("financebench", bot, questions, files), pages


def _wait(person: Person, bot: str) -> None:
    def ended() -> bool:
        path = f"bots/{bot}/documents/"
        return not any(person.get(path, params={"state": state})["results"] for state in ("queued", "processing"))

    person.stack.wait_for(ended, "all documents to be ready", 900)


def _search(person: Person, one: TestSet, pages: Mapping[str, str]) -> None:
    for question in one.questions:
        started = time.perf_counter()
        found = person.post(f"bots/{one.bot}/search/", {"query": question.text, "limit": PASSAGES})
        one.milliseconds.append((time.perf_counter() - started) * 1000)
        one.confidences.append(found["confidence"])
        places = [
            one.names[passage["document"]["id"]] + (f"#{passage['page']}" if pages else "")
            for passage in found["passages"]
        ]
        one.rankings["fused"].append(list(dict.fromkeys(places)))


async def _search_alone(stack: Stack, embedding: str, one: TestSet, pages: Mapping[str, str]) -> None:
    def places(hits: Sequence[Found]) -> Ranking:
        found = [
            pages[str(UUID(bytes=hit.chunk))] if pages else one.names[str(UUID(bytes=hit.document))] for hit in hits
        ]
        return list(dict.fromkeys(found))

    with psycopg.connect(stack.postgres.url()) as connection:
        row = connection.execute(
            "select namespace from vectors.vector join vectors.lexicon on vectors.lexicon.id = vector.lexicon"
            " join documents_chunk chunk on chunk.id = vector.chunk where bot_id = %s limit 1",
            (one.bot,),
        ).fetchone()
    if row is None:
        raise StackError("the bot has no vectors")
    async with _agent(stack) as service:
        embedder = service.catalogue.embedder(embedding)
        shelf, index = service.shelf(), service.catalogue.lexical
        lexicon = await index.lexicon(row[0]) if index else None
        if index is None or lexicon is None:
            raise StackError("the bot has no lexical index")
        for question in one.questions:
            terms = asked(question.text, lexicon.languages)
            ranked = await index.search(lexicon, terms, PASSAGES)
            one.rankings["BM25 alone"].append(places(ranked.hits))
            vector = (await embedder.embed_query(question.text)).vectors[0]
            one.rankings["dense alone"].append(places(await shelf.store.search(row[0], vector, PASSAGES)))


@asynccontextmanager
async def _agent(stack: Stack) -> Any:
    settings = Settings(
        _env_file=None,
        service_key=SecretStr(stack.environment["SERVICE_KEY"]),
        agent_database_url=SecretStr(stack.postgres.url()),
        google_api_key=SecretStr(""),
        pinecone_api_key=SecretStr(""),
        local_neural=find_spec(PACKAGE) is not None,
    )
    async with registry.opened(settings) as catalogue:
        yield Service(settings, catalogue, read_agents(AGENTS))


_HEADING = (
    f"\n{'':<14}{'questions':>10}"
    + "".join(f"{way:>24}" for way in (*WAYS, "best"))
    + f"{'at most':>9}{'found':>8}{'search, ms':>15}\n{'':<24}"
    + f"{'nDCG@10':>15}{'R@5':>9}" * 4
    + f"{'R@5':>9}{'in 20':>8}{'p50 / p95':>15}"
)


def _report(one: TestSet) -> None:
    row = f"{one.name:<14}{len(one.questions):>10}"
    for way in WAYS:
        pairs = [
            (ranking, question.relevant) for ranking, question in zip(one.rankings[way], one.questions, strict=True)
        ]
        row += f"{_mean(_ndcg(*pair) for pair in pairs):>15.3f}{_mean(_recall(*pair) for pair in pairs):>9.3f}"
    ordered = [(sorted(ranking, key=lambda place: -relevant.get(place, 0)), relevant) for ranking, relevant in pairs]
    row += f"{_mean(_ndcg(*pair) for pair in ordered):>15.3f}{_mean(_recall(*pair) for pair in ordered):>9.3f}"
    row += f"{_mean(_most(relevant) for _, relevant in pairs):>9.3f}"
    reach = _mean(any(relevant.get(place) for place in ranking) for ranking, relevant in pairs)
    print(row + f"{reach:>8.3f}{percentile(one.milliseconds, 50):>8.1f} /{percentile(one.milliseconds, 95):>5.1f}")
    if one.name == "financebench":
        tens = [
            _mean(
                any(q.relevant.get(place) for place in ranking[:10])
                for ranking, q in zip(one.rankings[way], one.questions, strict=True)
            )
            for way in WAYS
        ]
        print(
            f"{'':<14}evidence page in the first ten: "
            + ", ".join(f"{way} {ten:.3f}" for way, ten in zip(WAYS, tens, strict=True))
        )


_GATE_HEADING = (
    f"\nrefusing questions of other sets, RETRIEVAL_GATE={GATE}\n"
    f"{'documents':<14}{'answered':>10}  {'questions of':<14}{'false answers':>14}{'... where 90 % are answered':>30}"
)


def _report_gate(person: Person, one: TestSet, sets: Sequence[TestSet]) -> None:
    answered = _mean(confidence >= GATE for confidence in one.confidences)
    at_ninety = sorted(one.confidences)[len(one.confidences) // 10]
    for other in sets:
        if other is one:
            continue
        step = max(1, len(other.questions) // STRANGERS)
        strangers = [
            person.post(f"bots/{one.bot}/search/", {"query": question.text, "limit": 1})["confidence"]
            for question in other.questions[::step]
        ]
        false, false_at_ninety = (_mean(sure >= gate for sure in strangers) for gate in (GATE, at_ninety))
        print(f"{one.name:<14}{answered:>10.3f}  {other.name:<14}{false:>14.3f}{false_at_ninety:>30.3f}")


def _ndcg(ranking: Ranking, relevant: Relevant) -> float:
    """With the grade as the gain, as trec_eval has it."""
    gained = sum(relevant.get(place, 0) / math.log2(rank) for rank, place in enumerate(ranking[:10], start=2))
    best = sorted(relevant.values(), reverse=True)[:10]
    return gained / sum(grade / math.log2(rank) for rank, grade in enumerate(best, start=2))


def _recall(ranking: Ranking, relevant: Relevant) -> float:
    wanted = {place for place, grade in relevant.items() if grade > 0}
    return len(wanted.intersection(ranking[:5])) / len(wanted)


def _most(relevant: Relevant) -> float:
    wanted = sum(grade > 0 for grade in relevant.values())
    return min(5, wanted) / wanted


def _mean(values: Iterator[Any]) -> float:
    known = [float(value) for value in values]
    return sum(known) / len(known)


if __name__ == "__main__":
    main()
