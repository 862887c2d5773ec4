"""S1: nobody reads or changes what is another's. Generated from the OpenAPI schema: a new route is walked by itself.

What a new route may need: an id slot of a new kind wants an object in `World`; a route that works without signing in
wants its place in `OPEN`. Until then the build is red.
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from http import HTTPStatus
from typing import Any
from uuid import UUID

import pytest
from django.core.serializers import serialize
from django.db import transaction
from django.http import HttpResponseBase
from drf_spectacular.generators import SchemaGenerator
from rest_framework.test import APIClient

from backend.bots.models import Bot
from backend.bots.services import create_bot
from backend.conversations.answers import endings
from backend.conversations.answers.receipts import Account
from backend.conversations.models import Answer, AnswerState, Conversation, Message, MessageImage
from backend.conversations.services import create_conversation
from backend.core.ids import uuid7
from backend.credits import services as ledger
from backend.credits.models import Entry
from backend.curated.models import Pair
from backend.curated.services import create_pair
from backend.documents.models import Chunk, Correction, Document
from backend.feedback.models import Feedback
from backend.sharing.models import Share
from backend.sharing.services import share
from backend.sources.models import Item, Source
from backend.tools.models import Tool
from backend.users import api_keys
from backend.users import services as users
from backend.users.models import ApiKey, Session, User
from backend.webhooks.models import Delivery, Endpoint
from tests.backend.conversations.conftest import know

CANARY = "canary-7f3a91"
OPEN = {
    "auth_register_create",
    "auth_verify_email_create",
    "auth_resend_verification_create",
    "auth_login_create",
    "auth_refresh_create",
    "auth_logout_create",
    "auth_reset_password_create",
    "auth_reset_password_confirm_create",
    "shared_retrieve",
}
# Slots that are no ids: places inside an object, a model, which is nobody's, and the secret of a link, whose own tests
# are in backend/sharing.
FIXED = {"number": 1, "marker": 1, "position": 1, "token": "not-a-token", "model": "local:extractive"}

Operation = tuple[str, str, dict[str, Any]]


def operations() -> list[Operation]:
    schema = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    return [
        (method, path, {**operation, "schema": schema})
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
    ]


def slots(path: str) -> list[str]:
    return [name for name in re.findall(r"{(\w+)}", path) if name not in FIXED]


@dataclass(frozen=True)
class World:
    """One object of every kind that belongs to the owner, each with the canary in its text."""

    owner: User
    bot: Bot
    document: Document
    conversation: Conversation
    message: Message
    answer: Answer
    entry: Entry
    session: Session
    api_key: ApiKey
    endpoint: Endpoint
    delivery: Delivery
    pair: Pair
    chunk: Chunk
    correction: Correction
    source: Source
    item: Item
    feedback: Feedback
    share: Share
    tool: Tool

    def ids(self) -> dict[str, UUID]:
        return {
            "bot_id": self.bot.pk,
            "document_id": self.document.pk,
            "conversation_id": self.conversation.pk,
            "message_id": self.message.pk,
            "answer_id": self.answer.pk,
            "entry_id": self.entry.pk,
            "session_id": self.session.pk,
            "key_id": self.api_key.pk,
            "endpoint_id": self.endpoint.pk,
            "delivery_id": self.delivery.pk,
            "question_id": self.pair.pk,
            "chunk_id": self.chunk.pk,
            "correction_id": self.correction.pk,
            "source_id": self.source.pk,
            "item_id": self.item.pk,
            "feedback_id": self.feedback.pk,
            "share_id": self.share.pk,
            "tool_id": self.tool.pk,
        }

    def export(self) -> str:
        """Every row of the owner's, for comparison."""
        rows: list[Any] = []
        for model, where in (
            (User, {"pk": self.owner.pk}),
            (Session, {"user": self.owner}),
            (ApiKey, {"user": self.owner}),
            (Bot, {"owner": self.owner}),
            (Document, {"bot": self.bot}),
            (Conversation, {"user": self.owner}),
            (Message, {"user": self.owner}),
            (Answer, {"user": self.owner}),
            (Entry, {"account__user": self.owner}),
            (Endpoint, {"owner": self.owner}),
            (Delivery, {"endpoint__owner": self.owner}),
            (Pair, {"book__document__bot": self.bot}),
            (Chunk, {"document__bot": self.bot}),
            (Correction, {"document__bot": self.bot}),
            (Source, {"bot": self.bot}),
            (Item, {"source__bot": self.bot}),
            (Feedback, {"user": self.owner}),
            (Share, {"conversation__user": self.owner}),
            (Tool, {"bot": self.bot}),
        ):
            rows += model.objects.filter(**where).order_by("pk")
        return str(serialize("json", rows))


