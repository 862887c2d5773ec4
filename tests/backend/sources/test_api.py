from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import pytest
from pytest_django import Settings
from rest_framework.test import APIClient

from backend.bots.models import Bot
from backend.core.ids import uuid7
from backend.sources import services
from backend.sources.models import Item, Source, SourceState
from backend.users.models import User
from tests.backend.sources.conftest import Work
from tests.backend.sources.stand_in import KIND, StandIn

AsUser = Callable[[User], APIClient]
PAGE = {"kind": "page", "configuration": {"url": "https://Example.com/a?utm_source=x#b"}}


def sources_of(bot: Bot) -> str:
    return f"/api/v1/bots/{bot.pk}/sources/"


def at(source: Source, more: str = "") -> str:
    return f"/api/v1/sources/{source.pk}/{more}"


def test_a_source_is_created_and_queued(api: APIClient, bot: Bot) -> None:
    response = api.post(sources_of(bot), {**PAGE, "every_minutes": 60})
    assert response.status_code == HTTPStatus.CREATED, response.data
    assert response.data["configuration"] == {"url": "https://example.com/a"}
    assert response.data["title"] == "example.com/a"
    assert (response.data["state"], response.data["every_minutes"]) == ("queued", 60)
    assert response.data["items"] == {"total": 0, "failed": 0}
    assert api.get(sources_of(bot)).data["results"][0]["id"] == response.data["id"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"kind": "newspaper", "configuration": {}}, "source_kind_unknown"),
        ({"kind": "page", "configuration": {}}, "configuration_invalid"),
        ({"kind": "page", "configuration": {"url": 5}}, "configuration_invalid"),
        ({"kind": "page", "configuration": {"url": "https://example.com/", "depth": 3}}, "configuration_invalid"),
        ({"kind": "page", "configuration": {"url": "ftp://example.com/"}}, "scheme_refused"),
        ({"kind": "page", "configuration": {"url": "http://0x7f.1/"}}, "address_refused"),
        ({"kind": "page", "configuration": {"url": "http://10.0.0.1/"}}, "address_refused"),
        ({"kind": "page", "configuration": {"url": "http://[::1]/"}}, "address_refused"),
        ({"kind": "page", "configuration": {"url": "http://user:pass@example.com/"}}, "url_invalid"),
        ({"kind": "site", "configuration": {"url": "https://example.com/", "depth": 11}}, "configuration_invalid"),
        ({"kind": "site", "configuration": {"url": "https://example.com/", "pages": -1}}, "configuration_invalid"),
        ({"kind": "site", "configuration": {"url": "https://example.com/", "pages": "9"}}, "configuration_invalid"),
        ({"kind": "site", "configuration": {"url": "https://example.com/", "include": ["a"]}}, "configuration_invalid"),
        ({"kind": "site", "configuration": {"url": "https://example.com/", "include": "/"}}, "configuration_invalid"),
        ({"kind": "page", "configuration": {"url": "https://example.com/"}, "every_minutes": 1}, "invalid"),
        ({"kind": "page", "configuration": {"url": "https://example.com/"}, "every_minutes": 2**40}, "invalid"),
        ({"kind": "page", "configuration": []}, "invalid"),
        ({}, "invalid"),
    ],
    ids=str,
)
def test_what_cannot_be_read_is_refused_with_a_reason(api: APIClient, bot: Bot, body: Any, code: str) -> None:
    response = api.post(sources_of(bot), body)
    assert (response.status_code, response.data["code"]) == (HTTPStatus.BAD_REQUEST, code)
    assert "pass" not in response.data["message"]
    assert not Source.objects.exists()


def test_no_more_pages_are_asked_for_than_may_be(api: APIClient, bot: Bot, settings: Settings) -> None:
    settings.WEB_PAGES_LIMIT = 7
    for pages, kept in ((0, 7), (5, 5), (2**70, 7)):
        configuration = {"url": f"https://example.com/{pages}", "pages": pages}
        response = api.post(sources_of(bot), {"kind": "site", "configuration": configuration})
        assert response.data["configuration"]["pages"] == kept


def test_the_limits_are_told(api: APIClient, bot: Bot) -> None:
    told = api.get(f"{sources_of(bot)}limits/").data
    assert {"page", "sitemap", "site"} <= set(told["kinds"])
    assert told["every_minutes"] == 15


def test_a_person_cannot_keep_us_fetching(api: APIClient, bot: Bot, settings: Settings) -> None:
    settings.SOURCE_LIMIT_PER_HOUR = 1
    api.post(sources_of(bot), PAGE)
    assert api.post(sources_of(bot), PAGE).status_code == HTTPStatus.TOO_MANY_REQUESTS


def test_the_same_place_twice_names_the_first(api: APIClient, bot: Bot) -> None:
    first = api.post(sources_of(bot), PAGE).data["id"]
    response = api.post(sources_of(bot), PAGE)
    assert (response.status_code, response.data["code"]) == (HTTPStatus.CONFLICT, "duplicate_source")
    assert response.data["details"]["id"] == first


def test_a_repeated_request_makes_one_source(api: APIClient, bot: Bot) -> None:
    ids = {api.post(sources_of(bot), PAGE, headers={"Idempotency-Key": "k"}).data["id"] for _ in range(2)}
    assert len(ids) == Source.objects.count() == 1


def test_what_a_source_reads_is_not_changed_and_nobody_is_left_to_think_so(api: APIClient, synced: Source) -> None:
    response = api.patch(at(synced), {"title": "Mine", "configuration": {"depth": 9}})
    assert (response.status_code, list(response.data["details"]["fields"])) == (400, ["configuration"])
    assert Source.objects.get().title == synced.title


