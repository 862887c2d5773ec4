"""The ledger's verbs. Each entry is one INSERT; the triggers of migration 0002 do the arithmetic and the refusing."""

from typing import Any, cast
from uuid import UUID

import psycopg
from django.conf import settings
from django.db import IntegrityError, transaction

from backend.core import prepared, request_id
from backend.core.ids import uuid7
from backend.core.prepared import Along
from backend.credits.errors import (
    HoldNotFound,
    InvalidAmount,
    KeyUsedForAnotherEntry,
    NotEnoughCredits,
    ReferenceUsedForAnotherHold,
)
from backend.credits.models import Account, Entry, Kind, Price
from backend.credits.price_book import end_price, price_for, set_price
from backend.users.models import User
from backend.webhooks import services as webhooks
from backend.webhooks.models import Event

__all__ = [
    "account_for", "adjust", "end_price", "grant", "hold", "open_accounts_like", "price_for",
    "set_low_balance", "set_price", "settle", "settle_with", "topup",
]  # fmt: skip

SIGNUP_KEY = "signup"
NOTHING = Along()
MAX_AMOUNT = 10**15
"""Of one entry, whatever the settings say: nine thousand of the largest still fit the balance."""

# `low_balance`, below which the owner is told, comes along with an entry and costs no statement of its own.
_ATTRIBUTES = [field.attname for field in Entry._meta.local_concrete_fields]  # noqa: SLF001 - a public interface
_COMPLETED = " ".join(
    (
        "RETURNING",
        "".join(f"credits_entry.{name}, " for name in _ATTRIBUTES),
        "(SELECT low_balance FROM credits_account AS account WHERE account.id = credits_entry.account_id)",
    )
)

_CREDIT = """
    INSERT INTO credits_entry (id, account_id, kind, amount, key, actor_id, reason, request_id)
    VALUES (%(id)s, %(account)s, %(kind)s, %(amount)s, %(key)s, %(actor)s, %(reason)s, %(request_id)s)
    ON CONFLICT (account_id, key) DO NOTHING
"""

# The account is found by its user in the same statement. It is not found while its signup grant is outstanding.
_HOLD = """
    INSERT INTO credits_entry (id, account_id, kind, amount, reference, price_id, request_id)
    SELECT %(id)s::uuid, account.id, 'hold', %(amount)s::bigint, %(reference)s::uuid, %(price)s::uuid, %(request_id)s
    FROM credits_account AS account
    WHERE account.user_id = %(user)s AND (
        NOT %(grant_due)s::bool
        OR EXISTS (SELECT FROM credits_entry AS entry WHERE entry.account_id = account.id AND entry.key = %(signup)s)
    )
    ON CONFLICT (reference) WHERE kind = 'hold' DO NOTHING
"""

# The account is locked here and not by the trigger first: what it is compared by is then what will have been.
_SETTLE = """
    INSERT INTO credits_entry
        (id, account_id, kind, amount, hold_id, reference, price_id, input_tokens, output_tokens, request_id)
    SELECT %(id)s::uuid, hold.account_id, 'settle', least(%(charge)s::bigint, hold.amount), hold.id, hold.reference,
        coalesce(%(price)s::uuid, hold.price_id), %(input_tokens)s::bigint, %(output_tokens)s::bigint, %(request_id)s
    FROM credits_entry AS hold JOIN credits_account AS account ON account.id = hold.account_id
    WHERE hold.reference = %(reference)s AND hold.kind = 'hold' {provided} AND NOT (
        %(quietly)s::bool
        AND coalesce(account.low_balance, %(low)s::bigint) <= account.available + account.reserved
        AND coalesce(account.low_balance, %(low)s::bigint)
            > account.available + account.reserved - least(%(charge)s::bigint, hold.amount)
    )
    FOR NO KEY UPDATE OF account
    ON CONFLICT (hold_id) WHERE kind = 'settle' DO NOTHING
"""


