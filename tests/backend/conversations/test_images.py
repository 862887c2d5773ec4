import base64
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import httpx
import pytest

from agent_service.contract import IMAGE_TOKENS, MAX_IMAGES
from backend.conversations.models import Answer, Conversation, MessageImage
from backend.credits import services as ledger
from backend.credits.models import Entry
from backend.users.models import User
from tests.backend.conversations.conftest import ask
from tests.backend.conversations.scripted_agent import ScriptedAgent

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(64))


def image(data: bytes = PNG, media_type: str = "image/png") -> dict[str, str]:
    return {"media_type": media_type, "data": base64.b64encode(data).decode()}


def test_an_image_goes_to_the_model_with_its_question(
    client: httpx.Client, conversation: Conversation, agent: ScriptedAgent
) -> None:
    assert ask(client, conversation, images=[image()]).status_code == HTTPStatus.CREATED
    assert agent.chats[-1]["images"] == [image()]


def test_an_image_is_given_back_as_a_download(client: httpx.Client, conversation: Conversation) -> None:
    ask(client, conversation, images=[image()])
    (message,) = client.get(f"conversations/{conversation.pk}/messages/").json()["results"]
    assert message["images"] == [{"position": 1, "media_type": "image/png"}]
    given = client.get(f"messages/{message['id']}/images/1/")
    assert (given.content, given.headers["content-type"]) == (PNG, "image/png")
    assert given.headers["content-disposition"].startswith("attachment")
    assert given.headers["x-content-type-options"] == "nosniff"
    assert given.headers["content-security-policy"].startswith("sandbox")


def test_an_image_is_its_askers_alone(
    client: httpx.Client, conversation: Conversation, client_of: Callable[[User], httpx.Client], stranger: User
) -> None:
    message = ask(client, conversation, images=[image()]).json()["message"]
    assert client_of(stranger).get(f"messages/{message}/images/1/").status_code == HTTPStatus.NOT_FOUND
    assert client.get(f"messages/{message}/images/2/").status_code == HTTPStatus.NOT_FOUND


def test_regenerating_shows_the_model_the_same_images(
    client: httpx.Client, conversation: Conversation, agent: ScriptedAgent
) -> None:
    message = ask(client, conversation, images=[image()]).json()["message"]
    client.post(f"messages/{message}/regenerate/")
    assert agent.chats[-1]["images"] == [image()]
    assert MessageImage.objects.count() == 1


def test_an_image_counts_in_what_is_held(client: httpx.Client, conversation: Conversation, by_token: None) -> None:
    for images in ([], [image()]):
        ask(client, conversation, images=images)
    without, with_image = Entry.objects.filter(kind="hold").order_by("seq").values_list("amount", flat=True)
    assert with_image - without == IMAGE_TOKENS // 100


def test_where_no_model_sees_the_refusal_passes_through_and_costs_nothing(
    client: httpx.Client, conversation: Conversation, owner: User, agent: ScriptedAgent
) -> None:
    agent.refusal = (422, {"code": "image_unsupported", "message": "None of them can.", "retryable": False})
    response = ask(client, conversation, images=[image()])
    assert (response.status_code, response.json()["code"]) == (422, "image_unsupported")
    assert (ledger.account_for(owner).reserved, Answer.objects.get().charged) == (0, 0)


@pytest.mark.parametrize(
    ("images", "code"),
    [
        ([{"media_type": "image/png", "data": "not base64!" * 3}], "image_invalid"),
        ([image(media_type="image/jpeg")], "image_invalid"),
        ([image(b"<svg onload=alert(1)>" * 4)], "image_invalid"),
        ([{"media_type": "image/svg+xml", "data": image()["data"]}], "invalid"),
        ([{"media_type": "image/png", "url": "http://169.254.169.254/"}], "invalid"),
        ([image()] * (MAX_IMAGES + 1), "invalid"),
    ],
)
def test_what_is_no_image_is_refused_before_anything_is_held(
    client: httpx.Client, conversation: Conversation, agent: ScriptedAgent, images: Any, code: str
) -> None:
    response = ask(client, conversation, images=images)
    assert (response.status_code, response.json()["code"]) == (HTTPStatus.BAD_REQUEST, code)
    assert (agent.chats, Entry.objects.filter(kind="hold").count()) == ([], 0)


def test_images_that_are_too_large_together_are_refused(client: httpx.Client, conversation: Conversation) -> None:
    for count, size, code in ((3, 3_500_000, "image_too_large"), (4, 3_000_000, "too_large")):
        response = ask(client, conversation, images=[image(PNG + bytes(size))] * count)
        assert (response.status_code, response.json()["code"]) == (413, code)


def test_images_go_with_their_conversation(client: httpx.Client, conversation: Conversation) -> None:
    ask(client, conversation, images=[image()])
    client.delete(f"conversations/{conversation.pk}/")
    assert not MessageImage.objects.exists()
