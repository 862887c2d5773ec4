"""GET /api/v1/documents/{id}/why/: every reason a document can be where it is."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from pytest_django import Settings
from rest_framework.test import APIClient

from backend.bots import services as bots
from backend.documents import claims, services, why
from backend.documents.failures import AGENT_HINT
from backend.documents.lanes import lanes
from backend.documents.models import Document, DocumentVersion, Stage, State
from backend.documents.why import Place, Snapshot, Workers
from backend.users.models import User
from tests.backend.documents.fake_agent import FakeAgent, refusal

NOW = datetime(2030, 1, 1, 12, 0, 0, tzinfo=UTC)
SOON = NOW + timedelta(seconds=20)
ALIVE = Workers(alive=2, seen=NOW)
NONE_ALIVE = Workers(alive=0, seen=NOW - timedelta(minutes=5))
AT_WORK: dict[str, Any] = {"state": State.PROCESSING, "lease_until": NOW + timedelta(seconds=30)}


def facts(workers: Workers = ALIVE, place: Place | None = None, *, serves: int = 0, **fields: Any) -> Snapshot:
    document = Document(**{"state": State.QUEUED, **fields})
    if serves:
        document.version = DocumentVersion(number=serves)
    return Snapshot(document=document, now=NOW, workers=workers, place=place)


AGENT: dict[str, Any] = {
    "error_code": "agent_unavailable",
    "error_message": "The agent is not available.",
    "error_hint": AGENT_HINT,
}
CASES: dict[str, tuple[Snapshot, str, str]] = {
    "no worker": (
        facts(NONE_ALIVE),
        "no_worker",
        "No worker is running. The last sign of one was at 11:55:00 UTC.",
    ),
    "no worker ever": (facts(Workers(0, None)), "no_worker", "No worker is running."),
    "next": (facts(place=Place(0, 0, 1, 0)), "next", "It is the next one to be taken up."),
    "behind others": (facts(place=Place(12, 3, 2, 1)), "in_queue", "Behind 12 documents, 3 of them yours."),
    "behind one": (facts(place=Place(1, 0, 2, 0)), "in_queue", "Behind 1 document, none of them yours."),
    "agent down": (
        facts(wake_at=SOON, failures=2, **AGENT),
        "agent_down",
        "The agent is not available. Next try at 12:00:20 UTC; 2 of 5 tries failed.",
    ),
    "rate limited": (facts(wake_at=SOON, error_code="upstream_rate_limited"), "rate_limited", "Next try at 12:00:20"),
    "our fault": (facts(wake_at=SOON, error_code="internal_error"), "waits_for_next_try", "Next try at 12:00:20"),
    "crashed": (
        facts(place=Place(0, 0, 0, 0), parser_crashes=1),
        "parser_crashed",
        "The reader crashed on this file once; it is tried 2 times in all.",
    ),
    "taken up": (facts(**AT_WORK), "taken_up", "A worker has just taken it up."),
    "reading": (
        facts(**AT_WORK, stage=Stage.EXTRACTING, pages_done=3, pages_total=20),
        "reading",
        "It is being read: 3 of 20 pages.",
    ),
    "reading again": (
        facts(**AT_WORK, stage=Stage.EXTRACTING, parser_crashes=1),
        "reading",
        "It is being read: 0 pages so far. It crashed the reader once.",
    ),
    "dividing": (facts(**AT_WORK, stage=Stage.CHUNKING), "dividing", "Its text is being divided"),
    "embedding": (
        facts(**AT_WORK, stage=Stage.EMBEDDING, chunks_done=40, chunks_total=120),
        "embedding",
        "It is being made searchable: 40 of 120 passages.",
    ),
    "silent": (
        facts(state=State.PROCESSING, lease_until=NOW + timedelta(seconds=9)),
        "worker_silent",
        "Its worker gave no sign for 21 s; if it stays so, it is taken over at 12:00:09 UTC.",
    ),
    "lost": (
        facts(state=State.PROCESSING, lease_until=NOW - timedelta(seconds=4)),
        "worker_lost",
        "Its worker gave no sign for 34 s and has lost it; another takes it up.",
    ),
    "lost and alone": (
        facts(NONE_ALIVE, state=State.PROCESSING, lease_until=NOW - timedelta(seconds=4)),
        "no_worker",
        "No worker is running.",
    ),
    "waits for your go": (facts(state=State.WAITING), "waits_for_your_go", "It was read, and waits for your go"),
    "ready": (facts(state=State.READY, serves=1), "ready", "It answers."),
    "switched off": (facts(state=State.READY, serves=1, enabled=False), "switched_off", "It is switched off"),
    "rebuilt": (facts(**AT_WORK, serves=2), "taken_up", "Version 2 answers until the newer one is ready."),
    "failed": (facts(state=State.FAILED, error_message="No text was found."), "failed", "No text was found."),
    "failed again": (facts(state=State.FAILED, error_message="Damaged.", serves=1), "failed", "Version 1 answers."),
    "cancelled": (facts(state=State.CANCELLED), "cancelled", "It was cancelled before it was done."),
    "off while built": (facts(**AT_WORK, enabled=False), "taken_up", "It is switched off, and answers nothing"),
    "deleting": (facts(state=State.DELETING), "deleting", "It is being deleted."),
}


@pytest.mark.parametrize("case", CASES, ids=[name.replace(" ", "-") for name in CASES])
def test_every_state_has_its_code_and_sentence(case: str, settings: Settings) -> None:
    settings.INGEST_LEASE, settings.INGEST_HEARTBEAT = timedelta(seconds=30), timedelta(seconds=5)
    snapshot, code, sentence = CASES[case]
    reason = why.explain(snapshot)
    assert reason.code == code
    assert sentence in reason.message


def test_a_file_that_would_fail_again_is_not_to_be_tried_again() -> None:
    hint = "Save it without a password and upload it again."
    told = why.explain(facts(state=State.FAILED, error_code="encrypted_pdf", error_hint=hint))
    assert told.hint == hint
    told = why.explain(facts(state=State.FAILED, error_code="internal_error", error_hint="Tell the operator."))
    assert told.hint == "Tell the operator. Retry it once that is done."


def test_every_state_of_a_document_is_explained() -> None:
    told = {why.explain(facts(state=state, lease_until=SOON)).code for state in State}
    assert len(told) == len(State)


def test_what_ends_by_itself_says_when() -> None:
    assert why.explain(CASES["agent down"][0]).until == SOON
    assert why.explain(CASES["silent"][0]).until == NOW + timedelta(seconds=9)
    assert why.explain(CASES["failed"][0]).until is None


def test_a_due_document_does_not_wait_for_its_next_try_any_more() -> None:
    snapshot = facts(place=Place(0, 0, 0, 0), wake_at=NOW - timedelta(seconds=1), **AGENT)
    assert why.explain(snapshot).code == "next"
    assert why.explain(replace(snapshot, workers=NONE_ALIVE)).code == "no_worker"


def ask(api: APIClient, document: Document) -> Any:
    return api.get(f"/api/v1/documents/{document.pk}/why/").json()


def beat(ago: timedelta = timedelta(0)) -> None:
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO procrastinate_workers (last_heartbeat) VALUES (%s)", [timezone.now() - ago])


def test_it_is_told_whether_a_worker_is_alive(api: APIClient, upload: Callable[..., Document]) -> None:
    document = upload(b"One.")
    beat(timedelta(minutes=2))
    told = ask(api, document)
    assert (told["code"], told["workers"]["alive"], told["document"]["state"]) == ("no_worker", 0, "queued")
    beat()
    told = ask(api, document)
    assert (told["code"], told["workers"]["alive"]) == ("next", 1)


@pytest.mark.parametrize("count", [1, 2])
def test_a_worker_with_several_lanes_is_one_worker(api: APIClient, upload: Callable[..., Document], count: int) -> None:
    document = upload(b"One.")
    for _ in range(count * len(lanes())):
        beat()
    assert ask(api, document)["workers"]["alive"] == count


def test_the_place_in_the_queue_counts_others_and_ones_own(
    api: APIClient, upload: Callable[..., Document], stranger: User
) -> None:
    other = bots.create_bot(owner=stranger, name="Other")
    beat()
    for number in range(9):
        upload(f"Of another {number}.".encode(), bot=other)
    upload(b"Mine before.")
    document = upload(b"Mine.")
    queue = ask(api, document)["queue"]
    assert queue["ahead_yours"] == 1
    assert 1 < queue["ahead"] <= 3  # of the other as many as of mine, and one more: not all nine
    Document.objects.exclude(pk=document.pk).update(state=State.CANCELLED)
    assert ask(api, document)["code"] == "next"


def test_an_agent_that_is_down_is_told_with_the_next_try(
    api: APIClient, ingested: Callable[..., Document], agent: FakeAgent, settings: Settings
) -> None:
    settings.INGEST_RETRY_DELAY = timedelta(minutes=1)
    agent.faults = [refusal(503, "agent_unavailable", retryable=True)]
    document = ingested(b"Short.")
    beat()
    told = ask(api, document)
    assert (told["code"], told["failures"], told["until"]) == ("agent_down", 1, told["document"]["error"]["retry_at"])
    assert "Retry it" in told["hint"]
    services.retry(document=document)
    assert ask(api, document)["code"] == "next"


def test_a_worker_that_has_it_is_told_with_its_lease(api: APIClient, upload: Callable[..., Document]) -> None:
    document = upload(b"One.")
    beat()
    assert claims.take()
    told = ask(api, document)
    assert (told["code"], told["queue"]) == ("taken_up", None)
    assert told["lease_until"] > told["checked_at"]
