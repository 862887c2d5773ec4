"""Whether the ledger adds up, recomputed from the entries by set-based queries; each sees one snapshot."""

from dataclasses import dataclass
from uuid import UUID

from django.db import connection

_BALANCE = """
    SELECT account.id, NULL::uuid, format(
        'account has available %s, reserved %s, spent %s, seq %s; its entries say %s, %s, %s, %s',
        account.available, account.reserved, account.spent, account.seq,
        coalesce(total.available, 0), coalesce(total.reserved, 0), coalesce(total.spent, 0), coalesce(total.entries, 0))
    FROM credits_account AS account
    LEFT JOIN (
        SELECT account_id, count(*) AS entries,
            sum(available_delta) AS available, sum(reserved_delta) AS reserved, sum(spent_delta) AS spent
        FROM credits_entry GROUP BY account_id
    ) AS total ON total.account_id = account.id
    WHERE (account.available, account.reserved, account.spent, account.seq) IS DISTINCT FROM (
        coalesce(total.available, 0), coalesce(total.reserved, 0), coalesce(total.spent, 0), coalesce(total.entries, 0)
    )
"""

_CHAIN = """
    SELECT account_id, id, format(
        'entry %s is number %s in its account and leaves available %s, reserved %s; by the one before, %s, %s',
        seq, place, available_after, reserved_after,
        available_before + available_delta, reserved_before + reserved_delta)
    FROM (
        SELECT *, row_number() OVER chain AS place,
            coalesce(lag(available_after) OVER chain, 0) AS available_before,
            coalesce(lag(reserved_after) OVER chain, 0) AS reserved_before
        FROM credits_entry WINDOW chain AS (PARTITION BY account_id ORDER BY seq)
    ) AS entry
    WHERE seq <> place
        OR available_after <> available_before + available_delta
        OR reserved_after <> reserved_before + reserved_delta
"""

_DELTAS = """
    SELECT entry.account_id, entry.id, format(
        '%s of %s moves available %s, reserved %s, spent %s',
        entry.kind, entry.amount, entry.available_delta, entry.reserved_delta, entry.spent_delta)
    FROM credits_entry AS entry
    LEFT JOIN credits_entry AS hold ON hold.id = entry.hold_id
    WHERE (entry.available_delta, entry.reserved_delta, entry.spent_delta) IS DISTINCT FROM
        (CASE entry.kind
             WHEN 'hold' THEN -entry.amount WHEN 'settle' THEN hold.amount - entry.amount ELSE entry.amount END,
         CASE entry.kind WHEN 'hold' THEN entry.amount WHEN 'settle' THEN -hold.amount ELSE 0 END,
         CASE entry.kind WHEN 'settle' THEN entry.amount ELSE 0 END)
"""

_SETTLEMENTS = """
    SELECT entry.account_id, entry.id, format(
        'charges %s of a hold of %s; settlements of that hold: %s', entry.amount, hold.amount, entry.settlements)
    FROM (
        SELECT *, count(*) OVER (PARTITION BY hold_id) AS settlements FROM credits_entry WHERE kind = 'settle'
    ) AS entry
    LEFT JOIN credits_entry AS hold ON hold.id = entry.hold_id AND hold.kind = 'hold'
        AND hold.account_id = entry.account_id AND hold.reference = entry.reference
    WHERE hold.id IS NULL OR entry.amount NOT BETWEEN 0 AND hold.amount OR entry.settlements <> 1
"""

_OPEN_HOLDS = """
    SELECT account.id, NULL::uuid,
        format('reserved is %s; its open holds add up to %s', account.reserved, coalesce(open.amount, 0))
    FROM credits_account AS account
    LEFT JOIN (
        SELECT hold.account_id, sum(hold.amount) AS amount
        FROM credits_entry AS hold
        WHERE hold.kind = 'hold'
            AND NOT EXISTS (SELECT FROM credits_entry AS entry WHERE entry.kind = 'settle' AND entry.hold_id = hold.id)
        GROUP BY hold.account_id
    ) AS open ON open.account_id = account.id
    WHERE account.reserved <> coalesce(open.amount, 0)
"""

_NEGATIVE = """
    SELECT id, NULL::uuid, format('available %s, reserved %s, spent %s', available, reserved, spent)
    FROM credits_account WHERE least(available, reserved, spent) < 0
    UNION ALL
    SELECT account_id, id, format('available %s, reserved %s after entry %s', available_after, reserved_after, seq)
    FROM credits_entry WHERE least(available_after, reserved_after) < 0
"""

_CONSERVATION = """
    SELECT NULL::uuid, NULL::uuid, format('credited %s in all; available + reserved + spent is %s', credited, present)
    FROM (
        SELECT coalesce(sum(amount), 0) AS credited FROM credits_entry WHERE kind IN ('topup', 'grant', 'adjust')
    ) AS entries,
        (SELECT coalesce(sum(available + reserved + spent), 0) AS present FROM credits_account) AS accounts
    WHERE credited <> present
"""

# 'O' is a trigger that fires; a restore, or somebody with the owner's rights, may have left one off.
_GUARDS = """
    SELECT NULL::uuid, NULL::uuid, format('the trigger %s is missing or switched off', guard.name)
    FROM (VALUES
        ('credits_entry', 'credits_entry_compute'), ('credits_entry', 'credits_entry_move'),
        ('credits_entry', 'credits_entry_fixed'), ('credits_entry', 'credits_entry_not_emptied'),
        ('credits_account', 'credits_account_guard'), ('credits_account', 'credits_account_stays'),
        ('credits_account', 'credits_account_not_emptied'), ('credits_price', 'credits_price_guard')
    ) AS guard (table_name, name)
    WHERE NOT EXISTS (
        SELECT FROM pg_trigger WHERE tgrelid = to_regclass(guard.table_name) AND tgname = guard.name AND tgenabled = 'O'
    )
    UNION ALL
    SELECT NULL::uuid, NULL::uuid, format('the unique index %s is missing or invalid', guard.name)
    FROM (VALUES
        ('credits_entry_seq'), ('credits_entry_key'), ('credits_entry_one_settle'), ('credits_entry_one_hold')
    ) AS guard (name)
    WHERE NOT EXISTS (
        SELECT FROM pg_index WHERE indexrelid = to_regclass(guard.name) AND indisunique AND indisvalid
    )
"""

CHECKS = {
    "balance": _BALANCE,
    "chain": _CHAIN,
    "deltas": _DELTAS,
    "settlements": _SETTLEMENTS,
    "open_holds": _OPEN_HOLDS,
    "negative": _NEGATIVE,
    "conservation": _CONSERVATION,
    "guards": _GUARDS,
}


@dataclass(frozen=True, slots=True)
class Difference:
    check: str
    account: UUID | None
    entry: UUID | None
    detail: str

    def __str__(self) -> str:
        account = f" account {self.account}" if self.account else ""
        entry = f" entry {self.entry}" if self.entry else ""
        return f"{self.check}:{account}{entry} {self.detail}"


def find_differences() -> list[Difference]:
    """Everything that does not add up; empty where all is well. Reads the whole ledger."""
    differences = []
    with connection.cursor() as cursor:
        for check, sql in CHECKS.items():
            cursor.execute(sql)
            differences += [Difference(check, *row) for row in cursor.fetchall()]
    return differences
