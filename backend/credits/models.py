"""The ledger's tables. What may be in them is decided by the triggers of migration 0002, not by this module."""

from typing import Any, ClassVar
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.db import models
from django.db.models.functions import Now

from backend.core.ids import uuid7
from backend.credits import pricing
from backend.users.models import User

DEFAULT_MODEL = "*"


class Kind(models.TextChoices):
    TOPUP = "topup", "Top-up"
    GRANT = "grant", "Grant"
    ADJUST = "adjust", "Adjustment"
    HOLD = "hold", "Hold"
    SETTLE = "settle", "Settlement"


CREDITING = (Kind.TOPUP, Kind.GRANT, Kind.ADJUST)
"""The kinds that move credits into or out of the ledger; the others move them inside an account."""


class Plan(models.Model):
    """What an account may have at once; an empty limit is none. What the person deletes is free again at once."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=60, unique=True)
    is_default = models.BooleanField(default=False, editable=False)  # of accounts that have no plan of their own
    bots = models.PositiveIntegerField(null=True, blank=True)
    files = models.PositiveIntegerField(null=True, blank=True, help_text="Documents of all bots together")
    bytes = models.PositiveBigIntegerField(null=True, blank=True, help_text="Of their originals")
    pages = models.PositiveIntegerField(null=True, blank=True, help_text="That were read from them")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["is_default"], condition=models.Q(is_default=True), name="credits_plan_default"
            )
        ]

    def __str__(self) -> str:
        return self.name


class AccountQuerySet(models.QuerySet["Account"]):
    def of(self, user: User) -> "AccountQuerySet":
        return self.filter(user_id=user.pk)

    def with_grant(self, key: str) -> models.QuerySet[Any]:
        """Adds `granted`: whether the entry with this key exists."""
        entries = Entry.objects.filter(account=models.OuterRef("pk"), key=key)
        return self.annotate(granted=models.Exists(entries))


class Account(models.Model):
    """A person's credits. The numbers are what the entries add up to; only a new entry can change them.

    Outlives the person: without a user it is a pseudonym whose history still adds up.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="credit_account"
    )
    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, null=True, blank=True, related_name="accounts")
    available = models.BigIntegerField(db_default=0)
    reserved = models.BigIntegerField(db_default=0)
    spent = models.BigIntegerField(db_default=0)
    seq = models.BigIntegerField(db_default=0)  # of the account's newest entry
    low_balance = models.PositiveBigIntegerField(null=True)  # told below this many credits; null: LOW_BALANCE, 0: never
    created_at = models.DateTimeField(db_default=Now())

    objects: ClassVar[Any] = AccountQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=models.Q(available__gte=0), name="credits_account_available"),
            models.CheckConstraint(condition=models.Q(reserved__gte=0), name="credits_account_reserved"),
            models.CheckConstraint(condition=models.Q(spent__gte=0), name="credits_account_spent"),
        ]

    def __str__(self) -> str:
        return self.user.email if self.user else f"deleted user {self.pk}"

    @property
    def low_balance_in_force(self) -> int:
        return settings.LOW_BALANCE if self.low_balance is None else self.low_balance

    @property
    def has_own_low_balance(self) -> bool:
        return self.low_balance is not None


class PriceQuerySet(models.QuerySet["Price"]):
    def valid(self) -> "PriceQuerySet":
        """Those in force by the database's clock."""
        return self.filter(models.Q(valid_to=None) | models.Q(valid_to__gt=Now()), valid_from__lte=Now())

    def for_model(self, model_id: str) -> "PriceQuerySet":
        return self.filter(model__in=[model_id, DEFAULT_MODEL])


