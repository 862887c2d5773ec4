"""How much of everything an account may have. Other apps count what is theirs, under `one_at_a_time`."""

from typing import Literal
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Q

from backend.credits.errors import QuotaExceeded
from backend.credits.models import Account, Plan

Counted = Literal["bots", "files", "bytes", "pages"]


def plan_of(user_id: UUID) -> Plan:
    """The account's own, else the default; where there is none, one without limits."""
    own = Account.objects.filter(user=user_id).values("plan")
    plan: Plan | None = Plan.objects.filter(Q(pk__in=own) | Q(is_default=True)).order_by("is_default").first()
    return plan or Plan(name="Unlimited")


def one_at_a_time(user_id: UUID) -> None:
    """Until the end of the transaction nobody else counts, or adds to, what this person has. A lock of its own and not
    a row's: it waits for nothing but another count."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"quota {user_id}"])


def check(plan: Plan, what: Counted, *, used: int, more: int) -> None:
    """Raises QuotaExceeded. What takes nothing more is allowed, also where a plan has become smaller."""
    limit: int | None = getattr(plan, what)
    if limit is not None and more > 0 and used + more > limit:
        raise QuotaExceeded(what, limit=limit, used=used)


def assign(*, account: Account, plan: Plan | None) -> None:
    """None: whichever plan is the default."""
    Account.objects.filter(pk=account.pk).update(plan=plan)


def make_default(*, plan: Plan) -> None:
    with transaction.atomic():
        Plan.objects.filter(is_default=True).update(is_default=False)
        Plan.objects.filter(pk=plan.pk).update(is_default=True)
