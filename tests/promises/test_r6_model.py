"""R6: the ledger equals a model of it in a dictionary, whatever is done in whatever order."""

from dataclasses import dataclass, field
from uuid import UUID

import pytest
from django.db import transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from backend.core.errors import ChatSphereError
from backend.core.ids import uuid7
from backend.credits import services
from backend.credits.audit import find_differences
from backend.credits.errors import (
    HoldNotFound,
    InvalidAmount,
    KeyUsedForAnotherEntry,
    NotEnoughCredits,
    ReferenceUsedForAnotherHold,
)
from backend.credits.models import Account, Entry
from backend.users.models import User

LIMIT = 1000
amounts = st.one_of(st.integers(-90, 90), st.sampled_from([-LIMIT - 1, -LIMIT, LIMIT, LIMIT + 1]))
who = st.integers(0, 1)


@dataclass
class Purse:
    available: int = 0
    reserved: int = 0
    spent: int = 0
    entries: int = 0
    keys: dict[str, tuple[str, int]] = field(default_factory=dict)

    def move(self, *, available: int = 0, reserved: int = 0, spent: int = 0) -> None:
        self.available, self.reserved, self.spent = (
            self.available + available,
            self.reserved + reserved,
            self.spent + spent,
        )
        self.entries += 1


@dataclass
class Model:
    """What the ledger promises, in forty lines: each act returns the name of its refusal, or None."""

    purses: list[Purse] = field(default_factory=lambda: [Purse(), Purse()])
    holds: dict[UUID, tuple[int, int]] = field(default_factory=dict)
    charges: dict[UUID, int] = field(default_factory=dict)

    def credit(self, kind: str, person: int, amount: int, key: str) -> type[ChatSphereError] | None:
        purse = self.purses[person]
        if not 0 < abs(amount) <= LIMIT or (kind == "topup" and amount < 0):
            return InvalidAmount
        if key in purse.keys:
            return None if purse.keys[key] == (kind, amount) else KeyUsedForAnotherEntry
        if purse.available + amount < 0:
            return NotEnoughCredits
        purse.keys[key] = (kind, amount)
        purse.move(available=amount)
        return None

    def hold(self, person: int, amount: int, reference: UUID) -> type[ChatSphereError] | None:
        purse = self.purses[person]
        if amount <= 0:
            return InvalidAmount
        if reference in self.holds:
            return None if self.holds[reference] == (person, amount) else ReferenceUsedForAnotherHold
        if purse.available < amount:
            return NotEnoughCredits
        self.holds[reference] = (person, amount)
        purse.available, purse.reserved, purse.entries = (
            purse.available - amount,
            purse.reserved + amount,
            purse.entries + 1,
        )
        return None

    def settle(self, reference: UUID, charge: int) -> type[ChatSphereError] | None:
        if reference not in self.holds:
            return HoldNotFound
        if reference not in self.charges:
            person, amount = self.holds[reference]
            purse, paid = self.purses[person], min(max(charge, 0), amount)
            self.charges[reference] = paid
            purse.available, purse.reserved, purse.spent = (
                purse.available + amount - paid,
                purse.reserved - amount,
                purse.spent + paid,
            )
            purse.entries += 1
        return None


