"""From a channel, or an export of one, to pages that can be cited, through the parser's own process."""

import json
from collections.abc import Callable
from datetime import UTC, datetime

from pytest_django import Settings

from backend.documents.models import Document, Page
from backend.sources.models import Source
from tests.backend.documents.fixtures import agent, agent_server, fresh_process, ingested, run_jobs, upload
from tests.emulators.telegram.world import Channel

__all__ = ["agent", "agent_server", "fresh_process", "ingested", "run_jobs", "upload"]

EXPORT = {
    "name": "Harbour news",
    "type": "public_channel",
    "id": 1900000001,
    "messages": [
        {"id": 1, "type": "service", "date": "2024-03-01T09:00:00", "action": "create_channel", "text": ""},
        {
            "id": 2, "type": "message", "date": "2024-03-01T10:00:00", "date_unixtime": "1709283600",
            "from": "Harbour news", "author": "Ida", "text": "The gates open at nine.",
        },
    ],
}  # fmt: skip


def test_each_post_is_a_page_with_its_own_link_author_and_date(
    follow: Callable[..., Source], harbour: Channel, agent: object, run_jobs: Callable[[], list[str]]
) -> None:
    harbour.post("The gates open at nine.", post_author="Ida")
    harbour.posts(1)
    follow()
    run_jobs()
    page = Page.objects.filter(version__document__state="ready").earliest("number")
    assert (page.label, page.text, page.link, page.author, page.dated) == (
        "Post 1", "The gates open at nine.", "https://t.me/harbour/1", "Ida", datetime(2024, 3, 1, 9, 1, tzinfo=UTC),
    )  # fmt: skip


def test_an_export_is_read_post_by_post(ingested: Callable[..., Document]) -> None:
    document = ingested(json.dumps(EXPORT, indent=1).encode(), "result.json", link="https://t.me/harbour")
    assert (document.format, document.state) == ("telegram_export", "ready")
    page = Page.objects.get(version=document.version)
    assert (page.label, page.text, page.link, page.author, page.dated) == (
        "Post 2", "The gates open at nine.", "https://t.me/harbour/2", "Ida", datetime(2024, 3, 1, 9, tzinfo=UTC),
    )  # fmt: skip


def test_an_export_may_have_more_posts_than_a_document_has_pages(
    ingested: Callable[..., Document], settings: Settings
) -> None:
    settings.PAGES_LIMIT = 10
    messages = [
        {"id": n, "type": "message", "date": "2024-03-01T10:00:00", "text": f"Notice {n}"} for n in range(1, 31)
    ]
    document = ingested(json.dumps({**EXPORT, "messages": messages}).encode(), "result.json")
    assert (document.error_code, Page.objects.filter(version=document.version).count()) == ("", 30)
