"""What a deletion leaves: a row that says who asked for it and what was read back as gone, and nothing else."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.db import connection
from django.test import Client
from rest_framework.test import APIClient

from backend.bots import indexes
from backend.bots import services as bots
from backend.bots.models import Bot
from backend.core.ids import uuid7
from backend.documents import erasure, indexing, services
from backend.documents.models import Document, Erasure
from backend.users import services as users
from backend.users.models import User
from tests.backend.documents.fake_agent import OTHER_EMBEDDING, FakeAgent
from tests.backend.documents.fixtures import RunJobs, stored_files

Upload = Callable[..., Document]
CANARY = "canary-5c1d77"
LONG = "".join(f"Sentence {number} about {CANARY}. " for number in range(200)).encode()
URL = "/api/v1/erasures/"

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("empty_storage")]


def test_a_document_leaves_its_counts(
    ingested: Upload, run_jobs: RunJobs, agent: FakeAgent, api: APIClient, owner: User
) -> None:
    document = ingested(LONG)
    chunks, pages = document.chunks.count(), document.versions.get().pages.count()
    assert api.delete(f"/api/v1/documents/{document.pk}/").status_code == HTTPStatus.NO_CONTENT
    [asked] = api.get(URL).data["results"]
    assert (asked["erased_at"], asked["requested_by"]) == (None, str(owner.pk))
    run_jobs()
    [erased] = api.get(URL, {"subject_id": str(document.pk)}).data["results"]
    assert (erased["subject"], erased["subject_id"]) == ("document", str(document.pk))
    assert erased["erased_at"] >= erased["requested_at"]
    assert erased["counts"] == {
        "documents": 1,
        "versions": 1,
        "pages": pages,
        "chunks": chunks,
        "files": 1,
        "vectors": chunks,
        "vectors_remaining": 0,
    }


def test_all_versions_and_both_indexes_count(ingested: Upload, run_jobs: RunJobs, agent: FakeAgent, bot: Bot) -> None:
    document = ingested(LONG)
    services.reindex(document=document)
    run_jobs()
    run_jobs()
    build = indexes.start_build(bot=Bot.objects.get(pk=bot.pk), embedding=OTHER_EMBEDDING)
    assert build is not None
    indexing.build(build.pk)
    chunks = document.chunks.count()
    services.delete_document(document=document)
    run_jobs()
    counts = Erasure.objects.get().counts
    assert (counts["versions"], counts["vectors"]) == (2, 2 * chunks)


def test_what_a_killed_job_had_counted_is_kept(
    ingested: Upload, run_jobs: RunJobs, agent: FakeAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = ingested(LONG)
    chunks = document.chunks.count()
    services.delete_document(document=document)
    with monkeypatch.context() as broken:
        broken.setattr(default_storage, "delete", killed)
        with pytest.raises(KeyboardInterrupt):
            erasure.erase_document(document.pk)
    erasure.erase_document(document.pk)
    assert Erasure.objects.get().counts["vectors"] == chunks


def killed(_name: str) -> None:
    raise KeyboardInterrupt


def test_a_repeated_deletion_is_one_row(ingested: Upload, run_jobs: RunJobs, agent: FakeAgent) -> None:
    document = ingested(LONG)
    for _ in range(3):
        services.delete_document(document=document)
        run_jobs()
    assert Erasure.objects.count() == 1


def test_a_bot_leaves_the_sum_of_its_documents(
    ingested: Upload, run_jobs: RunJobs, agent: FakeAgent, bot: Bot, owner: User
) -> None:
    ingested(LONG)
    ingested(b"Another.")
    bots.delete_bot(bot=bot, requested_by=owner.pk)
    run_jobs()
    row = Erasure.objects.get(subject="bot")
    assert (row.subject_id, row.requested_by, row.owner_id) == (bot.pk, owner.pk, owner.pk)
    assert (row.counts["documents"], row.counts["files"], row.counts["vectors_remaining"]) == (2, 2, 0)
    assert row.erased_at is not None


def test_a_document_that_was_being_deleted_is_proven_with_its_bot(
    ingested: Upload, run_jobs: RunJobs, agent: FakeAgent, bot: Bot
) -> None:
    services.delete_document(document=ingested(LONG))
    bots.delete_bot(bot=bot)
    erasure.erase_bot(bot.pk)
    assert Erasure.objects.get(subject="document").erased_at is not None


def test_an_account_leaves_a_row_for_the_operator(
    ingested: Upload, run_jobs: RunJobs, agent: FakeAgent, owner: User
) -> None:
    ingested(LONG)
    users.delete_account(user=owner, requested_by=owner.pk)
    run_jobs()
    row = Erasure.objects.get(subject="account")
    assert (row.subject_id, row.requested_by, row.counts["documents"]) == (owner.pk, owner.pk, 1)


@pytest.mark.parametrize("what", ["document", "bot", "account"])
def test_nothing_of_it_is_found_anywhere(
    ingested: Upload, run_jobs: RunJobs, agent: FakeAgent, bot: Bot, owner: User, what: str
) -> None:
    document = ingested(LONG, f"{CANARY}.txt", title=CANARY)
    services.replace_document(document=document, file=content(LONG + b"!"))
    run_jobs()
    assert places_of(CANARY)
    if what == "document":
        services.delete_document(document=document)
    elif what == "bot":
        bots.delete_bot(bot=bot)
    else:
        users.delete_account(user=owner)
    run_jobs()
    run_jobs()
    assert places_of(CANARY) == []
    assert (stored_files(), agent.all_ids()) == ([], set())


def content(data: bytes) -> Any:
    from django.core.files.base import ContentFile

    return ContentFile(data)


def places_of(text: str) -> list[str]:
    """Every column of the database, of any type, that has the text in a row."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_schema, table_name, column_name FROM information_schema.columns"
            " WHERE table_schema = 'public' AND data_type IN ('text', 'character varying', 'jsonb', 'json', 'bytea')"
        )
        found = []
        for schema, table, column in cursor.fetchall():
            cursor.execute(
                f'SELECT EXISTS (SELECT FROM "{schema}"."{table}" WHERE "{column}"::text LIKE %s)',  # noqa: S608
                [f"%{text}%"],
            )
            found += [f"{table}.{column}"] if cursor.fetchone()[0] else []
    return found


def test_only_ones_own_are_listed(
    ingested: Upload, run_jobs: RunJobs, agent: FakeAgent, stranger: User, as_user: Callable[[User], APIClient]
) -> None:
    services.delete_document(document=ingested(LONG))
    assert as_user(stranger).get(URL).data["results"] == []
    assert APIClient().get(URL).status_code == HTTPStatus.UNAUTHORIZED


def test_the_admin_shows_and_changes_nothing(stranger: User) -> None:
    stranger.is_staff = stranger.is_superuser = True
    stranger.save()
    row = Erasure.objects.create(subject="bot", subject_id=uuid7(), owner_id=uuid7())
    browser = Client()
    browser.force_login(stranger)
    assert str(row.subject_id) in browser.get("/admin/documents/erasure/").text
    assert browser.get(f"/admin/documents/erasure/{row.pk}/change/").status_code == HTTPStatus.OK
    assert browser.post(f"/admin/documents/erasure/{row.pk}/delete/").status_code == HTTPStatus.FORBIDDEN
    assert browser.post("/admin/documents/erasure/add/").status_code == HTTPStatus.FORBIDDEN
