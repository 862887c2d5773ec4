from datetime import UTC, datetime, timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from pytest_django import DjangoAssertNumQueries, Settings

from backend.core.ids import uuid7
from backend.credits import price_book, services
from backend.credits.errors import NoPrice, PriceConflict
from backend.credits.models import Price
from backend.credits.pricing import Rates
from backend.users.models import User

pytestmark = pytest.mark.django_db
RATES = Rates(2, 3, 4)


@pytest.fixture(autouse=True)
def _no_memory(settings: Settings) -> None:
    settings.PRICE_CACHE_SECONDS = 0


def in_an_hour() -> datetime:
    return datetime.now(UTC) + timedelta(hours=1)


def test_a_model_has_its_own_price_or_the_default_one() -> None:
    assert services.price_for("local:extractive").model == "local:extractive"
    assert services.price_for("other:model").model == "*"


def test_a_price_computes_cost_and_ceiling() -> None:
    price = services.price_for("other:model")
    assert price.cost(1000, 1000) == 1 + 1 + 4
    assert price.ceiling(2000, 1000) == 1 + 2 + 4


def test_a_price_is_remembered_for_a_while(
    settings: Settings, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    settings.PRICE_CACHE_SECONDS = 60
    with django_assert_num_queries(1):
        assert services.price_for("other:model") == services.price_for("other:model")


def test_without_any_price_the_error_names_the_model() -> None:
    Price.objects.all().delete()
    with pytest.raises(NoPrice) as refusal:
        services.price_for("other:model")
    assert refusal.value.details == {"model": "other:model"}


def test_a_new_price_ends_the_one_before() -> None:
    before = services.price_for("*")
    price = services.set_price(model="*", rates=RATES)
    before.refresh_from_db()
    assert before.valid_to == price.valid_from
    assert services.price_for("*") == price


def test_a_price_can_be_announced() -> None:
    services.set_price(model="*", rates=RATES, valid_from=in_an_hour())
    assert services.price_for("*").rates == Rates(1, 1, 4)


def test_a_price_cannot_run_into_an_announced_one() -> None:
    services.set_price(model="*", rates=RATES, valid_from=in_an_hour())
    with pytest.raises(PriceConflict):
        services.set_price(model="*", rates=RATES)
    assert services.price_for("*").valid_to is not None


def test_a_price_cannot_rewrite_the_past() -> None:
    ago = [datetime.now(UTC) - timedelta(hours=hours) for hours in (2, 1)]
    Price.objects.create(model="m", per_answer=1, input_per_1k=0, output_per_1k=0, valid_from=ago[0])
    with pytest.raises(PriceConflict):
        services.set_price(model="m", rates=RATES, valid_from=ago[1])


def test_an_ended_price_is_no_longer_found_and_stays_ended() -> None:
    price = services.end_price(price=services.price_for("local:extractive"))
    assert services.price_for("local:extractive").model == "*"
    assert services.end_price(price=price).valid_to == price.valid_to


def test_only_a_positive_price_is_a_price() -> None:
    with pytest.raises(IntegrityError, match="credits_price_positive"):
        services.set_price(model="m", rates=Rates(0, 0, 0))


@pytest.mark.parametrize("change", [{"per_answer": 9}, {"model": "x"}, {"valid_from": in_an_hour()}, {"id": uuid7()}])
def test_a_price_is_never_edited(change: dict[str, object]) -> None:
    with pytest.raises(IntegrityError, match="never edited"):
        Price.objects.filter(model="*").update(**change)


def test_a_price_that_has_ended_cannot_be_reopened() -> None:
    with transaction.atomic():
        price = services.end_price(price=services.price_for("*"))
    with pytest.raises(IntegrityError, match="only be changed in the future"):
        Price.objects.filter(pk=price.pk).update(valid_to=None)


def test_overlapping_prices_are_refused_by_the_database() -> None:
    with pytest.raises(IntegrityError, match="one price at a time"):
        Price.objects.create(model="*", per_answer=5, input_per_1k=0, output_per_1k=0, valid_from=in_an_hour())


def test_a_price_that_was_used_cannot_be_deleted(owner: User) -> None:
    services.topup(account=services.account_for(owner), amount=5, actor=owner, reason="test", key="k")
    services.hold(user=owner, amount=1, reference=uuid7(), price=services.price_for("*"))
    with pytest.raises(IntegrityError), connection.cursor() as cursor:
        cursor.execute("DELETE FROM credits_price WHERE model = '*'; SET CONSTRAINTS ALL IMMEDIATE")


def test_the_memory_is_of_this_process_only_and_can_be_dropped(settings: Settings) -> None:
    settings.PRICE_CACHE_SECONDS = 60
    before = services.price_for("*")
    services.set_price(model="*", rates=RATES)
    assert services.price_for("*") != before
    price_book.forget_prices()
    assert services.price_for("*").rates == RATES
