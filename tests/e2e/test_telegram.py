"""A channel from the login to an answer that cites a post: real processes and Telethon, an emulated data centre."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.emulators.telegram.login import API_HASH, API_ID
from tests.emulators.telegram.server import DC_ID, TelegramEmulator
from tests.stack import Person, Stack, StackError, running_stack

pytestmark = pytest.mark.xdist_group("telegram")

NEWS = "Pier 9 is closed until spring because of the storm damage to its crane."


@pytest.fixture(scope="module")
def telegram() -> Iterator[TelegramEmulator]:
    with TelegramEmulator() as running:
        harbour = running.world.channel("Harbour news", "harbour")
        harbour.posts(119)
        harbour.post(NEWS, post_author="Ida Lund")
        harbour.posts(10)
        running.world.account(password="open sesame")
        yield running


@pytest.fixture(scope="module")
def stack(telegram: TelegramEmulator) -> Iterator[Stack]:
    settings = {
        "TELEGRAM_API_ID": str(API_ID),
        "TELEGRAM_API_HASH": API_HASH,
        "TELEGRAM_DC_ID": str(DC_ID),
        "TELEGRAM_DC_HOST": telegram.host,
        "TELEGRAM_DC_PORT": str(telegram.port),
        "TELEGRAM_RSA_PUBLIC_KEY": telegram.public_key.replace("\n", "\\n"),
        "TELEGRAM_PAGE_PAUSE_SECONDS": "0.0",
    }
    with running_stack(SIGNUP_GRANT="10000", **settings) as running:
        yield running


@pytest.fixture(scope="module")
def person(stack: Stack) -> Person:
    return stack.person("telegram@example.com")


@pytest.fixture(scope="module")
def source(stack: Stack, person: Person, telegram: TelegramEmulator) -> dict[str, Any]:
    account = telegram.world.accounts[0]
    said = stack.command("telegram_login", stdin=f"{account.phone}\n{account.code}\n{account.password}\n")
    assert "Logged in as A…" in said.stdout
    bot = person.make_bot("Harbour master")
    source = person.post(f"bots/{bot}/sources/", {"kind": "telegram", "configuration": {"channel": "t.me/harbour"}})

    def indexed() -> bool:
        documents = person.get(f"bots/{bot}/documents/")["results"]
        return len(documents) == 2 and all(document["state"] == "ready" for document in documents)

    stack.wait_for(indexed, "the channel to be indexed", 120)
    return {**person.get(f"sources/{source['id']}/"), "bot": bot}


def test_a_source_shows_what_it_found(source: dict[str, Any]) -> None:
    assert (source["title"], source["state"], source["link"]) == ("@harbour", "idle", "https://t.me/harbour")
    assert source["last_run"]["posts"] == 130


def test_an_answer_cites_the_post_with_its_link_date_and_author(person: Person, source: dict[str, Any]) -> None:
    answer = person.ask(person.converse(source["bot"]), "Why is pier 9 closed until spring?").json()
    citation = next(citation for citation in answer["citations"] if "Pier 9" in citation["quote"])
    assert citation["link"] == "https://t.me/harbour/120"
    assert citation["author"] == "Ida Lund"
    assert citation["dated"].startswith("2024-03-01T11:00:00")
    assert citation["label"] == "Post 120"
    opened = person.get(f"answers/{answer['id']}/citations/{citation['marker']}/")
    assert opened["page_text"] == NEWS


def test_an_edited_post_is_answered_from_as_it_is_now(
    stack: Stack, person: Person, source: dict[str, Any], telegram: TelegramEmulator
) -> None:
    telegram.world.channels[0].edit(120, "Pier 9 is open again since Monday.")
    person.post(f"sources/{source['id']}/sync/")

    def answered() -> bool:
        answer = person.ask(person.converse(source["bot"]), "Is pier 9 open again?").json()
        return any("open again since Monday" in citation["quote"] for citation in answer["citations"])

    stack.wait_for(answered, "the edit to be answered from", 60)


def test_deleting_the_source_leaves_nothing_to_answer_from(
    stack: Stack, person: Person, source: dict[str, Any]
) -> None:
    assert person.http.delete(f"sources/{source['id']}/").status_code in (202, 204)
    stack.wait_for(lambda: not person.get(f"bots/{source['bot']}/documents/")["results"], "the documents to go", 60)
    with pytest.raises(StackError, match="404"):
        person.get(f"sources/{source['id']}/")
    answer = person.ask(person.converse(source["bot"]), "Is pier 9 open again?").json()
    assert answer["citations"] == []
