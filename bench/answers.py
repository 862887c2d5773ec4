"""What the product adds to a direct call of the model, at 1, 8 and 32 at once."""

import httpx
import psycopg

from bench import load
from bench.product import Asker, Direct, Product, cpu_seconds, last_prompt

PASSAGES = 600
COUNTS = {1: 100, 8: 300, 32: 600}


def fill(target: Product) -> None:
    text = "\n\n".join(
        f"Paragraph {number} speaks of the department of paragraph {number}, where {number * 7 % 90 + 5} people work. "
        + "They keep records of what they do, and of when and why they did it. " * 8
        for number in range(PASSAGES)
    )
    state = target.person.wait_until_ended(target.person.paste(target.bot, text, "Departments"), 300)
    if state["state"] != "ready":
        raise RuntimeError(state)
    print(f"bot: {state['version']['chunk_count']} passages, Gemini embeddings (emulated), pgvector\n")


async def measure(target: Product) -> None:
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    async with httpx.AsyncClient(timeout=120, limits=limits, trust_env=False) as http:
        asker = Asker(target, http)
        await asker.prepare(max(COUNTS))
        await load.run(asker, count=20, at_once=4)
        direct = Direct(target, http, last_prompt(target))
        await load.run(direct, count=20, at_once=4)
        print(_HEADING)
        for at_once, count in COUNTS.items():
            plain = await load.run(direct, count=count, at_once=at_once)
            before = cpu_seconds(target.stack)
            ours = await load.run(asker, count=count, at_once=at_once)
            after = cpu_seconds(target.stack)
            spent = {name: (after[name] - before[name]) * 1000 / count for name in after}
            print(_row(at_once, plain, ours, spent))


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
    return cells + ", ".join(f"{name} {spent:.1f}" for name, spent in cpu.items())


async def statements(target: Product) -> None:
    """Statements of the database per answer, from its own log."""
    postgres = target.stack.postgres
    answers = 20
    _sql(target, "ALTER SYSTEM SET log_statement = 'all'", "SELECT pg_reload_conf()")
    async with httpx.AsyncClient(timeout=60, trust_env=False) as http:
        asker = Asker(target, http)
        await asker.prepare(1)
        before = postgres.log.stat().st_size
        await load.run(asker, count=answers, at_once=1)
    with postgres.log.open("rb") as log:
        log.seek(before)
        lines = log.read().decode(errors="replace").splitlines()
    _sql(target, "ALTER SYSTEM RESET log_statement", "SELECT pg_reload_conf()")
    executed = [line for line in lines if "LOG:  execute" in line or "LOG:  statement" in line]
    framing = sum(word in line for line in executed for word in ("BEGIN", "COMMIT"))
    print(f"\nstatements per answer, the agent's among them: {len(executed) / answers:.1f}", end="")
    print(f" ({framing / answers:.1f} of these BEGIN and COMMIT)")


def _sql(target: Product, *statements: str) -> None:
    with psycopg.connect(target.stack.postgres.url(), autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)  # type: ignore[arg-type]
