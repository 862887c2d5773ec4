import json
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import pytest
from django.core.management import call_command
from django.db import connection

from backend.credits import services
from backend.credits.audit import find_differences
from backend.credits.models import Account


@contextmanager
def as_superuser() -> Iterator[None]:
    """Past every trigger, as only a superuser may."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE; SET session_replication_role = replica")
        yield
        cursor.execute("SET session_replication_role = origin")


def tamper(sql: str) -> None:
    with as_superuser(), connection.cursor() as cursor:
        cursor.execute(sql)


def found() -> set[str]:
    return {difference.check for difference in find_differences()}


def test_an_empty_ledger_adds_up(db: None) -> None:
    assert find_differences() == []


def test_a_used_ledger_adds_up(account: Account, held: UUID) -> None:
    services.settle(reference=held, charge=10)
    assert find_differences() == []


@pytest.mark.parametrize(
    ("sql", "checks"),
    [
        ("UPDATE credits_account SET available = available + 1", {"balance", "conservation"}),
        ("UPDATE credits_account SET reserved = reserved + 1, spent = spent - 1", {"balance", "open_holds"}),
        ("UPDATE credits_account SET seq = seq + 1", {"balance"}),
        ("UPDATE credits_entry SET amount = amount + 1 WHERE kind = 'topup'", {"deltas", "conservation"}),
        ("UPDATE credits_entry SET available_after = 5 WHERE seq = 2", {"chain"}),
        ("UPDATE credits_entry SET seq = 9 WHERE seq = 3", {"chain"}),
        ("UPDATE credits_entry SET reserved_after = -5 WHERE seq = 3", {"chain", "negative"}),
        ("DELETE FROM credits_entry WHERE seq = 3", {"balance", "open_holds"}),
        ("UPDATE credits_entry SET reference = gen_random_uuid() WHERE kind = 'settle'", {"settlements"}),
    ],
)
def test_what_a_superuser_tampers_with_is_found(account: Account, held: UUID, sql: str, checks: set[str]) -> None:
    services.settle(reference=held, charge=10)
    if "amount" in sql:
        sql = f"ALTER TABLE credits_entry DROP CONSTRAINT credits_entry_deltas; {sql}"
    tamper(sql)
    assert found() == checks


def test_a_hold_that_was_settled_twice_is_found(account: Account, held: UUID) -> None:
    services.settle(reference=held, charge=10)
    tamper(
        """
        DROP INDEX credits_entry_one_settle;
        INSERT INTO credits_entry (id, account_id, seq, kind, amount, reserved_delta, spent_delta, available_delta,
            available_after, reserved_after, hold_id, reference, price_id)
        SELECT gen_random_uuid(), account_id, 4, kind, amount, reserved_delta, spent_delta, available_delta,
            available_after + available_delta, reserved_after + reserved_delta, hold_id, reference, price_id
        FROM credits_entry WHERE kind = 'settle'
        """
    )
    assert {"settlements", "guards", "negative", "balance"} <= found()


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER TABLE credits_entry DISABLE TRIGGER credits_entry_fixed",
        "ALTER TABLE credits_account DISABLE TRIGGER ALL",
        "DROP TRIGGER credits_entry_not_emptied ON credits_entry",
        "ALTER TABLE credits_entry DROP CONSTRAINT credits_entry_key",
    ],
)
def test_a_rule_that_was_switched_off_is_found(db: None, sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)
    assert found() == {"guards"}


def test_the_command_is_silent_about_nothing_and_succeeds(held: UUID, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("ledger_audit")
    assert capsys.readouterr().out == "1 accounts, 2 entries, 8 checks: 0 differences\n"


def test_the_command_prints_each_difference_and_fails(
    account: Account, held: UUID, capsys: pytest.CaptureFixture[str]
) -> None:
    tamper("UPDATE credits_account SET available = 1000")
    with pytest.raises(SystemExit) as end:
        call_command("ledger_audit")
    assert end.value.code == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"balance: account {account.pk} account has available 1000")
    assert lines[-1] == "1 accounts, 2 entries, 8 checks: 2 differences"


def test_the_command_speaks_json(account: Account, held: UUID, capsys: pytest.CaptureFixture[str]) -> None:
    tamper("UPDATE credits_account SET available = 1000")
    with pytest.raises(SystemExit):
        call_command("ledger_audit", json=True)
    report = json.loads(capsys.readouterr().out)
    assert report["accounts"] == 1
    assert [difference["check"] for difference in report["differences"]] == ["balance", "conservation"]
    assert report["differences"][0]["account"] == str(account.pk)