def account_for(user: User) -> Account:
    """The user's account, opened at first sight, with the signup grant in it as soon as that is due."""
    account: Any = Account.objects.of(user).with_grant(SIGNUP_KEY).first()
    if account is None:
        Account.objects.bulk_create([Account(user=user)], ignore_conflicts=True)
        account = Account.objects.of(user).with_grant(SIGNUP_KEY).get()
    if _grant_due(user) and not account.granted:
        grant(account=account, amount=settings.SIGNUP_GRANT, key=SIGNUP_KEY, reason="Welcome")
        account.refresh_from_db()
    return cast(Account, account)


def _grant_due(user: User) -> bool:
    return bool(settings.SIGNUP_GRANT) and (not settings.REQUIRE_VERIFIED_EMAIL or user.email_verified_at is not None)


def open_accounts_like(*, email: str, limit: int) -> None:
    """Open accounts for users whose address contains `email` and who have none yet, so that they are found."""
    for user in User.objects.filter(email__icontains=email, credit_account=None, is_active=True)[:limit]:
        account_for(user)


def grant(*, account: Account, amount: int, key: str, reason: str) -> Entry:
    """Credits from the system itself; once per key."""
    return _credit(Kind.GRANT, account=account, amount=amount, key=key, reason=reason, actor=None)


def topup(*, account: Account, amount: int, actor: User, reason: str, key: str) -> Entry:
    """Credits that a person gives; once per key. Raises InvalidAmount, KeyUsedForAnotherEntry."""
    if amount <= 0:
        raise InvalidAmount("A top-up must be positive.", details={"amount": amount})
    _check_bounds(amount)
    return _credit(Kind.TOPUP, account=account, amount=amount, key=key, reason=reason, actor=actor)


def adjust(*, account: Account, amount: int, actor: User, reason: str, key: str) -> Entry:
    """A correction up or down, once per key. Raises NotEnoughCredits, InvalidAmount, KeyUsedForAnotherEntry."""
    _check_bounds(amount)
    return _credit(Kind.ADJUST, account=account, amount=amount, key=key, reason=reason, actor=actor)


def _check_bounds(amount: int) -> None:
    limit = settings.TOPUP_LIMIT
    if not 0 < abs(amount) <= limit:
        raise InvalidAmount(f"The amount must be between 1 and {limit}.", details={"amount": amount, "limit": limit})


def _credit(kind: Kind, *, account: Account, amount: int, key: str, reason: str, actor: User | None) -> Entry:
    actor_id = actor.pk if actor else None
    with transaction.atomic():  # what is refused here may be tried again inside the caller's transaction
        entry = _insert(
            _CREDIT, account=account.pk, kind=kind.value, amount=amount, key=key, actor=actor_id, reason=reason
        )
        _tell_if_low(entry)
    if entry is None:
        entry = Entry.objects.get(account=account, key=key)
    if not entry.says_the_same(kind=kind, account_id=account.pk, amount=amount):
        raise KeyUsedForAnotherEntry(details={"entry": str(entry.pk)})
    return entry


def hold(*, user: User, amount: int, reference: UUID, price: Price, along: Along = NOTHING) -> Entry:
    """Set `amount` aside for the answer `reference`; the same hold again is the first one.

    One statement, which stores `along` with a new hold. Where it raises NotEnoughCredits inside a transaction, that
    transaction is over.
    """
    if not 0 < amount <= MAX_AMOUNT:
        raise InvalidAmount("A hold must be positive.", details={"amount": amount})
    values = {
        "user": user.pk, "amount": amount, "reference": reference, "price": price.pk,
        "grant_due": _grant_due(user), "signup": SIGNUP_KEY,
    }  # fmt: skip
    entry = _insert(_HOLD, along, **values)
    if entry is None:
        account = account_for(user)
        entry = _insert(_HOLD, along, **values) or Entry.objects.get(reference=reference, kind=Kind.HOLD)
        if not entry.says_the_same(kind=Kind.HOLD, account_id=account.pk, amount=amount):
            raise ReferenceUsedForAnotherHold(details={"reference": str(reference)})
    return entry