class Price(models.Model):
    """What answers of one model cost from `valid_from` until `valid_to`. Never edited: a new price is a new row."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    model = models.CharField(max_length=120, help_text="A model's id, or * for every model without a price of its own.")
    per_answer = models.PositiveIntegerField()
    input_per_1k = models.PositiveIntegerField()
    output_per_1k = models.PositiveIntegerField()
    valid_from = models.DateTimeField(db_default=Now())
    valid_to = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[Any] = PriceQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=models.Q(per_answer__gt=0) | models.Q(input_per_1k__gt=0) | models.Q(output_per_1k__gt=0),
                name="credits_price_positive",
            ),
            models.CheckConstraint(
                condition=models.Q(valid_to=None) | models.Q(valid_to__gte=models.F("valid_from")),
                name="credits_price_period",
            ),
            models.CheckConstraint(condition=~models.Q(model=""), name="credits_price_model"),
        ]
        indexes: ClassVar = [models.Index(fields=["model", "-valid_from"], name="credits_price_model_from")]

    def __str__(self) -> str:
        return f"{self.model}: {self.per_answer} + {self.input_per_1k} in + {self.output_per_1k} out per 1000"

    @property
    def rates(self) -> pricing.Rates:
        return pricing.Rates(self.per_answer, self.input_per_1k, self.output_per_1k)

    def cost(self, input_tokens: int, output_tokens: int) -> int:
        return pricing.cost(self.rates, input_tokens=input_tokens, output_tokens=output_tokens)

    def ceiling(self, max_input_tokens: int, max_output_tokens: int) -> int:
        return pricing.ceiling(self.rates, max_input_tokens=max_input_tokens, max_output_tokens=max_output_tokens)


class EntryQuerySet(models.QuerySet["Entry"]):
    def of(self, user: User | AnonymousUser) -> "EntryQuerySet":
        owner: Any = user.pk
        return self.filter(account__user_id=owner)

    def newest_first(self) -> "EntryQuerySet":
        return self.order_by("-seq")


class Entry(models.Model):
    """One movement of credits, for ever. A mistake is corrected by another entry.

    `amount` is what the caller says, the rest the database computes from it: a hold's amount moves from available to
    reserved; a settlement's amount is spent, and what its hold held beyond it returns to available.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="entries", db_index=False)
    seq = models.BigIntegerField(db_default=0)
    kind = models.CharField(max_length=8, choices=Kind.choices)
    amount = models.BigIntegerField()
    available_delta = models.BigIntegerField(db_default=0)
    reserved_delta = models.BigIntegerField(db_default=0)
    spent_delta = models.BigIntegerField(db_default=0)
    available_after = models.BigIntegerField(db_default=0)
    reserved_after = models.BigIntegerField(db_default=0)
    hold = models.ForeignKey("self", on_delete=models.PROTECT, null=True, related_name="settlements", db_index=False)
    reference = models.UUIDField(null=True)  # the answer that is paid for
    key = models.CharField(max_length=200, null=True)  # noqa: DJ001 - null is "no key"; '' would be one and the same key
    price = models.ForeignKey(Price, on_delete=models.PROTECT, null=True, related_name="+", db_index=False)
    input_tokens = models.BigIntegerField(null=True)
    output_tokens = models.BigIntegerField(null=True)
    # No constraint behind it: the row stays as it is when that person's account is deleted.
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, null=True,
        related_name="+",
    )  # fmt: skip
    reason = models.CharField(max_length=500, blank=True, db_default="")
    request_id = models.CharField(max_length=64, db_default="-")
    created_at = models.DateTimeField(db_default=Now())

    objects: ClassVar[Any] = EntryQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "entries"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["account", "seq"], name="credits_entry_seq"),
            models.UniqueConstraint(fields=["account", "key"], name="credits_entry_key"),
            models.UniqueConstraint(
                fields=["hold"], condition=models.Q(kind=Kind.SETTLE), name="credits_entry_one_settle"
            ),
            models.UniqueConstraint(
                fields=["reference"], condition=models.Q(kind=Kind.HOLD), name="credits_entry_one_hold"
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["-created_at"], name="credits_entry_created")]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.amount}"

    def says_the_same(self, *, kind: str, account_id: UUID, amount: int) -> bool:
        """Whether a repeated request is this entry again, and not another one under the same key or reference."""
        return (self.kind, self.account_id, self.amount) == (kind, account_id, amount)
