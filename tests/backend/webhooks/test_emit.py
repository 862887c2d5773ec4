"""A message exists exactly when what it tells of does."""

from uuid import UUID

import pytest
from django.db import transaction
from procrastinate.contrib.django.models import ProcrastinateJob
from pytest_django import DjangoAssertNumQueries

from backend.users.models import User
from backend.webhooks import services
from backend.webhooks.models import Delivery, Endpoint
from tests.backend.webhooks.conftest import Listen


def emit(owner_id: UUID, event: str = "document.ready") -> int:
    return services.emit(owner_id=owner_id, event=event, data={"document": "d"})


def reminders() -> int:
    return ProcrastinateJob.objects.filter(task_name=services.SEND).count()


@pytest.mark.django_db
def test_where_nobody_listens_it_is_one_query_and_no_job(
    owner: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(1):
        assert emit(owner.pk) == 0
    assert reminders() == 0


@pytest.mark.django_db
def test_every_endpoint_that_listens_is_told(owner: User, listen: Listen) -> None:
    for events in (["document.ready"], ["document.failed", "document.ready"], ["document.failed"]):
        listen(*events)
    assert emit(owner.pk) == 2
    assert [(one.event, one.data) for one in Delivery.objects.all()] == [("document.ready", {"document": "d"})] * 2


@pytest.mark.django_db
def test_others_are_not_told(owner: User, stranger: User, listen: Listen) -> None:
    listen(owner=stranger)
    assert emit(owner.pk) == 0


@pytest.mark.django_db
def test_one_that_is_switched_off_is_not_told(owner: User, listen: Listen) -> None:
    endpoint, _ = listen()
    services.change_endpoint(endpoint=endpoint, changes={"enabled": False})
    assert emit(owner.pk) == 0


@pytest.mark.django_db(transaction=True)
def test_what_is_rolled_back_is_not_told(owner: User, listen: Listen) -> None:
    listen()
    with transaction.atomic():
        emit(owner.pk)
        transaction.set_rollback(True)
    assert (Delivery.objects.count(), reminders()) == (0, 0)


@pytest.mark.django_db
def test_many_messages_leave_one_reminder(owner: User, listen: Listen) -> None:
    listen()
    for _ in range(5):
        emit(owner.pk)
    assert (Delivery.objects.count(), reminders()) == (5, 1)


@pytest.mark.django_db
def test_a_deleted_account_leaves_no_endpoint(owner: User, listen: Listen) -> None:
    listen()
    emit(owner.pk)
    owner.delete()
    assert (Endpoint.objects.count(), Delivery.objects.count()) == (0, 0)
