from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import pytest
from procrastinate.contrib.django.models import ProcrastinateJob
from rest_framework.test import APIClient

from backend.bots.models import Bot, BotVersion, Visibility
from backend.bots.services import create_bot, delete_bot, update_bot
from backend.users.models import User

AsUser = Callable[[User], APIClient]
URL = "/api/v1/bots/"


@pytest.fixture
def bot(owner: User) -> Bot:
    return create_bot(owner=owner, name="Moon bot", configuration={"instructions": "Be brief."})


def jobs(name: str) -> int:
    return ProcrastinateJob.objects.filter(task_name=name).count()


def test_create_with_defaults(as_user: AsUser, owner: User) -> None:
    response = as_user(owner).post(URL, {"name": "Moon bot"})
    assert response.status_code == HTTPStatus.CREATED
    configuration = response.data["configuration"]
    assert (configuration["version"], configuration["strictness"], configuration["top_k"]) == (1, "strict", 6)
    assert (response.data["visibility"], response.data["is_owner"]) == ("private", True)


def test_what_the_documentation_shows_can_be_sent_as_it_stands(as_user: AsUser, owner: User) -> None:
    schema = as_user(owner).get("/api/schema/?format=json").json()
    [shown] = schema["paths"][URL]["post"]["requestBody"]["content"]["application/json"]["examples"].values()
    assert as_user(owner).post(URL, shown["value"]).status_code == HTTPStatus.CREATED


def test_the_same_key_creates_one_bot(as_user: AsUser, owner: User) -> None:
    client = as_user(owner)
    first, second = (client.post(URL, {"name": "Moon"}, headers={"idempotency-key": "k"}) for _ in range(2))
    assert first.json() == second.json()
    assert second.headers["Idempotency-Replayed"] == "true"
    assert Bot.objects.count() == 1


def test_the_same_key_with_another_body_is_refused(as_user: AsUser, owner: User) -> None:
    client = as_user(owner)
    client.post(URL, {"name": "Moon"}, headers={"idempotency-key": "k"})
    response = client.post(URL, {"name": "Sun"}, headers={"idempotency-key": "k"})
    assert (response.status_code, response.data["code"]) == (422, "idempotency_key_reused")
    assert Bot.objects.count() == 1


def test_the_same_key_of_another_user_is_independent(as_user: AsUser, owner: User, stranger: User) -> None:
    for user in (owner, stranger):
        as_user(user).post(URL, {"name": "Moon"}, headers={"idempotency-key": "k"})
    assert Bot.objects.count() == 2


def test_a_refused_request_may_be_tried_again_with_its_key(as_user: AsUser, owner: User) -> None:
    client = as_user(owner)
    assert client.post(URL, {"name": ""}, headers={"idempotency-key": "k"}).status_code == HTTPStatus.BAD_REQUEST
    assert client.post(URL, {"name": "Moon"}, headers={"idempotency-key": "k"}).status_code == HTTPStatus.CREATED


@pytest.mark.parametrize("key", ["", "x" * 201, "tab\tkey"])
def test_a_bad_key_is_refused(as_user: AsUser, owner: User, key: str) -> None:
    response = as_user(owner).post(URL, {"name": "Moon"}, headers={"idempotency-key": key})
    assert (response.status_code, response.data["code"]) == (400, "idempotency_key_invalid")


def test_every_change_of_the_configuration_is_a_new_version(as_user: AsUser, owner: User, bot: Bot) -> None:
    client = as_user(owner)
    changed = client.patch(f"{URL}{bot.pk}/", {"configuration": {"temperature": 0.9}}).data["configuration"]
    assert (changed["version"], changed["temperature"], changed["instructions"]) == (2, 0.9, "Be brief.")
    assert client.get(f"{URL}{bot.pk}/versions/1/").data["temperature"] == 0.2
    assert [row["version"] for row in client.get(f"{URL}{bot.pk}/versions/").data["results"]] == [2, 1]


def test_a_change_that_changes_nothing_is_no_version(as_user: AsUser, owner: User, bot: Bot) -> None:
    client = as_user(owner)
    client.patch(f"{URL}{bot.pk}/", {"name": "New", "configuration": {"instructions": "Be brief."}})
    assert client.get(f"{URL}{bot.pk}/").data["name"] == "New"
    assert BotVersion.objects.count() == 1


def test_an_earlier_version_is_restored_as_a_new_one(as_user: AsUser, owner: User, bot: Bot) -> None:
    client = as_user(owner)
    client.patch(f"{URL}{bot.pk}/", {"configuration": {"instructions": "Ramble.", "top_k": 3}})
    restored = client.post(f"{URL}{bot.pk}/versions/1/restore/").data["configuration"]
    assert (restored["version"], restored["instructions"], restored["top_k"]) == (3, "Be brief.", 6)
    assert BotVersion.objects.get(bot=bot, number=2).instructions == "Ramble."


def test_new_chunk_settings_ask_for_a_reindex(owner: User, bot: Bot) -> None:
    update_bot(bot=bot, author=owner, changes={}, configuration={"temperature": 1.0})
    assert jobs("documents.reindex_bot") == 0
    update_bot(bot=bot, author=owner, changes={}, configuration={"chunk_chars": 500})
    assert jobs("documents.reindex_bot") == 1


