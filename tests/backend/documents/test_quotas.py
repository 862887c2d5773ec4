"""What a plan allows is told before an upload, kept by any number of parallel ones, and free again after a deletion."""

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any

import httpx
import pytest
from django.core.files.base import ContentFile
from rest_framework.test import APIClient

from backend.bots import services as bots
from backend.bots.models import Bot
from backend.config.asgi import application
from backend.credits import plans
from backend.credits.errors import QuotaExceeded
from backend.credits.models import Account, Plan
from backend.credits.services import account_for
from backend.documents import quotas, services
from backend.documents.models import Document
from backend.users import services as users
from backend.users.models import User
from tests.backend.documents.fake_agent import FakeAgent
from tests.backend.documents.fixtures import RunJobs, stored_files
from tests.serving import serve

Upload = Callable[..., Document]
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("empty_storage")]


def give(user: User, **limits: int) -> None:
    plan, _ = Plan.objects.get_or_create(name="Small", defaults=limits)
    plans.assign(account=account_for(user), plan=plan)


def used(user: User) -> dict[str, int]:
    counted = quotas.usage(user.pk)
    return {name: counted[name]["used"] for name in ("bots", "files", "bytes", "pages")}


def test_who_has_no_plan_has_the_default(owner: User, api: APIClient) -> None:
    shown = api.get("/api/v1/usage/").data
    assert shown["plan"] == Plan.objects.get(is_default=True).name == "Standard"
    assert shown["files"] == {"used": 0, "limit": 20_000}


def test_without_a_default_nothing_is_limited(owner: User) -> None:
    Plan.objects.all().delete()
    assert quotas.usage(owner.pk)["files"]["limit"] is None


def test_usage_counts_all_bots_of_the_owner_and_nobody_elses(
    ingested: Upload, agent: FakeAgent, owner: User, stranger: User
) -> None:
    ingested(b"One page.")
    ingested(b"Two.", bot=bots.create_bot(owner=owner, name="Second"))
    ingested(b"Somebody else's.", bot=bots.create_bot(owner=stranger, name="Other"))
    assert used(owner) == {"bots": 2, "files": 2, "bytes": 13, "pages": 2}


@pytest.mark.parametrize(("limits", "code"), [({"files": 1}, "quota_files"), ({"bytes": 10}, "quota_bytes")])
def test_what_does_not_fit_is_refused_and_leaves_nothing(
    api: APIClient, bot: Bot, upload: Upload, owner: User, limits: dict[str, int], code: str
) -> None:
    upload(b"12345678")
    give(owner, **limits)
    response = api.post(f"/api/v1/bots/{bot.pk}/documents/", {"title": "More", "text": "More text."})
    assert (response.status_code, response.data["code"]) == (HTTPStatus.FORBIDDEN, code)
    assert response.data["details"] == {"limit": limits[code[6:]], "used": 1 if code == "quota_files" else 8}
    assert (Document.objects.count(), len(stored_files())) == (1, 1)


def test_limits_are_told_before(api: APIClient, bot: Bot, upload: Upload, owner: User) -> None:
    upload(b"12345678")
    give(owner, files=5, bytes=100, pages=7)
    quota = api.get(f"/api/v1/bots/{bot.pk}/documents/limits/").data["quota"]
    assert quota == {
        "files": {"used": 1, "limit": 5},
        "bytes": {"used": 8, "limit": 100},
        "pages": {"used": 0, "limit": 7},
    }


def test_deleting_frees_at_once(ingested: Upload, agent: FakeAgent, owner: User) -> None:
    document = ingested(b"12345678")
    services.delete_document(document=document)
    assert used(owner) == {"bots": 1, "files": 0, "bytes": 0, "pages": 0}


def test_deleting_a_bot_frees_at_once(ingested: Upload, agent: FakeAgent, owner: User, bot: Bot) -> None:
    ingested(b"12345678")
    bots.delete_bot(bot=bot)
    assert used(owner) == {"bots": 0, "files": 0, "bytes": 0, "pages": 0}


