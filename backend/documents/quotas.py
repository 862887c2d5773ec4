"""What a person has of everything that a plan limits, and whether there may be more of it.

Documents being deleted do not count, nor do those of deleted bots. A document's pages are those of its largest version
that serves or is being built.
"""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db.models import Max, Sum

from backend.bots.models import Bot
from backend.credits import plans
from backend.credits.errors import QuotaExceeded
from backend.documents.extraction import ExtractionFailed
from backend.documents.models import Document, DocumentVersion, State, VersionState


def usage(user_id: UUID) -> dict[str, Any]:
    """For `PlanUsageOutput`."""
    plan = plans.plan_of(user_id)
    size = _documents(user_id).aggregate(size=Sum("size"))["size"] or 0
    used = {
        "bots": Bot.objects.filter(owner=user_id, deleted_at=None).count(),
        "files": _documents(user_id).count(),
        "bytes": size,
        "pages": _pages(user_id),
    }
    return {"plan": plan.name, **{name: {"used": used[name], "limit": getattr(plan, name)} for name in used}}


def limits(bot: Bot) -> dict[str, Any]:
    """What may still be uploaded, told before it is tried."""
    counted = usage(bot.owner_id)
    return {"quota": {name: counted[name] for name in ("files", "bytes", "pages")}}


def check_upload(*, bot: Bot, files: int, size: int, lock: bool = True) -> None:
    """For `files` more documents and `size` more bytes. With `lock` it is exact: inside the transaction that adds
    them, of any number of parallel uploads no more come through than fit. Raises QuotaExceeded."""
    if lock:
        plans.one_at_a_time(bot.owner_id)
    plan = plans.plan_of(bot.owner_id)
    has = _documents(bot.owner_id)
    if plan.files is not None and files > 0:
        plans.check(plan, "files", used=has.count(), more=files)
    if plan.bytes is not None and size > 0:
        plans.check(plan, "bytes", used=has.aggregate(size=Sum("size"))["size"] or 0, more=size)


def check_pages(*, owner_id: UUID, pages: Mapping[UUID, int]) -> None:
    """For the new versions of these documents of one owner, each with so many pages, inside the transaction that has
    stored them. Of several each is looked at beside the others. Raises ExtractionFailed."""
    plan = plans.plan_of(owner_id)
    if plan.pages is None:
        return
    plans.one_at_a_time(owner_id)
    if _pages(owner_id) <= plan.pages:
        return  # then there is room for each
    try:
        for document_id, more in pages.items():
            plans.check(plan, "pages", used=_pages(owner_id, without=document_id), more=more)
    except QuotaExceeded as exc:
        raise ExtractionFailed("page_quota") from exc


def _documents(user_id: UUID) -> Any:
    return Document.objects.exclude(state=State.DELETING).filter(bot__owner=user_id, bot__deleted_at=None)


def _pages(user_id: UUID, *, without: UUID | None = None) -> int:
    versions = DocumentVersion.objects.filter(
        state__in=[VersionState.READY, VersionState.BUILDING],
        document__in=_documents(user_id).exclude(pk=without).values("pk"),
    )
    of_each = versions.order_by().values("document").annotate(most=Max("page_count"))
    return of_each.aggregate(total=Sum("most"))["total"] or 0
