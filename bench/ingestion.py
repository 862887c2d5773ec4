"""`make bench-ingest`: from upload until searchable, beside the parser and the embedder alone, in the same run."""

import asyncio
import importlib
import logging
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
from pydantic import SecretStr

from agent_service.providers import registry
from agent_service.settings import Settings
from backend.documents import formats
from backend.documents.chunking import chunk_spans
from backend.documents.parser.reading import ParsedPage, storable
from bench.corpora import Corpus, corpora, saved
from bench.product import Product, cpu_seconds, product
from tests.real_data import FOLDER
from tests.stack import Person, Stack, running_stack

KEYLESS = "local:wordllama:256"
BATCH, IN_FLIGHT = 100, 3
_DONE = "select count(*) from documents_document where bot_id = %s and state in ('ready', 'failed', 'cancelled')"
_SIZES = """
    select coalesce(sum(version.page_count), 0), coalesce(sum(version.chunk_count), 0)
    from documents_document document join documents_documentversion version on version.id = document.version_id
    where document.bot_id = %s and document.state = 'ready'
"""


@dataclass(frozen=True)
class Alone:
    """Seconds that the parser and the embedder take for a corpus when there is nothing else."""

    parser: float
    embedder: float
    chunks: int


def main() -> None:
    logging.getLogger("httpx").setLevel(logging.WARNING)  # a line for each of 200 uploads
    known: dict[str, Alone] = {}
    with running_stack(SIGNUP_GRANT="1000000000", UPLOAD_LIMIT_PER_HOUR="0") as stack:
        _compare(stack, KEYLESS, _settings(stack), known)
    known.clear()
    with product() as target:
        settings = _settings(target.stack, key="bench", url=target.gemini)
        _compare(target.stack, f"google:{settings.google_embedding_model}:768", settings, known)


def _compare(stack: Stack, embedding: str, settings: Settings, known: dict[str, Alone]) -> None:
    for workers in (1, 2):
        print(f"\n{embedding}, {workers} worker{'s'[: workers - 1]}\n{_HEADING}", flush=True)
        with _workers(stack, workers) as processes:
            person = stack.person(f"bench-{workers}-{time.monotonic_ns()}@example.com")
            for corpus in corpora():
                if corpus.name not in known:
                    known[corpus.name] = asyncio.run(_alone(corpus, embedding, settings))
                _measure(stack, person, corpus, known[corpus.name], processes)
            print(f"at its peak a worker has {_peak(processes)} MB, its parser server {_parsers(processes)} MB")