def test_a_larger_replacement_must_fit_and_a_smaller_one_always_does(upload: Upload, owner: User) -> None:
    document = upload(b"12345678")
    give(owner, bytes=10, files=1)
    with pytest.raises(QuotaExceeded):
        services.replace_document(document=document, file=ContentFile(b"12345678901"))
    assert services.replace_document(document=document, file=ContentFile(b"1234567890"))
    Plan.objects.filter(name="Small").update(bytes=1)
    assert services.replace_document(document=document, file=ContentFile(b"123"))


def test_a_document_with_too_many_pages_fails_and_says_what_to_do(
    ingested: Upload, agent: FakeAgent, owner: User
) -> None:
    ingested(b"One page.")
    give(owner, pages=1)
    document = ingested(b"Another page.")
    assert (document.state, document.error_code) == ("failed", "page_quota")
    assert "plan" in document.error_message
    assert document.error_hint


def test_a_new_version_does_not_count_beside_the_one_it_replaces(
    ingested: Upload, agent: FakeAgent, owner: User, run_jobs: RunJobs
) -> None:
    document = ingested(b"One page.")
    give(owner, pages=1)
    services.reindex(document=document)
    run_jobs()
    document.refresh_from_db()
    assert document.state == "ready"
    assert used(owner)["pages"] == 1


def test_bots_are_counted(api: APIClient, owner: User, bot: Bot) -> None:
    give(owner, bots=2)
    assert api.post("/api/v1/bots/", {"name": "Second"}).status_code == HTTPStatus.CREATED
    refused = api.post("/api/v1/bots/", {"name": "Third"})
    assert (refused.status_code, refused.data["code"]) == (HTTPStatus.FORBIDDEN, "quota_bots")
    bots.delete_bot(bot=bot)
    assert api.post("/api/v1/bots/", {"name": "Third"}).status_code == HTTPStatus.CREATED


@pytest.fixture
def web(transactional_db: None) -> Iterator[str]:
    with serve(application) as url:
        yield url


def at_once(url: str, user: User, requests: list[dict[str, Any]]) -> Counter[int]:
    access = users.open_session(user=user, user_agent="tests").access
    with httpx.Client(headers={"Authorization": f"Bearer {access}"}, timeout=60, trust_env=False) as http:

        def send(request: dict[str, Any]) -> int:
            return http.post(url, **request).status_code

        with ThreadPoolExecutor(len(requests)) as threads:
            return Counter(threads.map(send, requests))


@pytest.mark.parametrize("limits", [{"files": 7}, {"bytes": 7 * 20}], ids=["files", "bytes"])
@pytest.mark.django_db(transaction=True)
def test_of_20_parallel_uploads_as_many_come_through_as_fit(
    web: str, bot: Bot, owner: User, limits: dict[str, int]
) -> None:
    give(owner, **limits)
    files = [{"files": {"file": (f"{n}.txt", f"{n:020}".encode())}} for n in range(20)]
    answers = at_once(f"{web}/api/v1/bots/{bot.pk}/documents/", owner, files)
    assert answers == {HTTPStatus.CREATED: 7, HTTPStatus.FORBIDDEN: 13}
    assert (Document.objects.count(), len(stored_files())) == (7, 7)


@pytest.mark.django_db(transaction=True)
def test_of_20_parallel_bots_as_many_come_through_as_fit(web: str, owner: User) -> None:
    give(owner, bots=3)
    answers = at_once(f"{web}/api/v1/bots/", owner, [{"json": {"name": f"Bot {n}"}} for n in range(20)])
    assert answers == {HTTPStatus.CREATED: 3, HTTPStatus.FORBIDDEN: 17}


def test_an_account_without_a_user_is_nobodys(owner: User) -> None:
    give(owner, files=1)
    Account.objects.filter(user=owner).update(user=None)
    assert plans.plan_of(owner.pk).name == "Standard"
