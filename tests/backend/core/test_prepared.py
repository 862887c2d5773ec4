"""Querysets that are compiled once give what Django's own way gives."""

from uuid import UUID

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.utils import timezone

from backend.bots.models import Bot
from backend.core import prepared
from backend.core.ids import uuid7
from backend.core.prepared import Query
from backend.users.models import Session, User
from backend.users.services import open_session

pytestmark = pytest.mark.django_db

BY_SESSION: Query[Session] = Query(
    lambda session, user: Session.objects.live().filter(pk=session, user_id=user).select_related("user"),
    session=UUID,
    user=UUID,
)
BY_IDS: Query[tuple[str, str]] = Query(
    lambda ids, email: (
        User.objects.filter(pk__among=ids).exclude(email=email).order_by("email").values_list("email", "name")
    ),
    ids=list,
    email=str,
)


def statements_on_the_server() -> list[str]:
    return [text for (text,) in prepared.rows("SELECT statement FROM pg_prepared_statements")]


def test_a_row_is_the_instance_that_django_makes(owner: User) -> None:
    open_session(user=owner, user_agent="a browser")
    expected = Session.objects.select_related("user").get(user=owner)
    found = BY_SESSION.first(session=expected.pk, user=owner.pk)
    assert found is not None
    assert (found, found.user, found.user.email) == (expected, owner, owner.email)
    assert found.created_at == expected.created_at
    assert not found._state.adding


def test_values_go_where_they_belong(owner: User, teammate: User, stranger: User) -> None:
    everybody = [owner.pk, teammate.pk, stranger.pk]
    assert BY_IDS.all(ids=everybody, email=stranger.email) == [(user.email, user.name) for user in (owner, teammate)]
    assert BY_IDS.all(ids=[owner.pk], email="") == [(owner.email, owner.name)]
    assert BY_IDS.all(ids=[], email="") == []


def test_nobody_is_found_by_what_is_nobodys(owner: User, stranger: User) -> None:
    open_session(user=owner, user_agent="")
    session = Session.objects.get(user=owner)
    assert BY_SESSION.first(session=session.pk, user=stranger.pk) is None
    assert BY_SESSION.first(session=uuid7(), user=owner.pk) is None


def test_the_server_keeps_one_statement_for_all_values(owner: User) -> None:
    for _ in range(3):
        BY_SESSION.first(session=uuid7(), user=owner.pk)
    assert sum("users_session" in text for text in statements_on_the_server()) == 1


def test_a_value_is_never_read_as_sql(owner: User) -> None:
    assert BY_IDS.all(ids=[owner.pk], email="x' OR '1'='1") == [(owner.email, owner.name)]


def test_a_parameter_that_is_not_used_is_a_mistake() -> None:
    query: Query[Bot] = Query(lambda bot, user: Bot.objects.filter(pk=bot), bot=UUID, user=UUID)
    with pytest.raises(ValueError, match="does not use user"):
        query.first(bot=uuid7(), user=uuid7())


def test_errors_are_djangos(owner: User) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        prepared.rows("INSERT INTO users_user (id) VALUES (%s)", [uuid7()])
    with pytest.raises(DatabaseError), transaction.atomic():
        prepared.rows("SELECT FROM nothing_of_that_name")


def test_it_counts_as_a_query(owner: User, django_assert_num_queries: object) -> None:
    with django_assert_num_queries(1):  # type: ignore[operator]
        BY_SESSION.first(session=uuid7(), user=owner.pk)


def test_a_connection_that_the_server_has_ended_is_replaced(transactional_db: None) -> None:
    ended = prepared.rows("SELECT pg_backend_pid()")[0][0]
    another = connection.copy()
    with another.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [ended])
    another.close()
    connection.close()  # back into the pool, which has not heard of its end
    for _ in range(5):
        assert prepared.rows("SELECT pg_backend_pid()")[0][0] != ended
        connection.close()


RENAMED = "UPDATE users_user SET name = %(name)s WHERE id = %(user)s RETURNING name"


def renamed(user: User, *rows: Session) -> prepared.Row | None:
    also = "UPDATE users_user SET name = given.name FROM given WHERE users_user.id <> %(other)s"
    along = prepared.Along(rows=rows, statements=[also], values={"other": user.pk})
    return prepared.given(RENAMED, {"name": "Ada", "user": user.pk}, along)


def test_what_is_stored_along_is_stored_with_the_row_and_its_defaults_are_read_back(
    owner: User, stranger: User
) -> None:
    session = Session(user=owner, user_agent="a browser", expires_at=timezone.now())
    assert renamed(owner, session) == ("Ada",)
    stored = Session.objects.get()
    assert (stored.pk, stored.user_agent, stored.created_at) == (session.pk, "a browser", session.created_at)
    assert {user.name for user in User.objects.all()} == {"Ada"}


def test_nothing_is_stored_along_with_no_row(owner: User, stranger: User) -> None:
    nobody = User(pk=uuid7())
    assert renamed(nobody, Session(user=owner, expires_at=timezone.now())) is None
    assert not Session.objects.exists()
    assert "Ada" not in {user.name for user in User.objects.all()}


def test_a_row_is_not_stored_without_what_goes_along(owner: User) -> None:
    pair = [Session(pk=uuid7(), user=owner, expires_at=timezone.now()) for _ in "12"]
    pair[1].pk = pair[0].pk
    with pytest.raises(IntegrityError, match="users_session_pkey"), transaction.atomic():
        renamed(owner, *pair)
    owner.refresh_from_db()
    assert owner.name != "Ada"


def test_what_was_stored_is_known_to_be_stored(owner: User) -> None:
    session = Session(user=owner, user_agent="a browser", expires_at=timezone.now())
    renamed(owner, session)
    session.user_agent = "another"
    session.save(update_fields=["user_agent"])
    session.refresh_from_db()
    assert (session.user_agent, Session.objects.count()) == ("another", 1)
    assert not session._state.adding