@contextmanager
def _workers(stack: Stack, count: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    processes = [stack.processes["worker"]]
    for _ in range(count - 1):
        stack.launch("worker")
        processes.append(stack.processes["worker"])
    stack.processes["worker"] = processes[0]
    time.sleep(3)  # until the others listen
    try:
        yield processes
    finally:
        for process in processes[1:]:
            process.terminate()
            process.wait(30)


def _measure(
    stack: Stack, person: Person, corpus: Corpus, alone: Alone, workers: Sequence[subprocess.Popen[bytes]]
) -> None:
    """One file from before its upload; of many, which wait for a worker, from the moment that it comes."""
    bot = person.make_bot(corpus.name)
    many = len(corpus.files) > 1
    with tempfile.TemporaryDirectory() as folder, psycopg.connect(stack.postgres.url(), autocommit=True) as connection:
        paths = saved(corpus, Path(folder))
        if many:
            _signal(workers, signal.SIGSTOP)
        begun, before = time.perf_counter(), cpu_seconds(stack)
        for path in paths:
            person.upload(bot, path)
        if many:
            begun, before = time.perf_counter(), cpu_seconds(stack)
            _signal(workers, signal.SIGCONT)
        while connection.execute(_DONE, (bot,)).fetchone() != (len(paths),):
            time.sleep(0.01)
        seconds, after = time.perf_counter() - begun, cpu_seconds(stack)
        pages, chunks = connection.execute(_SIZES, (bot,)).fetchone() or (0, 0)
    spent = ", ".join(f"{name} {(after[name] - before[name]) * 1000 / max(chunks, 1):.2f}" for name in after)
    print(f"{_row(corpus, alone, seconds, pages, chunks)}   {spent}", flush=True)


def _signal(workers: Sequence[subprocess.Popen[bytes]], number: signal.Signals) -> None:
    for worker in workers:
        worker.send_signal(number)


async def _alone(corpus: Corpus, embedding: str, settings: Settings) -> Alone:
    begun = time.perf_counter()
    pages = [page for name, content in corpus.files.items() for page in _read(name, content)]
    parser = time.perf_counter() - begun
    texts = [
        page.text[span.start : span.end]
        for page in pages
        for span in chunk_spans(page.text, chunk_chars=1000, overlap=150)
    ]
    async with registry.opened(settings) as catalogue:
        embedder = catalogue.embedder(embedding)
        await embedder.embed_documents(texts[:1])
        gate = asyncio.Semaphore(IN_FLIGHT)

        async def embed(batch: list[str]) -> None:
            async with gate:
                await embedder.embed_documents(batch)

        begun = time.perf_counter()
        await asyncio.gather(*(embed(texts[first : first + BATCH]) for first in range(0, len(texts), BATCH)))
        return Alone(parser, time.perf_counter() - begun, len(texts))


def _read(name: str, content: bytes) -> list[ParsedPage]:
    kind = formats.recognise(filename=name, head=content[: formats.SNIFF_BYTES])
    reader = importlib.import_module(f"backend.documents.parser.{kind.name}")
    reading = reader.read(content, "") if getattr(reader, "WANTS_LINK", False) else reader.read(content)
    return [item for item in map(storable, reading.pages) if isinstance(item, ParsedPage)]


def _settings(stack: Stack, key: str = "", url: str = "") -> Settings:
    return Settings(
        _env_file=None,
        service_key=SecretStr(stack.environment["SERVICE_KEY"]),
        agent_database_url=SecretStr(stack.postgres.url()),
        google_api_key=SecretStr(key),
        google_base_url=url,
        pinecone_api_key=SecretStr(""),
    )


_HEADING = (
    f"{'':<20}{'files':>6}{'MB':>6}{'pages':>7}{'chunks':>8}{'seconds':>9}{'files/s':>9}{'pages/s':>9}{'MB/s':>7}"
    f"{'chunks/s':>10}   {'alone: parser':>14}{'embedder':>10}{'reached':>9}   CPU, ms a chunk"
)


def _row(corpus: Corpus, alone: Alone, seconds: float, pages: int, chunks: int) -> str:
    parser, embedder = (alone.chunks / max(spent, 1e-6) for spent in (alone.parser, alone.embedder))
    reached = chunks / seconds / min(parser, embedder)
    return (
        f"{corpus.name:<20}{len(corpus.files):>6}{corpus.megabytes:>6.1f}{pages:>7}{chunks:>8}{seconds:>9.2f}"
        f"{len(corpus.files) / seconds:>9.1f}{pages / seconds:>9.0f}{corpus.megabytes / seconds:>7.2f}"
        f"{chunks / seconds:>10.0f}   {parser:>14.0f}{embedder:>10.0f}{reached:>9.0%}"
    )


def _peak(workers: Sequence[subprocess.Popen[bytes]]) -> int:
    return max(_kilobytes(worker.pid, "VmHWM") for worker in workers) // 1024


def _parsers(workers: Sequence[subprocess.Popen[bytes]]) -> int:
    """A server is its worker's only child."""
    children = [pid for worker in workers for pid in _children(worker.pid)]
    return max((_kilobytes(pid, "VmHWM") for pid in children), default=0) // 1024


def _children(pid: int) -> list[int]:
    with suppress(OSError):
        tasks = Path(f"/proc/{pid}/task").iterdir()
        return [int(child) for task in tasks for child in (task / "children").read_text().split()]
    return []


def _kilobytes(pid: int, name: str) -> int:
    with suppress(OSError):
        status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        return int(status.get(name, "0").split()[0])  # one that has ended and was not waited for has no memory
    return 0


def measure(target: Product, *, label: str) -> None:
    """Real files, one after the other; for `make bench`."""
    print(f"\ningestion, {label}")
    print(f"{'file':<34}{'pages':>7}{'chunks':>8}{'seconds':>9}{'pages/s':>9}{'chunks/s':>10}")
    for path in sorted((FOLDER / "financebench" / "pdf").glob("*.pdf")):
        bot = target.person.make_bot(path.stem)
        started = time.perf_counter()
        version = target.person.wait_until_ended(target.person.upload(bot, path), 300)["version"]
        seconds = time.perf_counter() - started
        pages, chunks = version["page_count"], version["chunk_count"]
        print(f"{path.name:<34}{pages:>7}{chunks:>8}{seconds:>9.2f}{pages / seconds:>9.0f}{chunks / seconds:>10.0f}")


if __name__ == "__main__":
    main()
