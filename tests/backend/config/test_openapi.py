import json
from collections.abc import Callable
from http import HTTPStatus

import pytest
from django.test import Client
from drf_spectacular.generators import SchemaGenerator
from rest_framework.test import APIClient

from backend.users.models import User

URL = "/api/schema/?format=json"
pytestmark = pytest.mark.django_db


def test_the_document_is_the_one_that_is_generated_without_anybody(client: Client) -> None:
    generated = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    assert client.get(URL).json() == json.loads(json.dumps(generated, default=str))


def test_everybody_is_shown_the_same(client: Client, as_user: Callable[[User], APIClient], owner: User) -> None:
    answers = (client.get(URL), as_user(owner).get(URL), client.get(URL, headers={"x-api-key": "wrong"}))
    assert len({answer.content for answer in answers}) == 1


def test_what_was_generated_once_is_not_generated_again(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    first = [client.get(f"/api/schema/?format={kind}").content for kind in ("json", "yaml")]
    monkeypatch.delattr(SchemaGenerator, "get_schema")
    assert [client.get(f"/api/schema/?format={kind}").content for kind in ("json", "yaml")] == first


def test_a_client_that_has_it_is_told_so(client: Client) -> None:
    etag = client.get(URL).headers["ETag"]
    again = client.get(URL, headers={"if-none-match": etag})
    assert (again.status_code, again.content) == (HTTPStatus.NOT_MODIFIED, b"")
    assert "Accept" in again.headers["Vary"]
    assert client.get("/api/schema/?format=yaml", headers={"if-none-match": etag}).status_code == HTTPStatus.OK
