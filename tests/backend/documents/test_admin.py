from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse

from backend.documents.models import Document, State
from backend.users.models import User
from tests.backend.documents.fake_agent import FakeAgent
from tests.backend.documents.samples import pdf

Upload = Callable[..., Document]
LIST = "admin:documents_document_changelist"


@pytest.fixture
def admin(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("admin@example.com", "correct horse battery"))
    return client


def test_the_list_shows_state_and_error_and_is_searched(admin: Client, ingested: Upload, agent: FakeAgent) -> None:
    ingested(pdf([""]), "scan.pdf")
    page = admin.get(reverse(LIST), {"q": "scan"}).content.decode()
    assert "no_text" in page
    assert "scan" in page


def test_a_document_is_shown_and_not_changed(admin: Client, ingested: Upload, agent: FakeAgent) -> None:
    document = ingested(b"Very secret text.", title="Open title")
    url = reverse("admin:documents_document_change", args=[document.pk])
    assert "Open title" in (page := admin.get(url).content.decode())
    assert "Very secret" not in page
    assert admin.post(url, {"title": "Changed"}).status_code == 403
    assert admin.get(reverse("admin:documents_document_add")).status_code == 403


def test_failed_ones_are_retried(admin: Client, ingested: Upload, agent: FakeAgent) -> None:
    failed, ready = ingested(pdf([""]), "scan.pdf"), ingested(b"Fine.")
    chosen = {"action": "retry", "_selected_action": [str(failed.pk), str(ready.pk)]}
    page = admin.post(reverse(LIST), chosen, follow=True)
    assert "1 of 2 queued again." in page.content.decode()
    failed.refresh_from_db()
    assert failed.state == State.QUEUED


def test_what_is_queued_is_cancelled_and_what_is_done_is_not(
    admin: Client, ingested: Upload, upload: Upload, agent: FakeAgent
) -> None:
    ready, queued = ingested(b"Fine."), upload(b"Waits.", "waits.txt")
    chosen = {"action": "cancel", "_selected_action": [str(ready.pk), str(queued.pk)]}
    assert "1 of 2 cancelled." in admin.post(reverse(LIST), chosen, follow=True).content.decode()
    assert {*Document.objects.values_list("state", flat=True)} == {State.READY, State.CANCELLED}


def test_documents_are_switched_off_and_on(admin: Client, ingested: Upload, agent: FakeAgent) -> None:
    document = ingested(b"Fine.")
    for action, enabled in (("switch_off", False), ("switch_on", True)):
        chosen = {"action": action, "_selected_action": [str(document.pk)]}
        assert "1 switched" in admin.post(reverse(LIST), chosen, follow=True).content.decode()
        document.refresh_from_db()
        assert document.enabled is enabled


def test_the_operator_reads_why_as_the_owner_does(admin: Client, upload: Upload) -> None:
    page = admin.get(reverse("admin:documents_document_change", args=[upload(b"Waits.").pk])).content.decode()
    assert "No worker is running." in page


@pytest.mark.parametrize("way", ["one", "many"])
def test_deleting_goes_through_the_service(admin: Client, ingested: Upload, agent: FakeAgent, way: str) -> None:
    document = ingested(b"Fine.")
    if way == "one":
        admin.post(reverse("admin:documents_document_delete", args=[document.pk]), {"post": "yes"})
    else:
        chosen = {"action": "delete_selected", "_selected_action": [str(document.pk)], "post": "yes"}
        admin.post(reverse(LIST), chosen)
    document.refresh_from_db()
    assert document.state == State.DELETING