@pytest.fixture
def world(owner: User) -> World:
    User.objects.filter(pk=owner.pk).update(name=CANARY)
    bot = create_bot(owner=owner, name=CANARY, configuration={"instructions": CANARY, "greeting": CANARY})
    known = know(bot, f"{CANARY} is what the page says.")
    Document.objects.filter(pk=known.document.pk).update(title=CANARY, filename=CANARY)
    conversation = create_conversation(user=owner, bot_id=bot.pk, title=CANARY)
    users.open_session(user=owner, user_agent=CANARY)
    api_key, _ = api_keys.create(user=owner, name=CANARY)
    entry = ledger.grant(account=ledger.account_for(owner), amount=1, key=CANARY, reason=CANARY)
    message = Message.objects.create(conversation=conversation, user=owner, text=CANARY)
    MessageImage.objects.create(message=message, position=1, media_type="image/png", data=CANARY.encode())
    answer = _answer(message, bot, known.version.pk)
    known.document.refresh_from_db()
    session = Session.objects.get(user=owner)
    endpoint = Endpoint.objects.create(owner=owner, url=f"https://{CANARY}.example/", events=["document.ready"])
    delivery = Delivery.objects.create(endpoint=endpoint, event="document.ready", data={"title": CANARY})
    pair = create_pair(bot=bot, questions=[f"Where is {CANARY}?"], answer=CANARY)
    correction = Correction.objects.create(
        document=known.document, original_sha256="0" * 64, original=CANARY, text=CANARY, author=owner
    )
    source = Source.objects.create(
        bot=bot, kind="page", title=CANARY, link=CANARY, identity=CANARY, configuration={"url": CANARY}
    )
    item = Item.objects.create(source=source, external_id=CANARY, title=CANARY, state="failed", error_code=CANARY)
    feedback = Feedback.objects.create(answer=answer, user=owner, bot=bot, rating="up", comment=CANARY)
    tool = Tool.objects.create(bot=bot, kind="http", name=CANARY.replace("-", "_"), description=CANARY, url=CANARY)
    return World(
        owner, bot, known.document, conversation, message, answer, entry, session, api_key, endpoint, delivery, pair,
        known.chunk, correction, source, item, feedback, share(conversation=conversation)[0], tool,
    )  # fmt: skip


def _answer(message: Message, bot: Bot, version_id: UUID) -> Answer:
    answer: Answer = Answer.objects.create(
        conversation=message.conversation,
        message=message,
        user=message.user,
        bot_version=bot.configuration,
        model="local:extractive",
        lease_until="2099-01-01T00:00:00Z",
    )
    ledger.hold(user=message.user, amount=1, reference=answer.pk, price=ledger.price_for("local:extractive"))
    span = endings.CitedSpan(1, version_id, 1, 0, len(CANARY), CANARY, 1.0)
    done = endings.Outcome(
        state=AnswerState.DONE, text=f"{CANARY} [1]", cost=1, citations=[span], account=Account(query=CANARY)
    )
    assert endings.finish_turn(answer_id=answer.pk, outcome=done) == 1
    answer.refresh_from_db()
    return answer


def sample(schema: dict[str, Any], part: dict[str, Any], ids: dict[str, Any], name: str = "") -> Any:
    """A value that fits the schema, with `ids` wherever an id is asked for."""
    if "$ref" in part:
        part = schema["components"]["schemas"][part["$ref"].rsplit("/", 1)[1]]
    part = next((part[combined][0] for combined in ("allOf", "oneOf", "anyOf") if combined in part), part)
    if "$ref" in part:
        return sample(schema, part, ids, name)
    if part.get("type") == "object":
        return {key: sample(schema, value, ids, key) for key, value in part.get("properties", {}).items()}
    if part.get("type") == "array":
        return [sample(schema, part["items"], ids, name)]
    return scalar(part, ids, name)


def scalar(part: dict[str, Any], ids: dict[str, Any], name: str) -> Any:
    if "enum" in part:
        return part["enum"][0]
    if part.get("format") == "uuid":
        return str(ids.get(f"{name.removesuffix('_id')}_id", next(iter(ids.values()))))
    if part.get("format") == "date":
        return "2026-01-01"
    numbers = {"integer": max(int(part.get("minimum", 1)), 1), "number": part.get("minimum", 0), "boolean": True}
    return numbers.get(str(part.get("type")), "text of a stranger")


