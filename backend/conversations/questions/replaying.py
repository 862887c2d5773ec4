"""Whether an answer can be given again, and from what."""

from typing import Any
from uuid import UUID

from backend.conversations.errors import NotReplayable, SourceDeleted
from backend.conversations.models import Answer, AnswerState, Receipt
from backend.conversations.questions.opening import Replay
from backend.documents.models import Chunk, Page, State
from backend.documents.passages import LivePassage


def replay_of(answer: Answer) -> Replay:
    """What `answer` was given from, read from the same versions. Raises NotReplayable, SourceDeleted."""
    receipt = Receipt.objects.filter(pk=answer.pk).first()
    if receipt is None or answer.state != AnswerState.DONE or not _asked_a_model_once(answer):
        raise NotReplayable
    return Replay(
        answer,
        receipt.prompt_sha256,
        receipt.query,
        passages=pinned(receipt.passages),
        max_output_tokens=receipt.parameters.get("max_output_tokens"),
        stop=receipt.parameters.get("stop", ()),
    )


def _asked_a_model_once(answer: Answer) -> bool:
    """For a bot, whose configuration is kept."""
    return not (answer.curated or answer.degraded or answer.bot_version is None or answer.steps.exists())


def pinned(entries: list[dict[str, Any]]) -> list[LivePassage]:
    """The passages that a receipt names, in its order, with the text of their versions. Raises SourceDeleted where one
    is no longer there, or may no longer be shown."""
    wanted = {(UUID(entry["version"]), entry["page"]) for entry in entries}
    versions = {version for version, _ in wanted}
    rows = (
        Page.objects.filter(version__in=versions, number__in={page for _, page in wanted})
        .filter(version__document__enabled=True)
        .exclude(version__document__state=State.DELETING)
        .select_related("version__document")
    )
    pages = {(row.version_id, row.number): row for row in rows}
    chunks = {chunk.pk: chunk for chunk in Chunk.objects.filter(pk__in=[entry["chunk"] for entry in entries])}
    hidden = sum(not chunk.enabled for chunk in chunks.values())
    missing = sum((UUID(entry["version"]), entry["page"]) not in pages for entry in entries)
    if missing or hidden:
        raise SourceDeleted(details={"passages": len(entries), "missing": missing + hidden})
    return [
        _passage(entry, pages[UUID(entry["version"]), entry["page"]], chunks.get(UUID(entry["chunk"])))
        for entry in entries
    ]


def _passage(entry: dict[str, Any], page: Page, chunk: Chunk | None) -> LivePassage:
    version, document = page.version, page.version.document
    return LivePassage(
        chunk_id=UUID(entry["chunk"]),
        document_id=document.pk,
        document_title=document.title,
        version_id=version.pk,
        version_number=version.number,
        page=page.number,
        start=entry["start"],
        end=entry["end"],
        text=page.text[entry["start"] : entry["end"]],
        score=entry["score"],
        kind=document.kind,
        label=page.label,
        heading=chunk.heading if chunk else "",
        link=page.link or document.link,
        author=page.author,
        dated=page.dated,
        changed=version.sha256 != document.sha256,
    )
