"""What the admin pages of all apps have in common: they name things, and what they ask does not grow with the rows."""

import re
from collections.abc import Callable
from http import HTTPStatus

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from backend.bots.models import Bot
from backend.bots.services import create_bot
from backend.core.ids import uuid7
from backend.documents.models import Document, Erasure
from backend.feedback.models import Feedback
from backend.sharing.services import share
from backend.users import services as users
from backend.users.models import User
from backend.webhooks import services as webhooks
from backend.webhooks.models import Endpoint
from tests.backend.conversations.told import told

pytestmark = pytest.mark.django_db
ID = re.compile(r">\s*[0-9a-f]{8}-[0-9a-f-]{27}\s*<")


def rows_of(user: User, bot: Bot) -> None:
    """One of everything that has a list, or one more."""
    answer = told(user, bot)
    Feedback.objects.create(answer=answer, user=user, bot=bot, rating="up")
    share(conversation=answer.conversation)
    endpoint = Endpoint.objects.create(owner=user, url="https://x.example/", events=["document.ready"], secret="s")
    webhooks.emit(owner_id=user.pk, event="document.ready", data={})
    assert endpoint.deliveries.exists()
    Erasure.objects.create(subject="document", subject_id=uuid7(), owner_id=user.pk, requested_by=user.pk)
    Document.objects.create(bot=bot, title="Moon", size=1)


def statements(get: Callable[[], object]) -> int:
    with CaptureQueriesContext(
        connection,
    ) as asked:
        get()
    return len(asked)


@pytest.mark.parametrize(
    "path",
    ["bots/bot", "conversations/answer", "credits/account", "credits/entry", "documents/document", "documents/erasure",
     "feedback/feedback", "sharing/share", "users/user", "webhooks/delivery", "webhooks/endpoint"],
)  # fmt: skip
def test_a_list_names_people_and_bots_and_asks_no_more_for_more_rows(
    admin_client: Client, owner: User, teammate: User, stranger: User, path: str
) -> None:
    def page() -> str:
        return admin_client.get(f"/admin/{path}/").content.decode()

    rows_of(owner, create_bot(owner=owner, name="Moon bot"))
    page()
    few = statements(page)
    for user in (teammate, stranger):
        rows_of(user, create_bot(owner=user, name="Sun bot"))
    assert statements(page) == few
    assert len(ID.findall(page())) == (3 if path == "documents/erasure" else 0)  # what is gone has nothing but its id


def test_a_session_is_named_by_its_program(admin_client: Client, owner: User) -> None:
    users.open_session(user=owner, user_agent="Lighthouse/1.0")
    page = admin_client.get(f"/admin/users/user/{owner.pk}/change/").content.decode()
    assert "Lighthouse/1.0" in page
    assert not ID.search(page.replace(str(owner.pk), ""))


def test_a_bot_that_has_answered_can_be_deleted(admin_client: Client, owner: User) -> None:
    bot = create_bot(owner=owner, name="Moon bot")
    told(owner, bot)
    page = f"/admin/bots/bot/{bot.pk}/delete/"
    assert "permission" not in admin_client.get(page).content.decode()
    assert admin_client.post(page, {"post": "yes"}).status_code == HTTPStatus.FOUND
    bot.refresh_from_db()
    assert bot.deleted_at is not None


def test_before_a_document_is_deleted_nothing_below_it_is_read(admin_client: Client, owner: User) -> None:
    document = Document.objects.create(bot=create_bot(owner=owner, name="Moon bot"), title="Tides", size=1)
    with CaptureQueriesContext(connection) as asked:
        page = admin_client.get(f"/admin/documents/document/{document.pk}/delete/").content.decode()
    assert "Tides" in page
    assert not [one for one in asked.captured_queries if "documents_documentversion" in one["sql"]]