@pytest.mark.parametrize(
    ("visibility", "listed", "opened"),
    [(Visibility.PRIVATE, 0, 404), (Visibility.UNLISTED, 0, 200), (Visibility.PUBLIC, 1, 200)],
)
def test_what_a_stranger_sees(
    as_user: AsUser, stranger: User, bot: Bot, visibility: Visibility, listed: int, opened: int
) -> None:
    Bot.objects.update(visibility=visibility)
    client = as_user(stranger)
    assert len(client.get(URL).data["results"]) == listed
    response = client.get(f"{URL}{bot.pk}/")
    assert response.status_code == opened
    assert "Be brief." not in response.content.decode()


def test_a_public_bot_is_changed_by_its_owner_alone(as_user: AsUser, stranger: User, bot: Bot) -> None:
    Bot.objects.update(visibility=Visibility.PUBLIC)
    client = as_user(stranger)
    assert client.patch(f"{URL}{bot.pk}/", {"name": "Mine"}).status_code == HTTPStatus.NOT_FOUND
    assert client.delete(f"{URL}{bot.pk}/").status_code == HTTPStatus.NOT_FOUND
    assert client.get(f"{URL}{bot.pk}/versions/").status_code == HTTPStatus.NOT_FOUND
    assert client.post(f"{URL}{bot.pk}/versions/1/restore/").status_code == HTTPStatus.NOT_FOUND


@pytest.mark.parametrize(("mine", "names"), [("true", ["Moon bot"]), ("false", ["Open bot"])])
def test_filter_mine(as_user: AsUser, owner: User, stranger: User, bot: Bot, mine: str, names: list[str]) -> None:
    create_bot(owner=stranger, name="Open bot", visibility=Visibility.PUBLIC)
    listed = as_user(owner).get(URL, {"mine": mine}).data["results"]
    assert [row["name"] for row in listed] == names


def test_delete_hides_at_once_and_leaves_the_rest_to_a_job(as_user: AsUser, owner: User, bot: Bot) -> None:
    client = as_user(owner)
    assert client.delete(f"{URL}{bot.pk}/").status_code == HTTPStatus.NO_CONTENT
    assert client.get(f"{URL}{bot.pk}/").status_code == HTTPStatus.NOT_FOUND
    delete_bot(bot=bot)
    assert jobs("documents.erase_bot") == 1


def test_a_suspended_owners_public_bot_is_gone(as_user: AsUser, owner: User, stranger: User, bot: Bot) -> None:
    Bot.objects.update(visibility=Visibility.PUBLIC)
    User.objects.filter(pk=owner.pk).update(is_active=False)
    assert as_user(stranger).get(f"{URL}{bot.pk}/").status_code == HTTPStatus.NOT_FOUND


@pytest.mark.parametrize(
    "configuration",
    [
        {"temperature": 3},
        {"temperature": -1},
        {"temperature": "nan"},
        {"threshold": "inf"},
        {"top_k": 0},
        {"top_k": 2**70},
        {"top_k": 1.5},
        {"strictness": "maybe"},
        {"suggested_questions": "one"},
        {"suggested_questions": ["q"] * 11},
        {"suggested_questions": [{"a": 1}]},
        {"chunk_chars": 200, "chunk_overlap": 150},
        {"chunk_overlap": 900},
        {"model": "no such shape"},
        {"top_k": 5, "topk": 7},
        {"instructions": "x" * 20_001},
        {"instructions": None},
        [],
        "text",
    ],
)
def test_a_bad_configuration_is_refused(as_user: AsUser, owner: User, bot: Bot, configuration: Any) -> None:
    response = as_user(owner).patch(f"{URL}{bot.pk}/", {"configuration": configuration})
    assert (response.status_code, response.data["code"]) == (HTTPStatus.BAD_REQUEST, "invalid")
    assert BotVersion.objects.count() == 1


def test_a_refused_configuration_says_which_field_and_why(as_user: AsUser, owner: User, bot: Bot) -> None:
    def refused(configuration: Any) -> Any:
        return as_user(owner).patch(f"{URL}{bot.pk}/", {"configuration": configuration}).json()["details"]["fields"]

    assert refused({"topk": 7}) == {
        "configuration": {"topk": [{"message": "There is no such field.", "code": "unknown"}]}
    }
    assert "GET gateway/models/" in refused({"model": "gpt-4o"})["configuration"]["model"][0]["message"]


def test_a_configuration_can_be_sent_back_as_it_was_shown(as_user: AsUser, owner: User, bot: Bot) -> None:
    shown = as_user(owner).get(f"{URL}{bot.pk}/").json()["configuration"]
    response = as_user(owner).patch(f"{URL}{bot.pk}/", {"configuration": {**shown, "top_k": 9}})
    assert (response.status_code, response.json()["configuration"]["top_k"]) == (HTTPStatus.OK, 9)


def test_fields_that_are_not_the_owners_to_set_are_ignored(as_user: AsUser, owner: User, stranger: User) -> None:
    body = {
        "name": "Moon",
        "owner": str(stranger.pk),
        "id": str(stranger.pk),
        "embedding": "x:y:1",
        "deleted_at": "now",
    }
    created = as_user(owner).post(URL, body).data
    bot = Bot.objects.get(pk=created["id"])
    assert (bot.owner_id, bot.embedding, bot.deleted_at) == (owner.pk, "", None)
    assert bot.pk != stranger.pk
