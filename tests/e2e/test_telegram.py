"""A channel from the login to an answer that cites a post: real processes and Telethon, an emulated data centre."""

from typing import Any

import pytest

from tests.emulators.telegram.server import TelegramEmulator
from tests.emulators.telegram.world import Account
from tests.stack import Person, Stack, StackError

NEWS = "Pier 9 is closed until spring because of the storm damage to its crane."


@pytest.fixture(scope="module")
def account(telegram: TelegramEmulator) -> Account:
    """With a channel to read."""
    harbour = telegram.world.channel("Harbour news", "harbour")
    harbour.posts(119)
    harbour.post(NEWS, post_author="Ida Lund")
    harbour.posts(10)
    return telegram.world.account(password="open sesame")


@pytest.fixture(scope="module")
def person(with_sources: Stack) -> Person:
    return with_sources.person("telegram@example.com")


@pytest.fixture(scope="module")
def source(person: Person, account: Account) -> dict[str, Any]:
    said = person.stack.command("telegram_login", stdin=f"{account.phone}\n{account.code}\n{account.password}\n")
    assert "Logged in as A…" in said.stdout
    bot = person.make_bot("Harbour master")
    source = person.post(f"bots/{bot}/sources/", {"kind": "telegram", "configuration": {"channel": "t.me/harbour"}})

    def indexed() -> bool:
        documents = person.get(f"bots/{bot}/documents/")["results"]
        return len(documents) == 2 and all(document["state"] == "ready" for document in documents)

    person.stack.wait_for(indexed, "the channel to be indexed", 120)
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
    person: Person, source: dict[str, Any], telegram: TelegramEmulator
) -> None:
    telegram.world.channels[0].edit(120, "Pier 9 is open again since Monday.")
    person.post(f"sources/{source['id']}/sync/")

    def answered() -> bool:
        answer = person.ask(person.converse(source["bot"]), "Is pier 9 open again?").json()
        return any("open again since Monday" in citation["quote"] for citation in answer["citations"])

    person.stack.wait_for(answered, "the edit to be answered from", 60)


def test_deleting_the_source_leaves_nothing_to_answer_from(person: Person, source: dict[str, Any]) -> None:
    assert person.http.delete(f"sources/{source['id']}/").status_code in (202, 204)
    person.stack.wait_for(
        lambda: not person.get(f"bots/{source['bot']}/documents/")["results"], "the documents to go", 60
    )
    with pytest.raises(StackError, match="404"):
        person.get(f"sources/{source['id']}/")
    answer = person.ask(person.converse(source["bot"]), "Is pier 9 open again?").json()
    assert answer["citations"] == []
