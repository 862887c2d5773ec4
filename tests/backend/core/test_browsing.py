import html
import json
import re
from http import HTTPStatus
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from backend.bots import services
from backend.bots.models import Bot
from backend.documents.models import Document
from backend.users.models import User

pytestmark = pytest.mark.django_db


@pytest.fixture
def bot(owner: User) -> Bot:
    return services.create_bot(owner=owner, name="Almanac")


@pytest.fixture
def browser(owner: User) -> Client:
    client = Client(headers={"accept": "text/html"})
    client.force_login(owner)
    return client


def page_of(browser: Client, address: str, status: HTTPStatus = HTTPStatus.OK) -> str:
    response = browser.get(address)
    assert response.status_code == status
    return html.unescape(response.content.decode())


def content(page: str) -> Any:
    """Of the form that sends JSON, as it is before anybody has typed."""
    [typed] = re.findall(r"<textarea[^>]*>([^<]*)</textarea>", page)
    return json.loads(typed)


def near(page: str) -> dict[str, str]:
    [links] = re.findall(r"From here: (.*?)</p>", page, re.DOTALL)
    return {words: address for address, words in re.findall(r'<a href="([^"]+)">([^<]+)</a>', links)}


def test_a_form_asks_for_what_must_be_given_and_tells_what_else_may_be(browser: Client) -> None:
    page = page_of(browser, "/api/v1/bots/")
    assert content(page) == {"name": ""}
    assert "visibility (optional): private, unlisted, public;" in page


def test_a_form_for_a_change_holds_what_may_be_changed_as_it_is(browser: Client, bot: Bot) -> None:
    held = content(page_of(browser, f"/api/v1/bots/{bot.pk}/"))
    assert held["name"] == "Almanac"
    assert "is_owner" not in held
    assert "version" not in held["configuration"]
    changed = browser.patch(f"/api/v1/bots/{bot.pk}/", held, content_type="application/json")
    assert changed.status_code == HTTPStatus.OK


def test_the_form_of_a_conversation_asks_for_a_question(browser: Client, bot: Bot) -> None:
    made = browser.post("/api/v1/conversations/", {"bot": str(bot.pk)}, content_type="application/json")
    opened = near(html.unescape(made.content.decode()))
    assert opened["bot"] == f"/api/v1/bots/{bot.pk}/"
    messages = near(page_of(browser, opened["conversations"]))["messages/"]
    assert content(page_of(browser, messages)) == {"text": ""}


def test_a_file_is_uploaded_with_the_form_for_it(browser: Client, bot: Bot) -> None:
    address = near(page_of(browser, f"/api/v1/bots/{bot.pk}/"))["documents/"]
    page = page_of(browser, address)
    assert re.search(r'<input name="file"\s+type="file"', page)
    browser.post(address, {"file": SimpleUploadedFile("ebb.txt", b"The ebb begins at six.")})
    document = Document.objects.get(bot=bot)
    assert near(page_of(browser, address))["ebb"] == f"/api/v1/documents/{document.pk}/"


def test_the_first_page_leads_to_everything_that_needs_no_id(browser: Client) -> None:
    opened = near(page_of(browser, "/api/v1/"))
    assert {"auth/register/", "bots/", "webhooks/", "api-keys/", "search/", "credits/prices/"} <= set(opened)


def test_names_of_others_are_shown_as_text(browser: Client, owner: User) -> None:
    services.create_bot(owner=owner, name="<script>alert(1)</script>")
    assert b"<script>alert" not in browser.get("/api/v1/bots/").content
