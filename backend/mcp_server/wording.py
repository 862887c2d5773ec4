"""Results as text, for clients that show their model nothing else. `[n]` in a text, `(source: …)` behind it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def answer(shown: Mapping[str, Any]) -> str:
    sources = [
        f"[{citation['marker']}] {_place(citation)}: “{citation['quote']}”{_link(citation)}"
        for citation in shown["citations"]
        if citation["quote"]
    ]
    return "\n".join([shown["text"], "", "Sources:", *sources]) if sources else str(shown["text"])


def passages(found: Sequence[Mapping[str, Any]]) -> str:
    if not found:
        return "Nothing was found."
    texts = (
        f"[{number}] {_place(passage)} (document {passage['document']['id']}, page {passage['page']})"
        f"{_link(passage)}\n{passage['text']}"
        for number, passage in enumerate(found, start=1)
    )
    return "\n\n".join(texts)


def bots(found: Iterable[Mapping[str, Any]]) -> str:
    return "\n".join(f"{bot['id']} {bot['name']}" for bot in found) or "There are no bots that you may use."


def _place(where: Mapping[str, Any]) -> str:
    title = where["document"]["title"] if where["document"] else ""
    return ", ".join(filter(None, (title, where["label"])))


def _link(where: Mapping[str, Any]) -> str:
    return f" (source: {where['link']})" if where["link"] else ""
