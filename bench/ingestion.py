"""Ingestion in pages and chunks per second, beside the parser and the embedder alone."""

import time
from pathlib import Path

from bench.product import Product
from tests.real_data import FOLDER


def measure(target: Product, *, label: str) -> None:
    print(f"\ningestion, {label}")
    print(f"{'file':<34}{'pages':>7}{'chunks':>8}{'seconds':>9}{'pages/s':>9}{'chunks/s':>10}")
    for path in sorted((FOLDER / "financebench" / "pdf").glob("*.pdf")):
        bot = target.person.make_bot(path.stem)
        started = time.perf_counter()
        state = target.person.wait_until_ended(target.person.upload(bot, path), 300)
        seconds = time.perf_counter() - started
        print(_row(path, state, seconds))


def _row(path: Path, state: dict[str, dict[str, int]], seconds: float) -> str:
    version = state["version"]
    pages, chunks = version["page_count"], version["chunk_count"]
    return f"{path.name:<34}{pages:>7}{chunks:>8}{seconds:>9.2f}{pages / seconds:>9.0f}{chunks / seconds:>10.0f}"