class Ledger(RuleBasedStateMachine):
    keys = Bundle("keys")
    references = Bundle("references")
    counts = {"examples": 0, "acts": 0, "refusals": 0}

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.transaction = transaction.atomic()
        self.transaction.__enter__()
        self.price = services.price_for("*")
        self.users = [User.objects.create(email=f"user{number}@example.com") for number in range(2)]
        self.accounts = [services.account_for(user) for user in self.users]
        self.counts["examples"] += 1
        for person in (0, 1):
            self.credit("topup", person, 200, "start")

    def teardown(self) -> None:
        assert find_differences() == []
        transaction.set_rollback(True)
        self.transaction.__exit__(None, None, None)

    @initialize(target=keys)
    def some_keys(self) -> object:
        return multiple("a", "b", "c")

    @initialize(target=references)
    def some_references(self) -> object:
        return multiple(uuid7(), uuid7())

    @rule(person=who, amount=st.integers(1, 100))
    def new_topup(self, person: int, amount: int) -> None:
        self.credit("topup", person, amount, str(uuid7()))

    @rule(person=who, amount=amounts, key=keys)
    def topup(self, person: int, amount: int, key: str) -> None:
        self.credit("topup", person, amount, key)

    @rule(person=who, amount=amounts, key=keys)
    def adjust(self, person: int, amount: int, key: str) -> None:
        self.credit("adjust", person, amount, key)

    def credit(self, kind: str, person: int, amount: int, key: str) -> None:
        verb = services.topup if kind == "topup" else services.adjust
        with self.expect(self.model.credit(kind, person, amount, key)):
            verb(account=self.accounts[person], amount=amount, actor=self.users[0], reason="test", key=key)

    @rule(target=references, person=who, amount=st.integers(1, 60))
    def new_hold(self, person: int, amount: int) -> UUID:
        reference = uuid7()
        self.do_hold(person, amount, reference)
        return reference

    @rule(person=who, amount=st.integers(-1, 60), reference=references)
    def hold(self, person: int, amount: int, reference: UUID) -> None:
        self.do_hold(person, amount, reference)

    def do_hold(self, person: int, amount: int, reference: UUID) -> None:
        with self.expect(self.model.hold(person, amount, reference)):
            services.hold(user=self.users[person], amount=amount, reference=reference, price=self.price)

    @rule(charge=st.integers(-5, 70), reference=references)
    def settle(self, charge: int, reference: UUID) -> None:
        with self.expect(self.model.settle(reference, charge)):
            entry = services.settle(reference=reference, charge=charge)
            assert entry.amount == self.model.charges[reference]

    @invariant()
    def the_balances_are_equal(self) -> None:
        for account, purse in zip(self.accounts, self.model.purses, strict=True):
            account.refresh_from_db()
            assert (account.available, account.reserved, account.spent, account.seq) == (
                purse.available, purse.reserved, purse.spent, purse.entries,
            )  # fmt: skip
        assert Entry.objects.count() == sum(purse.entries for purse in self.model.purses)

    def expect(self, refusal: type[ChatSphereError] | None) -> "Expectation":
        self.counts["acts"] += 1
        self.counts["refusals"] += refusal is not None
        return Expectation(refusal)


class Expectation:
    """The act must be refused so, or succeed; in a savepoint, because a refused hold ends its transaction."""

    def __init__(self, refusal: type[ChatSphereError] | None) -> None:
        self.refusal = refusal
        self.savepoint = transaction.atomic()

    def __enter__(self) -> None:
        self.savepoint.__enter__()

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: object) -> bool:
        self.savepoint.__exit__(kind, exc, trace)  # type: ignore[arg-type]
        assert kind is None or kind is self.refusal, f"{kind} instead of {self.refusal}"
        assert self.refusal is None or kind is self.refusal, f"success instead of {self.refusal}"
        return kind is not None


def play(*, examples: int, steps: int) -> None:
    Ledger.counts = dict.fromkeys(Ledger.counts, 0)
    checks = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
    machine = settings(
        max_examples=examples, stateful_step_count=steps, deadline=None, suppress_health_check=checks, database=None
    )
    run_state_machine_as_test(Ledger, settings=machine)
    print(f"\nR6: {Ledger.counts}, 0 differences")


@pytest.fixture(autouse=True)
def _limits(settings: object) -> None:
    settings.SIGNUP_GRANT = 0  # type: ignore[attr-defined]
    settings.TOPUP_LIMIT = LIMIT  # type: ignore[attr-defined]


@pytest.mark.django_db
def test_the_ledger_equals_its_model() -> None:
    play(examples=25, steps=30)
    assert Ledger.counts["refusals"] > 0
    assert Account.objects.count() == 0


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.django_db
def test_the_ledger_equals_its_model_a_thousand_times() -> None:
    play(examples=1000, steps=50)