def settle(
    *,
    reference: UUID,
    charge: int,
    price_id: UUID | None = None,
    input_tokens: int | None = None,
    output_tokens: int | None = None,
) -> Entry:
    """Charge the answer and release the rest of its hold, exactly once: later calls return the first one's entry.

    The charge is cut to between nothing and the hold; its price is the hold's, unless another one is named. One
    statement, two where it was settled, and those of the message "balance.low" where it is told. Raises HoldNotFound.
    """
    entry = settle_with(
        NOTHING, reference=reference, charge=charge, price_id=price_id,
        input_tokens=input_tokens, output_tokens=output_tokens,
    )  # fmt: skip
    entry = entry or Entry.objects.filter(kind=Kind.SETTLE, hold__reference=reference, hold__kind=Kind.HOLD).first()
    if entry is None:
        raise HoldNotFound(details={"reference": str(reference)})
    return entry


def settle_with(
    along: Along,
    *,
    reference: UUID,
    charge: int,
    price_id: UUID | None = None,
    input_tokens: int | None = None,
    output_tokens: int | None = None,
    quietly: bool = False,
) -> Entry | None:
    """As `settle`, and `along` in the same statement. None, and nothing stored, where it was settled before, or where
    `along.provided` finds nothing; `quietly`, also where "balance.low" is to be told, for which a transaction must be
    open."""
    entry = _insert(
        _SETTLE.format(provided="AND EXISTS (SELECT FROM provided)" if along.provided else ""),
        along, reference=reference, charge=min(max(charge, 0), MAX_AMOUNT), price=price_id,
        input_tokens=_count(input_tokens), output_tokens=_count(output_tokens),
        quietly=quietly, low=settings.LOW_BALANCE,
    )  # fmt: skip
    _tell_if_low(entry)
    return entry


def set_low_balance(*, account: Account, below: int | None) -> Account:
    """From which balance down the owner is told; None is the deployment's own number, 0 never."""
    Account.objects.filter(pk=account.pk).update(low_balance=below)
    account.low_balance = below
    return account


def _tell_if_low(entry: Any) -> None:
    """Once per crossing: what is held counts as there, so that a hold, which comes back, crosses nothing."""
    if entry is None:
        return
    threshold = settings.LOW_BALANCE if entry.low_balance is None else entry.low_balance
    left = entry.available_after + entry.reserved_after
    before = left - entry.available_delta - entry.reserved_delta
    if not left < threshold <= before:
        return
    owner_id = Account.objects.values_list("user", flat=True).get(pk=entry.account_id)
    if owner_id is not None:
        data = {"available": entry.available_after, "reserved": entry.reserved_after, "threshold": threshold}
        webhooks.emit(owner_id=owner_id, event=Event.BALANCE_LOW, data=data)


def _count(tokens: int | None) -> int | None:
    return None if tokens is None else min(max(tokens, 0), MAX_AMOUNT)


def _insert(sql: str, along: Along = NOTHING, /, **values: Any) -> Entry | None:
    """The new entry as the database completed it, or None where an equal key, hold or reference was there first."""
    try:
        completed = {"id": uuid7(), "request_id": request_id.current.get(), **values}
        found = prepared.given(sql + _COMPLETED, completed, along)
    except IntegrityError as exc:
        if refusal := _refusal(exc, values):
            raise refusal from exc
        raise
    if found is None:
        return None
    *columns, low_balance = found
    entry: Any = Entry.from_db("default", _ATTRIBUTES, columns)
    entry.low_balance = low_balance
    return cast(Entry, entry)


def _refusal(exc: IntegrityError, values: dict[str, Any]) -> NotEnoughCredits | None:
    cause = exc.__cause__
    if isinstance(cause, psycopg.Error) and cause.diag.constraint_name == "credits_account_available":
        available, needed = int(cause.diag.message_detail or 0), abs(values["amount"])
        return NotEnoughCredits(details={"available": available, "needed": needed})
    return None
