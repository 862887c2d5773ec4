"""What was read from a document, told before any of it is embedded: how much, what is missing, what it would cost."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db.models.fields.json import KT

from backend.documents.chunking import Span, visible
from backend.documents.extraction import Extraction
from backend.documents.formats import PDF
from backend.documents.languages import language_of
from backend.documents.models import Document, DocumentVersion, State, VersionState

REFUSED_SHOWN = 500
SAME_SHOWN = 20
_TOKEN_BYTES = 4  # of UTF-8: about right for English, and not far off for scripts of two and three bytes a letter


def build(*, extraction: Extraction, spans: Sequence[Sequence[Span]]) -> dict[str, Any]:
    """What `DocumentVersion.report` keeps, but for `same_text`, which `compare` adds. `spans` are the passages of each
    page."""
    texts = [page.text for page in extraction.pages]
    passages = [text[span.start : span.end] for text, cut in zip(texts, spans, strict=True) for span in cut]
    return {
        "characters_per_page": [len(text) for text in texts],
        "empty_pages": ranges(number for number, text in enumerate(texts, 1) if not visible(text)),
        "language": language_of(texts),
        "passages": len(passages),
        "repeated_passages": _repeated(passages),
        "text_sha256": _digest(texts),
        "refused": [{"part": part.part, "reason": part.reason} for part in extraction.refused[:REFUSED_SHOWN]],
        "refused_total": len(extraction.refused),
        "tokens": sum(-(-len(passage.encode()) // _TOKEN_BYTES) for passage in passages),
    }


def told(version: DocumentVersion) -> dict[str, Any]:
    """The report as its owner sees it. Documents that were the same and are gone since are left out."""
    report = version.report
    same = Document.objects.live().filter(pk__in=report.get("same_text", []), bot=version.document.bot_id)
    empty = [{"first": first, "last": last} for first, last in report.get("empty_pages", [])]
    return {
        "version": version.pk,
        "number": version.number,
        "pages": version.page_count,
        "characters": version.char_count,
        "characters_per_page": report.get("characters_per_page", []),
        "empty_pages": empty,
        "language": report.get("language", ""),
        "passages": report.get("passages", version.chunk_count),
        "repeated_passages": report.get("repeated_passages", 0),
        "same_text": [{"id": pk, "title": title} for pk, title in same.values_list("pk", "title")],
        "refused": report.get("refused", []),
        "refused_total": report.get("refused_total", 0),
        "estimate": {"tokens": report.get("tokens", 0), "credits": 0, "message": FREE},
        "findings": _findings(report, version.document.format),
        "waits_for_your_go": version.document.state == State.WAITING,
    }


FREE = "Embedding is not charged: the price book prices answers only."


def newest(document: Document) -> DocumentVersion | None:
    """The version that was read last, whether or not it serves by now."""
    versions = DocumentVersion.objects.filter(document=document, state__in=[VersionState.BUILDING, VersionState.READY])
    return versions.select_related("document").order_by("-number").first()


def ranges(numbers: Iterable[int]) -> list[list[int]]:
    """Rising numbers as `[first, last]` of each unbroken run: 3, 4, 5, 9 gives [[3, 5], [9, 9]]."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return runs


def _digest(texts: Iterable[str]) -> str:
    """Of the words in their order: the same text in another format, or divided into other pages, is the same."""
    sha256 = hashlib.sha256()
    for text in texts:
        if words := " ".join(text.split()):
            sha256.update(words.encode() + b" ")
    return sha256.hexdigest()


def compare(*, bot_id: UUID, reports: Mapping[UUID, dict[str, Any]]) -> None:
    """Says in the report of each document which others of the bot have its text; one query for all."""
    others = DocumentVersion.objects.annotate(digest=KT("report__text_sha256")).filter(
        digest__in={report["text_sha256"] for report in reports.values()},
        document__bot=bot_id,
        state__in=[VersionState.BUILDING, VersionState.READY],
    )
    found = others.exclude(document__state=State.DELETING).order_by("document")
    most = (SAME_SHOWN + 1) * len(reports)
    with_text: dict[str, list[UUID]] = {}
    for digest, document_id in found.values_list("digest", "document").distinct()[:most]:
        with_text.setdefault(digest, []).append(document_id)
    for document_id, report in reports.items():
        same = [pk for pk in with_text.get(report["text_sha256"], []) if pk != document_id]
        report["same_text"] = [str(pk) for pk in same[:SAME_SHOWN]]


def _repeated(passages: Iterable[str]) -> int:
    """How many passages only say again what an earlier one says."""
    counts = Counter(hash(passage.strip()) for passage in passages)
    return sum(counts.values()) - len(counts)


def _findings(report: dict[str, Any], format_name: str) -> list[dict[str, str]]:
    """What an owner should look at, in sentences."""
    found = []
    if report.get("empty_pages"):
        ask = ": scanned?" if format_name == PDF.name else "."
        found.append(("empty_pages", f"No text on {_pages(report['empty_pages'])}{ask}"))
    if report.get("refused_total"):
        found.append(("refused_parts", f"{_counted(report['refused_total'], 'part')} could not be read; see refused."))
    if report.get("same_text"):
        found.append(("same_text", "Another document of this bot has the same text."))
    if report.get("repeated_passages"):
        count = report["repeated_passages"]
        verb = "repeats" if count == 1 else "repeat"
        found.append(("repeated_passages", f"{_counted(count, 'passage')} {verb} what an earlier one says."))
    return [{"code": code, "message": message} for code, message in found]


def _pages(runs: Sequence[Sequence[int]]) -> str:
    if len(runs) == 1 and runs[0][0] == runs[0][1]:
        return f"page {runs[0][0]}"
    words = [str(first) if first == last else f"{first} to {last}" for first, last in runs]
    return "pages " + (words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}")


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
