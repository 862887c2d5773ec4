"""`/metrics`, for the operator's Prometheus."""

import hmac
from collections.abc import Iterator
from ipaddress import ip_address

from django.conf import settings
from django.db import connection
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.views.decorators.http import require_safe

from backend.agent_client import breaker
from backend.conversations.answers.running import turns_here
from backend.core.api import not_found
from backend.core.metrics import exposed, gauge
from backend.users.authentication import SCHEME

FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Real-IP")

# In one statement. Jobs that wait, of the queue's own table; holds are the answers that run, in all processes.
_STATE = """
    SELECT (SELECT count(*) FROM conversations_answer WHERE state = 'streaming'),
        (SELECT coalesce(sum(reserved), 0) FROM credits_account),
        (SELECT count(*) FROM procrastinate_jobs WHERE status = 'todo' AND coalesce(scheduled_at, now()) <= now())
"""


@require_safe
def metrics(request: HttpRequest) -> HttpResponseBase:
    """Of this process and, as gauges, of the whole: no id of anybody. 404 to whoever may not see it."""
    if not _allowed(request):
        return not_found()
    lines = [*exposed(), *_gauges()]
    response = HttpResponse("\n".join(lines) + "\n", content_type="text/plain; version=0.0.4; charset=utf-8")
    response["Cache-Control"] = "no-store"
    return response


def _allowed(request: HttpRequest) -> bool:
    """Whoever brings METRICS_TOKEN; where there is none, this machine itself, and nobody whom a proxy lets through."""
    if settings.METRICS_TOKEN:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        return scheme.lower() == SCHEME and hmac.compare_digest(token.encode(), settings.METRICS_TOKEN.encode())
    if any(name in request.headers for name in FORWARDED):
        return False
    try:
        return ip_address(str(request.META.get("REMOTE_ADDR"))).is_loopback
    except ValueError:
        return False


def _gauges() -> Iterator[str]:
    with connection.cursor() as cursor:
        cursor.execute(_STATE)
        holds, reserved, waiting = cursor.fetchone()
    yield from gauge("chatsphere_holds_open", "Answers under way, with their credits held.", holds)
    yield from gauge("chatsphere_credits_reserved", "Credits that are held.", reserved)
    yield from gauge("chatsphere_queue_depth", "Jobs that are due and wait for a worker.", waiting)
    yield from gauge("chatsphere_turns_here", "Answers that this process makes.", turns_here())
    yield from gauge("chatsphere_agent_breaker_open", "1 while this process leaves the agent alone.", breaker.is_open)
