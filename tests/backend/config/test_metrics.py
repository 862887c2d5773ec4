"""What the operator's Prometheus is told, and who else is not."""

from http import HTTPStatus
from uuid import uuid4

import pytest
from django.test import Client
from pytest_django import Settings

from backend.conversations.answers import counting
from backend.conversations.answers.endings import Outcome
from backend.conversations.answers.receipts import Account
from backend.conversations.errors import TurnInterrupted
from backend.conversations.models import AnswerState
from backend.core import metrics
from backend.users.models import User

TOKEN = "a long token of the operator's"

pytestmark = pytest.mark.django_db


def value(page: str, series: str) -> float:
    (line,) = [line for line in page.splitlines() if line.rpartition(" ")[0] == series]
    return float(line.rpartition(" ")[2])


def read(client: Client, **headers: str) -> str:
    response = client.get("/metrics", headers=headers)
    assert response.status_code == HTTPStatus.OK
    assert response.headers["Content-Type"].startswith("text/plain")
    return response.content.decode()


def test_an_answer_is_counted_by_how_it_ended(client: Client) -> None:
    done = 'chatsphere_answers_total{state="done",finish_reason="stop"}'
    rejected = "chatsphere_citations_rejected_total"
    found = 'chatsphere_answer_stage_milliseconds_count{stage="embed"}'
    outcome = Outcome(
        state=AnswerState.DONE, finish_reason="stop", citations_rejected=2, account=Account(checks={"supported": 3})
    )
    counting.count(outcome, {"embed_ms": 3.0})
    before = read(client)
    counting.count(outcome, {"embed_ms": 3.0})
    counting.count(Outcome(state=AnswerState.FAILED, error=TurnInterrupted()), {})
    after = read(client)
    assert value(after, done) - value(before, done) == 1
    assert value(after, rejected) - value(before, rejected) == 2
    assert value(after, found) - value(before, found) == 1
    assert value(after, 'chatsphere_answer_sentences_total{check="supported"}') >= 6
    assert value(after, f'chatsphere_answer_errors_total{{code="{TurnInterrupted.code}"}}') >= 1


def test_buckets_hold_what_is_at_most_their_bound(client: Client) -> None:
    stage = f"stage {uuid4().hex}"
    for milliseconds in (0.5, 10.0, 10.1, 99_999.0):
        counting.STAGES.observe(milliseconds, stage)
    page = read(client)
    name = "chatsphere_answer_stage_milliseconds_bucket"
    counts = [value(page, f'{name}{{stage="{stage}",le="{bound}"}}') for bound in ("1", "10", "25", "30000", "+Inf")]
    assert counts == [1, 2, 3, 3, 4]


def test_gauges_say_how_things_stand(client: Client) -> None:
    page = read(client)
    for name in ("holds_open", "credits_reserved", "queue_depth", "turns_here", "agent_breaker_open"):
        assert value(page, f"chatsphere_{name}") == 0


def test_no_id_of_anybody_is_told(client: Client, owner: User) -> None:
    assert str(owner.pk) not in read(client)


def test_a_word_of_a_label_cannot_make_a_line_of_its_own() -> None:
    counter = metrics.Counter("odd_total", "Odd.", ["word"])
    metrics.REGISTRY.remove(counter)
    counter.add(1, 'a"} 7\nodd_total{word="b')
    assert list(counter.lines())[2:] == [r'odd_total{word="a\"} 7\nodd_total{word=\"b"} 1']


def test_a_metric_does_not_grow_without_end() -> None:
    counter = metrics.Counter("many_total", "Many.", ["word"])
    metrics.REGISTRY.remove(counter)
    for number in range(metrics.MOST_SERIES + 50):
        counter.add(1, str(number))
    lines = list(counter.lines())
    assert len(lines) == 2 + metrics.MOST_SERIES + 1
    assert 'many_total{word="other"} 50' in lines


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP"])
def test_nobody_sees_them_through_a_proxy(header: str, client: Client) -> None:
    assert client.get("/metrics", headers={header: "127.0.0.1"}).status_code == HTTPStatus.NOT_FOUND


def test_nobody_sees_them_from_another_machine(client: Client) -> None:
    assert client.get("/metrics", REMOTE_ADDR="192.0.2.7").status_code == HTTPStatus.NOT_FOUND


def test_where_there_is_a_token_only_it_opens_them(client: Client, settings: Settings) -> None:
    settings.METRICS_TOKEN = TOKEN
    assert client.get("/metrics").status_code == HTTPStatus.NOT_FOUND
    assert client.get("/metrics", headers={"Authorization": "Bearer wrong"}).status_code == HTTPStatus.NOT_FOUND
    response = client.get(
        "/metrics",
        headers={"Authorization": f"Bearer {TOKEN}", "X-Forwarded-For": "192.0.2.7"},
        REMOTE_ADDR="192.0.2.7",
    )
    assert response.status_code == HTTPStatus.OK
