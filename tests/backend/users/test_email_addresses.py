import pytest
from django.db import IntegrityError, transaction
from hypothesis import given
from hypothesis import strategies as st

from backend.users.models import User, normalise_email


@given(st.text() | st.emails())
def test_normalising_twice_is_once(text: str) -> None:
    assert normalise_email(normalise_email(text)) == normalise_email(text)


@given(st.emails())
def test_neither_case_nor_blanks_make_another_address(email: str) -> None:
    assert normalise_email(f" {email.upper()}\n") == normalise_email(email)


@pytest.mark.django_db
def test_database_refuses_another_spelling(owner: User) -> None:
    for email in ("Other@example.com", owner.email):
        with pytest.raises(IntegrityError), transaction.atomic():
            User.objects.create(email=email)


@pytest.mark.django_db
def test_database_refuses_a_deleted_account_that_is_active(owner: User) -> None:
    services_forgot = User.objects.filter(pk=owner.pk)
    with pytest.raises(IntegrityError), transaction.atomic():
        services_forgot.update(deleted_at=owner.created_at)