def call(client: APIClient, operation: Operation, ids: dict[str, Any], *, query_ids: bool = True) -> HttpResponseBase:
    method, path, spec = operation
    url = path.format(**FIXED, **ids) if ids else path.format(**FIXED)
    query = {
        parameter["name"]: sample(spec["schema"], parameter["schema"], ids, parameter["name"])
        for parameter in spec.get("parameters", [])
        if query_ids and parameter["in"] == "query" and parameter["schema"].get("format") == "uuid"
    }
    content = spec.get("requestBody", {}).get("content", {}).get("application/json")
    body = sample(spec["schema"], content["schema"], ids) if content else None
    if method == "get":
        return client.get(url, query)
    return getattr(client, method)(url, body)  # type: ignore[no-any-return]


def said(response: HttpResponseBase) -> tuple[int, Any]:
    """Status and body, without what is new in every answer."""
    if getattr(response, "streaming", False):
        return response.status_code, "stream"
    content = getattr(response, "content", b"")
    text = content.decode() if isinstance(content, bytes) else ""
    try:
        body = json.loads(text) if text else None
    except json.JSONDecodeError:
        body = text
    if isinstance(body, dict):
        body.pop("request_id", None)
    return response.status_code, body


ALL = operations()
WITH_SLOTS = [operation for operation in ALL if slots(operation[1])]


def name_of(operation: Operation) -> str:
    return str(operation[2]["operationId"])


def test_the_schema_has_operations_to_walk() -> None:
    assert len(ALL) >= 40
    assert len(WITH_SLOTS) > 20


def test_every_id_slot_has_an_owner() -> None:
    known = set(World.ids(World(*[type("Object", (), {"pk": None})()] * len(fields(World)))))
    unknown = {name for _, path, _ in ALL for name in slots(path)} - known
    assert not unknown, f"give World an object for {unknown}: without one nobody checks who may reach it"


def test_what_works_without_signing_in_exists() -> None:
    assert {name_of(operation) for operation in ALL} >= OPEN


@contextmanager
def walked(operation: Operation, subtests: pytest.Subtests) -> Iterator[None]:
    """What it does is undone: all operations are walked in the same world."""
    with subtests.test(name_of(operation)), transaction.atomic():
        yield
        transaction.set_rollback(True)


def test_anonymous_gets_401(world: World, subtests: pytest.Subtests) -> None:
    for operation in ALL:
        if name_of(operation) in OPEN:
            continue
        with walked(operation, subtests):
            response = call(APIClient(), operation, world.ids())
            assert response.status_code == HTTPStatus.UNAUTHORIZED
            assert CANARY not in str(said(response))


@pytest.fixture(params=["access token", "api key"])
def strangers_client(request: pytest.FixtureRequest, stranger: User, as_user: Any) -> APIClient:
    if request.param == "api key":
        return APIClient(headers={"X-API-Key": api_keys.create(user=stranger, name="program")[1]})
    client: APIClient = as_user(stranger)
    return client


def test_a_foreign_id_is_answered_like_one_that_never_was(
    world: World, strangers_client: APIClient, subtests: pytest.Subtests
) -> None:
    before = world.export()
    for operation in WITH_SLOTS:
        with walked(operation, subtests):
            foreign = said(call(strangers_client, operation, world.ids()))
            unknown = said(call(strangers_client, operation, dict.fromkeys(world.ids(), uuid7())))
            assert foreign == unknown
            # What changes the account itself is closed to every API key.
            assert foreign[0] == HTTPStatus.NOT_FOUND or foreign[1]["code"] == "person_required"
            assert world.export() == before


def test_without_an_id_in_the_path_nothing_foreign_is_shown_or_changed(
    world: World, stranger: User, as_user: Any, subtests: pytest.Subtests
) -> None:
    client, before = as_user(stranger), world.export()
    for operation in ALL:
        if slots(operation[1]):
            continue
        with walked(operation, subtests):
            status, body = said(call(client, operation, world.ids()))
            assert CANARY not in str(body)
            assert status < HTTPStatus.INTERNAL_SERVER_ERROR or "agent_unavailable" in str(body)  # none runs here
            assert world.export() == before


def test_the_owner_reads_their_own(world: World, owner: User, as_user: Any, subtests: pytest.Subtests) -> None:
    """Otherwise the matrix above would be green for a route that answers nobody."""
    client = as_user(owner)
    for operation in WITH_SLOTS:
        method, path, _ = operation
        if method != "get":
            continue
        with walked(operation, subtests):
            response = call(client, operation, world.ids(), query_ids=False)
            allowed = {HTTPStatus.OK}
            if path.endswith("/file/"):
                allowed.add(HTTPStatus.NOT_FOUND)  # this world's documents were written without their files
            if path.endswith("/context/"):
                allowed.add(HTTPStatus.SERVICE_UNAVAILABLE)  # this world has no agent to ask which models there are
            assert response.status_code in allowed
