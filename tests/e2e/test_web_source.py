"""From the address of a site to an answer whose citation leads back to the page, and what follows when the page
changes, through real processes and real HTTP."""

from typing import Any

import pytest

from tests.stack import Person, Stack
from tests.websites import Page, Website, article

QUESTION = "What does a berth for the night cost?"


@pytest.fixture(scope="module")
def person(with_sources: Stack) -> Person:
    return with_sources.person("website@example.com")


@pytest.fixture(scope="module")
def source(person: Person, site: Website) -> dict[str, Any]:
    site.pages["/robots.txt"] = Page(b"User-agent: *\nDisallow: /private\n")
    site.pages["/"] = article("Harbour", "Ships come and go.", "/berths", "/private", "/gone")
    site.pages["/berths"] = article("Berths", "A berth for the night costs forty crowns, paid at the mole.")
    site.pages["/private"] = article("Private", "A berth for the night costs nothing for friends.")
    bot = person.make_bot("Harbour master")
    body = {"kind": "site", "configuration": {"url": f"{site.url}/"}, "every_minutes": 60}
    created = person.post(f"bots/{bot}/sources/", body)
    return synced(person, created["id"])


def synced(person: Person, source: str) -> dict[str, Any]:
    """Waits for the run's end, and for its documents."""

    def ended() -> Any:
        state = person.get(f"sources/{source}/")
        documents = person.get(f"bots/{state['bot']}/documents/")["results"]
        done = all(document["state"] in ("ready", "failed") for document in documents)
        return state if state["state"] in ("idle", "failed") and done else None

    found: dict[str, Any] = person.stack.wait_for(ended, f"source {source} to end", 120)
    return found


def cited(person: Person, bot: str) -> tuple[str, list[dict[str, Any]]]:
    answer = person.ask(person.converse(bot), QUESTION).json()
    assert answer["state"] == "done", answer
    return answer["text"], answer["citations"]


def test_a_site_is_read_and_an_answer_leads_back_to_its_page(
    person: Person, site: Website, source: dict[str, Any]
) -> None:
    assert source["error"] is None
    assert source["items"] == {"total": 2, "failed": 0}
    assert source["last_run"] == {"new": 2, "robots": 1, "dead_links": 1}
    assert source["next_sync_at"] is not None
    text, citations = cited(person, source["bot"])
    assert "forty crowns" in text
    assert citations[0]["link"] == f"{site.url}/berths"
    assert "/private" not in site.paths()


def test_a_page_that_changes_changes_the_answer(person: Person, site: Website, source: dict[str, Any]) -> None:
    site.pages["/berths"] = article("Berths", "A berth for the night costs fifty crowns, paid at the mole.")
    person.post(f"sources/{source['id']}/sync/")
    assert synced(person, source["id"])["last_run"]["changed"] == 1
    assert "fifty crowns" in cited(person, source["bot"])[0]


def test_a_source_that_is_switched_off_answers_nothing(person: Person, source: dict[str, Any]) -> None:
    person.http.patch(f"sources/{source['id']}/", json={"enabled": False}).raise_for_status()
    assert cited(person, source["bot"])[1] == []
    person.http.patch(f"sources/{source['id']}/", json={"enabled": True}).raise_for_status()
    assert cited(person, source["bot"])[1] != []


def test_a_source_that_is_deleted_is_gone_with_its_documents(person: Person, source: dict[str, Any]) -> None:
    person.http.delete(f"sources/{source['id']}/").raise_for_status()
    assert cited(person, source["bot"])[1] == []
    documents = f"bots/{source['bot']}/documents/"
    person.stack.wait_for(lambda: not person.get(documents)["results"], "the documents to go")
    assert person.http.get(f"sources/{source['id']}/").status_code == 404
