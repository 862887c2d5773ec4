"""What the product adds to a direct call of the model, at 1, 8, 32 and 128 at once; what an open stream costs."""

import asyncio
import os
import random
import time
from pathlib import Path

import httpx
import psycopg

from bench import load
from bench.product import Asker, Direct, Product, control, cpu_seconds, last_prompt, processes_of

PASSAGES = 10_000
COUNTS = {1: 100, 8: 240, 32: 480, 128: 640}
OPEN_STREAMS = 64
INDEXES = 2
"""Of the vectors' table, beside graphs."""
GRAPH_WAIT = 90.0


def fill(target: Product) -> None:
    """Paragraphs of words as rare and as frequent as in a language, each with a fact of its own."""
    rng = random.Random(7)
    words = ["".join(rng.choices("abcdefghilmnoprstuv", k=rng.randint(3, 9))) for _ in range(8_000)]
    weights = [1 / place for place in range(1, len(words) + 1)]
    documents = -(-PASSAGES // 1_000)
    per_document = -(-PASSAGES // documents)
    started = time.monotonic()
    ids = []
    for document in range(documents):
        paragraphs = []
        for number in range(document * per_document, min(PASSAGES, (document + 1) * per_document)):
            filler = " ".join(rng.choices(words, weights, k=110))
            fact = f"Paragraph {number} speaks of the department of paragraph {number}, where {number % 90 + 5} work."
            paragraphs.append(f"{fact} {filler.capitalize()}.")
        ids.append(target.person.paste(target.bot, "\n\n".join(paragraphs), f"Departments {document}"))
    chunks = 0
    for one in ids:
        state = target.person.wait_until_ended(one, 900)
        if state["state"] != "ready":
            raise RuntimeError(state)
        chunks += state["version"]["chunk_count"]
    taken = time.monotonic() - started
    _sql(target, "VACUUM ANALYZE")  # as autovacuum does within a minute
    graph = "with a graph" if _has_graph(target) else "without a graph"
    print(f"bot: {chunks} passages in {taken:.0f} s, Gemini embeddings (emulated), pgvector, {graph}\n")


def _has_graph(target: Product) -> bool:
    """Of the vectors, which the agent builds within a minute where there are many."""
    counting = "SELECT count(*) FROM pg_index WHERE indrelid = 'vectors.vector'::regclass AND indisvalid"
    deadline = time.monotonic() + GRAPH_WAIT
    with psycopg.connect(target.stack.postgres.url(), autocommit=True) as connection:
        while time.monotonic() < deadline:
            found = connection.execute(counting).fetchone()
            if found and found[0] > INDEXES:
                return True
            time.sleep(1)
    return False


async def measure(target: Product) -> None:
    asker = Asker(target)
    await asker.prepare(max(COUNTS))
    await load.run(asker, count=40, at_once=4)
    direct = Direct(target, last_prompt(target))
    await load.run(direct, count=20, at_once=4)
    print(_HEADING)
    for at_once, count in COUNTS.items():
        plain = await load.run(direct, count=count, at_once=at_once)
        before = cpu_seconds(target.stack)
        ours = await load.run(asker, count=count, at_once=at_once)
        after = cpu_seconds(target.stack)
        spent = {name: (after[name] - before[name]) * 1000 / count for name in after}
        print(_row(at_once, plain, ours, spent), flush=True)
    asker.close()
    direct.close()


_HEADING = (
    f"{'':>8}{'first token, ms (p50 / p95)':^46}{'whole answer, ms (p50 / p95)':^46}{'answers/s':^18}"
    "  CPU, ms an answer\n"
    f"{'at once':>8}" + f"{'direct':>15}{'product':>16}{'added':>15}" * 2 + f"{'direct':>9}{'product':>9}"
)


def _row(at_once: int, plain: load.Load, ours: load.Load, cpu: dict[str, float]) -> str:
    cells = f"{at_once:>8}"
    for direct, product in ((plain.first, ours.first), (plain.whole, ours.whole)):
        cells += f"{direct(50):>8.1f} /{direct(95):>5.1f}{product(50):>9.1f} /{product(95):>5.1f}"
        cells += f"{product(50) - direct(50):>8.1f} /{product(95) - direct(95):>5.1f}"
    cells += f"{plain.per_second:>9.1f}{ours.per_second:>9.1f}  {sum(cpu.values()):.1f}: "
    cells += ", ".join(f"{name} {spent:.1f}" for name, spent in cpu.items())
    return cells + (f"; {ours.failed} refused" if ours.failed else "")


async def statements(target: Product) -> None:
    """Statements of the database and calls of the vendor per answer, from their own logs."""
    postgres, answers = target.stack.postgres, 20
    asker = Asker(target)
    await asker.prepare(1)
    await load.run(asker, count=4, at_once=1)
    _sql(target, "ALTER SYSTEM SET log_statement = 'all'", "SELECT pg_reload_conf()")
    await asyncio.sleep(0.5)
    before, calls = postgres.log.stat().st_size, _vendor_calls(target)
    await load.run(asker, count=answers, at_once=1)
    with postgres.log.open("rb") as log:
        log.seek(before)
        lines = log.read().decode(errors="replace").splitlines()
    _sql(target, "ALTER SYSTEM RESET log_statement", "SELECT pg_reload_conf()")
    executed = [line for line in lines if "LOG:  execute" in line or "LOG:  statement" in line]
    framing = sum(word in line for line in executed for word in ("BEGIN", "COMMIT"))
    made = {route: (count - calls.get(route, 0)) / answers for route, count in _vendor_calls(target).items()}
    print(f"\nstatements per answer, the agent's among them: {len(executed) / answers:.1f}", end="")
    print(f" ({framing / answers:.1f} of these BEGIN and COMMIT)")
    shown = ", ".join(f"{route} {count:.1f}" for route, count in made.items() if count)
    print(f"calls of the vendor per answer: {shown}")
    asker.close()


async def open_streams(target: Product) -> None:
    """Memory of an open stream, and whether it holds a connection of the database."""
    asker = Asker(target)
    await asker.prepare(OPEN_STREAMS)
    before, slow = _resident(target), {"route": "streamGenerateContent", "call": 0.0, "piece": 6.0}
    control(target, {"latency": [slow]})
    streams = [asyncio.create_task(asker(lane)) for lane in range(OPEN_STREAMS)]
    await asyncio.sleep(5)
    after = _resident(target)
    with psycopg.connect(target.stack.postgres.url()) as connection:
        held = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in%' AND pid <> pg_backend_pid()"
        ).fetchone()
    started = time.perf_counter()
    await asyncio.to_thread(target.person.get, "bots/")
    bots = (time.perf_counter() - started) * 1000
    control(target, {"latency": [slow | {"piece": 0.0}]})
    await asyncio.gather(*streams)
    grown = {name: (after[name] - before[name]) / OPEN_STREAMS / 1024 for name in ("web", "agent")}
    sizes = ", ".join(f"{name} {size:.0f} KiB each" for name, size in grown.items())
    print(f"{OPEN_STREAMS} open streams: {sizes};", end="")
    print(f" connections of the database held: {held[0] if held else 0}; GET bots meanwhile {bots:.0f} ms")
    print(f"at rest before: {', '.join(f'{name} {size / 2**20:.0f} MB' for name, size in before.items())}")
    asker.close()


def _resident(target: Product) -> dict[str, int]:
    """Bytes of web, agent and worker, with their children's."""
    page = os.sysconf("SC_PAGE_SIZE")
    used = dict.fromkeys(target.stack.processes, 0)
    for pid, name in processes_of(target.stack):
        if name in used:
            used[name] += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * page
    return used


def _vendor_calls(target: Product) -> dict[str, int]:
    counts: dict[str, int] = httpx.get(f"{target.gemini}/__control", trust_env=False).json()["counts"]
    return counts


def _sql(target: Product, *statements: str) -> None:
    with psycopg.connect(target.stack.postgres.url(), autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)