def test_a_source_is_renamed_scheduled_paused_and_switched_off(api: APIClient, synced: Source) -> None:
    changes = {"title": " My  place ", "every_minutes": 30, "paused": True, "enabled": False}
    data = api.patch(at(synced), changes).data
    assert {name: data[name] for name in changes} == {**changes, "title": "My place"}
    assert data["next_sync_at"] is not None
    data = api.patch(at(synced), {"every_minutes": None, "paused": False}).data
    assert (data["next_sync_at"], data["paused"], data["enabled"], data["state"]) == (None, False, False, "idle")


def test_what_a_source_is_cannot_be_changed(api: APIClient, synced: Source) -> None:
    wanted = {"state": "deleting", "kind": "site", "configuration": {}, "bot": str(uuid7()), "counts": {}, "run": 9}
    before = Source.objects.values().get()
    api.patch(at(synced), wanted)
    after = Source.objects.values().get()
    assert {**after, "updated_at": None} == {**before, "updated_at": None}


def test_a_sync_is_asked_for(api: APIClient, synced: Source) -> None:
    response = api.post(at(synced, "sync/"), {"full": True})
    assert (response.status_code, response.data["state"]) == (HTTPStatus.ACCEPTED, "queued")
    response = api.post(at(synced, "sync/"))
    assert (response.status_code, response.data["code"]) == (HTTPStatus.CONFLICT, "source_busy")


def test_a_paused_source_is_not_synced(api: APIClient, synced: Source) -> None:
    api.patch(at(synced), {"paused": True})
    assert api.post(at(synced, "sync/")).data["code"] == "source_paused"


def test_errors_are_listed_and_resolved(api: APIClient, synced: Source, stand_in: StandIn, work: Work) -> None:
    stand_in.place |= {"a": "", "b": ""}
    api.post(at(synced, "sync/"))
    work()
    assert api.get(at(synced)).data["items"] == {"total": 3, "failed": 2}
    failed = api.get(at(synced, "items/?failed=true")).data["results"]
    assert {item["error"]["code"] for item in failed} == {"empty_file"}
    assert [item["title"] for item in api.get(at(synced, "items/?failed=false")).data["results"]] == ["c"]
    resolve = at(synced, f"items/{failed[0]['id']}/resolve/")
    assert api.post(resolve, {"action": "dismiss"}).data["state"] == "dismissed"
    assert api.post(resolve, {"action": "dismiss"}).data["code"] == "nothing_to_resolve"
    assert api.post(at(synced, "resolve/"), {"action": "retry"}).data == {"resolved": 1}
    assert api.get(at(synced, "items/?state=pending")).data["results"][0]["id"] == failed[1]["id"]
    assert api.post(at(synced, "resolve/"), {"action": "explode"}).status_code == HTTPStatus.BAD_REQUEST


def test_an_item_of_another_source_is_not_found_below_this_one(api: APIClient, synced: Source, bot: Bot) -> None:
    other = services.create_source(bot=bot, kind=KIND, configuration={"name": "other"})
    item = Item.objects.filter(source=synced).first()
    assert item is not None
    response = api.post(at(other, f"items/{item.pk}/resolve/"), {"action": "dismiss"})
    assert response.status_code == HTTPStatus.NOT_FOUND


def test_a_deleted_source_is_gone_at_once(api: APIClient, synced: Source, bot: Bot) -> None:
    assert api.delete(at(synced)).status_code == HTTPStatus.NO_CONTENT
    assert api.get(at(synced)).status_code == HTTPStatus.NOT_FOUND
    assert api.get(sources_of(bot)).data["results"] == []
    assert Source.objects.get().state == SourceState.DELETING
    response = api.post(sources_of(bot), {"kind": KIND, "configuration": {"name": "place"}})
    assert response.status_code == HTTPStatus.CREATED


def test_an_error_says_when_it_goes_on(api: APIClient, source: Source) -> None:
    Source.objects.update(error_code="http_429", error_message="m", error_hint="h", wake_at="2099-01-01T00:00:00Z")
    error = api.get(at(source)).data["error"]
    assert error == {"code": "http_429", "message": "m", "hint": "h", "retry_at": "2099-01-01T00:00:00Z"}


def test_nobody_else_sees_it(source: Source, bot: Bot, stranger: User, as_user: AsUser) -> None:
    for client, expected in ((APIClient(), HTTPStatus.UNAUTHORIZED), (as_user(stranger), HTTPStatus.NOT_FOUND)):
        for path in (at(source), at(source, "items/"), sources_of(bot)):
            assert client.get(path).status_code == expected


def test_the_admin_shows_and_syncs_and_deletes(client: Any, synced: Source) -> None:
    User.objects.create_superuser(email="root@example.com", password="a long pass phrase")
    client.force_login(User.objects.get(email="root@example.com"))
    assert client.get("/admin/sources/source/").status_code == HTTPStatus.OK
    assert client.get(f"/admin/sources/source/{synced.pk}/change/").status_code == HTTPStatus.OK
    chosen = {"_selected_action": str(synced.pk)}
    client.post("/admin/sources/source/", {"action": "sync", **chosen})
    assert Source.objects.get().state == SourceState.QUEUED
    client.post("/admin/sources/source/", {"action": "delete_selected", "post": "yes", **chosen})
    assert Source.objects.get().state == SourceState.DELETING
