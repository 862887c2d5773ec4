from http import HTTPStatus
from typing import Any

import pytest

from backend.bots.services import create_bot
from backend.users.models import User
from tests.backend.conversations.told import told

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("path", ["/admin/conversations/answer/", "/admin/conversations/answer/{}/change/"])
def test_the_admin_tells_whose_answers_there_are_and_nothing_that_was_said(
    admin_client: Any, owner: User, path: str
) -> None:
    answer = told(owner, create_bot(owner=owner, name="Moon bot"), "How long is a month there?")
    page = admin_client.get(path.format(answer.pk))
    assert page.status_code == HTTPStatus.OK
    shown = page.content.decode()
    assert "Moon bot" in shown
    assert owner.email in shown
    for said in (answer.text, "How long is a month there?"):
        assert said
        assert said not in shown
