"""R8: what somebody tampered with, past every trigger, is found by the next run of the audit."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from backend.core.ids import uuid7
from backend.credits import services
from backend.credits.models import Account
from backend.users.models import User

ROOT = Path(__file__).parents[2]

TAMPERING = {
    "a gift": "UPDATE credits_account SET available = available + 1 WHERE id = %s",
    "a theft": "UPDATE credits_account SET available = available - 1 WHERE id = %s",
    "a free answer": "UPDATE credits_account SET spent = spent - 1, available = available + 1 WHERE id = %s",
    "a hold let go": "UPDATE credits_account SET reserved = 0, available = available + reserved WHERE id = %s",
    "an entry taken out": "DELETE FROM credits_entry WHERE kind = 'settle' AND account_id = %s",
    "a balance rewritten": "UPDATE credits_entry SET available_after = 1 WHERE seq = 2 AND account_id = %s",
}


@pytest.fixture
def victim(transactional_db: None) -> Account:
    """One of ten accounts, each with a settled answer and one that still runs."""
    price = services.price_for("*")
    accounts = []
    for number in range(10):
        user = User.objects.create(email=f"user{number}@example.com")
        accounts.append(services.account_for(user))
        services.topup(account=accounts[-1], amount=100, actor=user, reason="test", key="k")
        settled = uuid7()
        for reference in (settled, uuid7()):
            services.hold(user=user, amount=10, reference=reference, price=price)
        services.settle(reference=settled, charge=4)
    return random.choice(accounts)


def audit() -> tuple[int, dict[str, Any]]:
    database = connection.settings_dict
    url = f"postgres://{database['USER']}@{database['HOST'].replace('/', '%2F')}:{database['PORT']}/{database['NAME']}"
    done = subprocess.run(
        [sys.executable, "manage.py", "ledger_audit", "--json"],
        cwd=ROOT, env={**os.environ, "DATABASE_URL": url}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, json.loads(done.stdout)


def test_what_was_not_tampered_with_passes(victim: Account) -> None:
    code, report = audit()
    assert (code, report["differences"], report["accounts"]) == (0, [], 10)


@pytest.mark.parametrize("what", TAMPERING)
def test_tampering_is_found_in_one_run(victim: Account, what: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute(TAMPERING[what], [victim.pk])
        assert cursor.rowcount == 1
        cursor.execute("SET session_replication_role = origin")
    code, report = audit()
    assert code == 1
    named = {difference["account"] for difference in report["differences"]} - {None}
    assert named == {str(victim.pk)}
    print(f"\nR8: {what}: {[difference['check'] for difference in report['differences']]}")
