"""A process that works on the ledger until it is killed: `python -m tests.promises.ledger_load LOG SEED THREADS`.

Before each act it writes a line "try" to LOG, and after the ledger has answered a line "ack" with the entry it got.
Where the database goes away, the act is repeated under its own key, as a client would.
"""

import json
import os
import random
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypedDict, TypeVar
from uuid import UUID

import django
import psycopg

django.setup()

from django.db import DatabaseError, InterfaceError, OperationalError, connection  # noqa: E402 - settings come first

from backend.core.ids import uuid7  # noqa: E402
from backend.credits import services  # noqa: E402
from backend.credits.errors import NotEnoughCredits  # noqa: E402
from backend.credits.models import Account, Entry, Price  # noqa: E402
from backend.users.models import User  # noqa: E402

GIVE_UP_SECONDS = 60.0
T = TypeVar("T")
LOST = (OperationalError, InterfaceError, psycopg.OperationalError)


class Line(TypedDict, total=False):
    what: str
    verb: str
    ident: str
    account: str
    entry: str
    amount: int


@dataclass
class Clerk:
    """One thread's work, all of it chosen by its seed."""

    log: int
    rng: random.Random
    accounts: list[Account]
    price: Price
    open: list[tuple[Account, UUID, int]] = field(default_factory=list)
    last: tuple[Line, Callable[[], Entry]] | None = None

    def run(self) -> None:
        while True:
            act = self.rng.choices([self.topup, self.adjust, self.hold, self.settle, self.repeat], [2, 1, 4, 4, 2])[0]
            act()

    def topup(self) -> None:
        user, account, key, amount = *self.someone(), str(uuid7()), self.rng.randint(1, 500)
        values: Any = {"account": account, "amount": amount, "actor": user, "reason": "load", "key": key}
        self.do("topup", account, key, lambda: services.topup(**values))

    def adjust(self) -> None:
        user, account, key, amount = *self.someone(), str(uuid7()), self.rng.choice([-300, -20, 5, 40])
        values: Any = {"account": account, "amount": amount, "actor": user, "reason": "load", "key": key}
        self.do("adjust", account, key, lambda: services.adjust(**values))

    def hold(self) -> None:
        user, account, reference, amount = *self.someone(), uuid7(), self.rng.randint(1, 400)
        values: Any = {"user": user, "amount": amount, "reference": reference, "price": self.price}
        if self.do("hold", account, str(reference), lambda: services.hold(**values)):
            self.open.append((account, reference, amount))

    def someone(self) -> tuple[User, Account]:
        account = self.rng.choice(self.accounts)
        assert account.user
        return account.user, account

    def settle(self) -> None:
        if not self.open:
            return
        account, reference, amount = self.open.pop(self.rng.randrange(len(self.open)))
        charge = self.rng.choice([0, 1, amount // 2, amount, amount + 7])
        self.do("settle", account, str(reference), lambda: services.settle(reference=reference, charge=charge))

    def repeat(self) -> None:
        if self.last:
            self.write(self.last[0], self.last[1])

    def do(self, verb: str, account: Account, ident: str, call: Callable[[], Entry]) -> Entry | None:
        line = Line(verb=verb, ident=ident, account=str(account.pk))
        self.last = (line, call)
        return self.write(line, call)

    def write(self, line: Line, call: Callable[[], Entry]) -> Entry | None:
        self.note({**line, "what": "try"})
        try:
            entry = persistently(call)
        except NotEnoughCredits:
            self.note({**line, "what": "refused"})
            return None
        self.note({**line, "what": "ack", "entry": str(entry.pk), "amount": entry.amount})
        return entry

    def note(self, line: Line) -> None:
        os.write(
            self.log, (json.dumps(line) + "\n").encode()
        )  # the file is opened to append: a line is whole or absent


def persistently(call: Callable[[], T]) -> T:
    deadline = time.monotonic() + GIVE_UP_SECONDS
    while True:
        try:
            return call()
        except LOST:
            if time.monotonic() > deadline:
                raise
            close_quietly()
            time.sleep(0.05)


def close_quietly() -> None:
    try:
        connection.close()
    except DatabaseError:
        connection.connection = None


def main(path: str, seed: str, threads: str) -> None:
    log = os.open(Path(path), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    accounts = persistently(lambda: list(Account.objects.select_related("user")))
    price = persistently(lambda: services.price_for("*"))
    clerks = [Clerk(log, random.Random(f"{seed} {number}"), accounts, price) for number in range(int(threads))]
    for clerk in clerks:
        threading.Thread(target=clerk.run).start()


if __name__ == "__main__":
    main(*sys.argv[1:])
