from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.utils import timezone

from backend.core.models import IdempotencyRecord, RateCounter
from backend.core.tasks import forget_the_past
from backend.users.models import User

NOW = timezone.now()


@pytest.mark.parametrize(("age", "kept"), [(timedelta(days=1), 1), (timedelta(days=400), 0)])
def test_what_is_long_over_is_forgotten(owner: User, age: timedelta, kept: int) -> None:
    record = IdempotencyRecord.objects.create(user=owner, key="k", fingerprint="f", status=201, body={})
    IdempotencyRecord.objects.filter(pk=record.pk).update(created_at=NOW - age)
    RateCounter.objects.create(scope="s", ident="i", window=NOW - age, count=1)
    Session.objects.create(session_key="s", session_data="", expire_date=NOW - age + timedelta(days=2))
    forget_the_past(0)
    assert [model.objects.count() for model in (IdempotencyRecord, RateCounter, Session)] == [kept] * 3
