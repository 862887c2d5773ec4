"""R5: history cannot be changed, through the ORM or in SQL, and the application's role cannot lift the rules."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any
from uuid import UUID

import pytest
from django.db import DatabaseError, IntegrityError, ProgrammingError, connection, transaction
from pytest_django import Settings

from backend.core.ids import uuid7
from backend.credits import services
from backend.credits.audit import find_differences
from backend.credits.models import Account, Entry, Kind
from backend.users.models import User

pytestmark = pytest.mark.django_db
Snapshot = list[dict[str, Any]]


@pytest.fixture
def reference(owner: User, stranger: User, settings: Settings) -> UUID:
    """The owner has a top-up of 100, a hold of 30 for this reference, and no settlement."""
    settings.SIGNUP_GRANT = 0
    account = services.account_for(owner)
    services.topup(account=account, amount=100, actor=stranger, reason="test", key="k")
    reference = uuid7()
    services.hold(user=owner, amount=30, reference=reference, price=services.price_for("*"))
    return reference


@pytest.fixture(autouse=True)
def _nothing_changed(reference: UUID) -> Any:
    before = snapshot()
    yield
    assert snapshot() == before
    assert find_differences() == []


def snapshot() -> Snapshot:
    tables: list[Any] = [Account.objects.order_by("id").values(), Entry.objects.order_by("id").values()]
    return [row for table in tables for row in table]


def refused(error: type[DatabaseError] = IntegrityError) -> AbstractContextManager[Any]:
    return pytest.raises(error)


def execute(sql: str) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # what is left to do would be in the way of TRUNCATE
        cursor.execute(sql)


def forged(entries: list[Entry]) -> list[Entry]:
    for entry in entries:
        entry.amount = 5
    return entries


def rich(account: Account) -> Account:
    account.available = 999
    return account


ORM: dict[str, Callable[[list[Entry]], object]] = {
    "save": lambda entries: forged(entries)[0].save(),
    "update": lambda _: Entry.objects.update(amount=5),
    "bulk_update": lambda entries: Entry.objects.bulk_update(forged(entries), ["amount"]),
    "update_conflicts": lambda entries: Entry.objects.bulk_create(
        entries, update_conflicts=True, update_fields=["amount"], unique_fields=["id"]
    ),
    "no change at all": lambda entries: entries[0].save(),
    "delete": lambda entries: Entry.objects.filter(pk=entries[-1].pk).delete(),
    "raw delete": lambda _: Entry.objects.all()._raw_delete("default"),
    "account save": lambda entries: rich(entries[0].account).save(),
    "account update": lambda _: Account.objects.update(available=999),
    "account seq": lambda _: Account.objects.update(seq=0),
    "account user": lambda _: Account.objects.update(user=User.objects.create(email="x@example.com")),
    "account raw delete": lambda _: Account.objects.all()._raw_delete("default"),
    "rich account": lambda _: Account.objects.create(available=999),
}


@pytest.mark.parametrize("way", ORM)
def test_the_orm_cannot_change_history(way: str) -> None:
    entries = list(Entry.objects.order_by("seq"))
    with refused(), transaction.atomic():
        ORM[way](entries)


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE credits_entry SET reason = 'better'",
        "UPDATE credits_entry SET actor_id = NULL",
        "DELETE FROM credits_entry",
        "TRUNCATE credits_entry",
        "TRUNCATE credits_account CASCADE",
        "UPDATE credits_account SET available = available + 1",
        "UPDATE credits_account SET available = 0, reserved = 0, spent = 100",
        "UPDATE credits_account SET available = available - 30, reserved = reserved + 30, seq = seq + 1",
        "UPDATE credits_account SET id = gen_random_uuid()",
        "DELETE FROM credits_account",
        "INSERT INTO credits_account (id, available) VALUES (gen_random_uuid(), 5)",
    ],
)
def test_sql_cannot_change_history(sql: str) -> None:
    with refused():
        execute(sql)


NOTHING = {
    "hold_id": "NULL",
    "reference": "NULL",
    "price_id": "NULL",
    "key": "NULL",
    "actor_id": "NULL",
    "reason": "''",
}
PAID = {"reference": "reference", "price_id": "price_id"}
FRESH = {"reference": "gen_random_uuid()", "price_id": "price_id"}
OF_HOLD = {**PAID, "hold_id": "id"}
BY_HAND = {"key": "'x'", "actor_id": "account_id", "reason": "'why'"}

WRONG: dict[str, dict[str, str]] = {
    "unknown kind": {"kind": "'gift'", "amount": "5", "key": "'x'"},
    "negative grant": {"kind": "'grant'", "amount": "-5", "key": "'x'"},
    "grant without key": {"kind": "'grant'", "amount": "5"},
    "grant for an answer": {"kind": "'grant'", "amount": "5", "key": "'x'", **FRESH},
    "negative top-up": {"kind": "'topup'", "amount": "-5", **BY_HAND},
    "empty adjustment": {"kind": "'adjust'", "amount": "0", **BY_HAND},
    "adjustment beyond the balance": {"kind": "'adjust'", "amount": "-71", **BY_HAND},
    "negative hold": {"kind": "'hold'", "amount": "-5", **FRESH},
    "hold beyond the balance": {"kind": "'hold'", "amount": "71", **FRESH},
    "hold without price": {"kind": "'hold'", "amount": "5", **FRESH, "price_id": "NULL"},
    "hold without answer": {"kind": "'hold'", "amount": "5", "price_id": "price_id"},
    "second hold for an answer": {"kind": "'hold'", "amount": "5", **PAID},
    "settlement without hold": {"kind": "'settle'", "amount": "5", **PAID},
    "settlement of a top-up": {"kind": "'settle'", "amount": "5", **PAID, "hold_id": f"'{uuid7()}'"},
    "charge beyond the hold": {"kind": "'settle'", "amount": "31", **OF_HOLD},
    "negative charge": {"kind": "'settle'", "amount": "-1", **OF_HOLD},
    "negative usage": {"kind": "'settle'", "amount": "1", **OF_HOLD, "input_tokens": "-1"},
    "top-up without actor": {"kind": "'topup'", "amount": "5", **BY_HAND, "actor_id": "NULL"},
    "top-up without reason": {"kind": "'topup'", "amount": "5", **BY_HAND, "reason": "' '"},
    "top-up without key": {"kind": "'topup'", "amount": "5", **BY_HAND, "key": "NULL"},
    "key used before": {"kind": "'topup'", "amount": "5", **BY_HAND, "key": "'k'"},
    "no such account": {"kind": "'grant'", "amount": "5", "key": "'x'", "account_id": "gen_random_uuid()"},
    "no amount": {"kind": "'grant'", "amount": "NULL", "key": "'x'"},
}


FIRST = "key = 'k'"


def insert(values: dict[str, str], source: str = "kind = 'hold'") -> str:
    row = {"id": "gen_random_uuid()", "account_id": "account_id", **NOTHING, **values}
    columns, cells = ", ".join(row), ", ".join(row.values())
    return f"INSERT INTO credits_entry ({columns}) SELECT {cells} FROM credits_entry WHERE {source}"  # noqa: S608 - ours


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_entry_is_not_written(what: str) -> None:
    with refused():
        execute(insert(WRONG[what]))


def test_two_entries_of_an_account_in_one_statement_are_not_written() -> None:
    with refused():
        execute(insert({"kind": "'grant'", "amount": "5", "key": "seq::text"}, source="true"))


@pytest.mark.parametrize("conflict", ["(account_id, key)", "(id)", ""])
def test_an_entry_that_is_not_written_moves_nothing(conflict: str) -> None:
    """ON CONFLICT DO NOTHING runs the first trigger before it finds the conflict; see _nothing_changed."""
    same = {"id": "id", "kind": "'topup'", "amount": "5", **BY_HAND, "key": "'k'"}
    execute(f"{insert(same, source=FIRST)} ON CONFLICT {conflict} DO NOTHING")


def test_what_the_database_computes_cannot_be_dictated(owner: User) -> None:
    account = services.account_for(owner)
    with transaction.atomic():
        entry = Entry.objects.create(
            account=account, kind=Kind.GRANT, amount=5, key="x", seq=77, available_delta=500, reserved_delta=1,
            spent_delta=-3, available_after=10**6, reserved_after=10**6,
        )  # fmt: skip
        entry.refresh_from_db()
        assert (entry.seq, entry.available_delta, entry.reserved_delta, entry.spent_delta) == (3, 5, 0, 0)
        assert (entry.available_after, entry.reserved_after) == (75, 30)
        assert find_differences() == []
        transaction.set_rollback(True)


def test_a_deleted_user_and_actor_leave_the_entries_as_they_are(owner: User, stranger: User) -> None:
    before = list(Entry.objects.order_by("id").values())
    with transaction.atomic():
        owner.delete()
        stranger.delete()
        assert list(Entry.objects.order_by("id").values()) == before
        assert Account.objects.get().user is None
        assert find_differences() == []
        transaction.set_rollback(True)


AS_APPLICATION = """
    CREATE ROLE ledger_application NOLOGIN;
    GRANT SELECT, INSERT ON credits_account, credits_entry, credits_price TO ledger_application;
    GRANT UPDATE (user_id) ON credits_account TO ledger_application;
    GRANT SELECT ON users_user TO ledger_application;
    SET LOCAL ROLE ledger_application;
"""


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE credits_entry SET amount = 5",
        "DELETE FROM credits_entry",
        "TRUNCATE credits_entry",
        "UPDATE credits_account SET available = 5",
        "ALTER TABLE credits_entry DISABLE TRIGGER ALL",
        "DROP TRIGGER credits_entry_fixed ON credits_entry",
        "CREATE OR REPLACE FUNCTION credits_refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END'",
        "SET session_replication_role = replica",
        "ALTER ROLE ledger_application SUPERUSER",
    ],
)
def test_a_role_that_only_reads_and_inserts_cannot_lift_the_rules(sql: str) -> None:
    with refused(ProgrammingError):
        execute(AS_APPLICATION + sql)


def test_a_role_that_only_reads_and_inserts_is_all_that_the_services_need(owner: User, reference: UUID) -> None:
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(AS_APPLICATION)
        services.settle(reference=reference, charge=10)
        account = services.account_for(owner)
        assert (account.available, account.reserved, account.spent) == (90, 0, 10)
        transaction.set_rollback(True)
