"""Which price is in force, and how a new one comes to be."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import psycopg
from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.db.models import Q
from django.db.models.functions import Now

from backend.credits.errors import NoPrice, PriceConflict
from backend.credits.models import DEFAULT_MODEL, Price
from backend.credits.pricing import Rates

_remembered: dict[str, tuple[float, Price]] = {}  # until when (monotonic seconds), by model id


def price_for(model_id: str) -> Price:
    """The price in force for this model, else the default one; raises NoPrice. Remembered for PRICE_CACHE_SECONDS."""
    until, price = _remembered.get(model_id, (0.0, None))
    if price is not None and time.monotonic() < until:
        return price
    prices = {price.model: price for price in Price.objects.valid().for_model(model_id)}
    found = prices.get(model_id) or prices.get(DEFAULT_MODEL)
    if found is None:
        raise NoPrice(details={"model": model_id})
    _remembered[model_id] = (time.monotonic() + settings.PRICE_CACHE_SECONDS, found)
    return found


def forget_prices() -> None:
    """Let the next `price_for` of this process read the price book."""
    _remembered.clear()


def set_price(*, model: str, rates: Rates, valid_from: datetime | None = None) -> Price:
    """The price from `valid_from` (default: now) on; the one in force until then ends. Raises PriceConflict."""
    with _refusals_translated(model), transaction.atomic():
        start = valid_from or _database_time()  # within: a time before the transaction's own is the past
        in_force = Price.objects.filter(Q(valid_to=None) | Q(valid_to__gt=start), model=model, valid_from__lt=start)
        in_force.update(valid_to=start)
        price = Price.objects.create(
            model=model, per_answer=rates.per_answer, input_per_1k=rates.input_per_1k,
            output_per_1k=rates.output_per_1k, valid_from=start,
        )  # fmt: skip
    forget_prices()
    return price


def _database_time() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        time: datetime = cursor.fetchone()[0]
    return time


def end_price(*, price: Price) -> Price:
    """Answers that start from now on no longer find it. One that has already ended stays as it is."""
    Price.objects.valid().filter(pk=price.pk).update(valid_to=Now())
    forget_prices()
    price.refresh_from_db()
    return price


@contextmanager
def _refusals_translated(model: str) -> Iterator[None]:
    """Around the transaction, not in it: where PostgreSQL refused, nothing of it stands."""
    try:
        yield
    except IntegrityError as exc:
        if isinstance(exc.__cause__, psycopg.errors.ExclusionViolation | psycopg.errors.RestrictViolation):
            raise PriceConflict(details={"model": model}) from exc
        raise
