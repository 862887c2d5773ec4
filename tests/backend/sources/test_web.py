"""Reading sites over real HTTP: which pages become documents, and what a second sync costs."""

import gzip
import time
from collections.abc import Callable
from itertools import pairwise

import pytest
from pytest_django import Settings

from backend.documents.models import Document, DocumentVersion, Kind, State
from backend.documents.models import Page as DocumentPage
from backend.sources import claims
from backend.sources.models import Item, ItemState, Source, SourceState
from backend.sources.web import politeness
from tests.backend.documents.fake_agent import FakeAgent
from tests.backend.sources.conftest import Follow
from tests.websites import Page, Website, article, moved

Again = Callable[..., Source]
XML = {"Content-Type": "application/xml"}


def sitemap(*urls: str, index: bool = False) -> Page:
    outer, inner = ("sitemapindex", "sitemap") if index else ("urlset", "url")
    entries = "".join(f"<{inner}><loc>{url}</loc></{inner}>" for url in urls)
    text = f'<?xml version="1.0"?><{outer} xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{entries}</{outer}>'
    return Page(text.encode(), headers=XML)


def titles() -> set[str]:
    return set(Document.objects.exclude(state=State.DELETING).values_list("title", flat=True))


def links(site: Website) -> set[str]:
    found = Document.objects.exclude(state=State.DELETING).values_list("link", flat=True)
    return {link.removeprefix(site.url) for link in found}


def test_a_page_becomes_a_document_with_its_main_text(site: Website, follow: Follow) -> None:
    source = follow("page")
    document = Document.objects.get()
    assert (document.state, document.kind, document.format) == (State.READY, Kind.WEB, "webpage")
    assert (document.title, document.link) == ("Harbour", f"{site.url}/")
    page = DocumentPage.objects.get()
    assert "Ships come and go." in page.text
    assert "menu words" not in page.text
    assert "imprint words" not in page.text
    assert page.link == f"{site.url}/"
    assert (source.state, source.error_code, source.counts) == (SourceState.IDLE, "", {"new": 1})


def test_a_site_is_read_to_its_depth(site: Website, follow: Follow) -> None:
    site.pages["/"] = article("Harbour", "Start.", "/a", "/b?utm_source=x#part", "https://elsewhere.example/")
    site.pages["/a"] = article("A", "First.", "/c", "/")
    site.pages["/b"] = article("B", "Second.", "/a")
    site.pages["/c"] = article("C", "Third.", "/d")
    site.pages["/d"] = article("D", "Fourth.")
    follow(depth=2)
    assert titles() == {"Harbour", "A", "B", "C"}
    assert links(site) == {"/", "/a", "/b", "/c"}
    assert sorted(site.paths()) == ["/", "/a", "/b", "/c"]


def test_only_the_wanted_part_of_a_site_is_read(site: Website, follow: Follow) -> None:
    site.pages["/docs/"] = article("Docs", "Start.", "/docs/a", "/docs/old/b", "/blog/c")
    for path in ("/docs/a", "/docs/old/b", "/blog/c"):
        site.pages[path] = article(path, "Text.")
    follow(path="/docs/", include=["/docs/"], exclude=["/docs/old/"])
    assert titles() == {"Docs", "/docs/a"}


def test_a_site_has_an_end(site: Website, follow: Follow) -> None:
    for number in range(30):
        site.pages[f"/{number}"] = article(f"Page {number}", f"Number {number}.", f"/{number + 1}", "/0")
    source = follow(path="/0", pages=5, depth=10)
    assert Document.objects.count() == 5
    assert source.error_code == ""


def test_robots_txt_is_honoured(site: Website, follow: Follow) -> None:
    site.pages["/robots.txt"] = Page(b"User-agent: *\nDisallow: /private\n")
    site.pages["/"] = article("Harbour", "Start.", "/a", "/private/b")
    site.pages["/a"] = article("A", "First.")
    site.pages["/private/b"] = article("B", "Second.")
    source = follow()
    assert titles() == {"Harbour", "A"}
    assert "/private/b" not in site.paths()
    assert source.counts["robots"] == 1
    assert len([request for request in site.requests if request.path == "/robots.txt"]) == 1


def test_robots_txt_is_asked_for_once_by_many_runs(
    site: Website, follow: Follow, again: Again, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked() -> int:
        return len([request for request in site.requests if request.path == "/robots.txt"])

    site.pages["/robots.txt"] = Page(b"User-agent: *\nDisallow: /private\n")
    source = follow()
    again(source)
    assert asked() == 1
    again(source, full=True)
    assert asked() == 2
    monkeypatch.setattr(politeness, "ROBOTS_SECONDS", 0.0)
    again(source)
    assert asked() == 3


def test_a_robots_txt_that_could_not_be_had_is_asked_for_again(site: Website, follow: Follow, again: Again) -> None:
    site.pages["/robots.txt"] = Page(status=500)
    source = follow()
    del site.pages["/robots.txt"]
    assert again(source).error_code == ""


def test_a_page_that_robots_txt_forbids_says_so(site: Website, follow: Follow) -> None:
    site.pages["/robots.txt"] = Page(b"User-agent: ChatSphereBot\nDisallow: /\n")
    source = follow("page")
    assert source.error_code == "robots_disallowed"
    assert site.paths() == []
    assert Item.objects.get().error_code == "robots_disallowed"


def test_a_server_whose_robots_txt_cannot_be_had_is_left_alone(site: Website, follow: Follow) -> None:
    site.pages["/robots.txt"] = Page(status=500)
    source = follow()
    assert (source.error_code, site.paths()) == ("http_500", [])


@pytest.mark.parametrize(
    ("head", "headers"),
    [('<meta name="robots" content="noindex">', {}), ("", {"X-Robots-Tag": "noindex"})],
    ids=["meta", "header"],
)
def test_a_page_that_is_not_to_be_found_is_left_out_and_its_links_followed(
    site: Website, follow: Follow, head: str, headers: dict[str, str]
) -> None:
    site.pages["/"] = article("Harbour", "Start.", "/a", head=head, **headers)
    site.pages["/a"] = article("A", "First.")
    follow()
    assert titles() == {"A"}


def test_links_that_are_not_to_be_followed_are_not(site: Website, follow: Follow) -> None:
    site.pages["/"] = article("Harbour", "Start.", "/a", head='<meta name="robots" content="nofollow">')
    site.pages["/a"] = article("A", "First.")
    follow()
    assert titles() == {"Harbour"}


def test_what_has_not_changed_is_neither_sent_nor_embedded(
    site: Website, follow: Follow, again: Again, agent: FakeAgent
) -> None:
    site.pages["/"] = article("Harbour", "Start.", "/a", ETag='"1"')
    site.pages["/a"] = article("A", "First.", **{"Last-Modified": "Sat, 01 Mar 2025 10:00:00 GMT"})
    source = follow()
    embedded = sum(agent.embedded.values())
    site.requests.clear()
    again(source)
    by_path = {request.path: request.headers for request in site.requests}
    assert by_path["/"]["if-none-match"] == '"1"'
    assert by_path["/a"]["if-modified-since"] == "Sat, 01 Mar 2025 10:00:00 GMT"
    assert sum(agent.embedded.values()) == embedded
    assert source.counts == {"unchanged": 2}
    assert DocumentVersion.objects.count() == 2


def test_what_changes_beside_the_text_is_no_change(site: Website, follow: Follow, again: Again) -> None:
    site.pages["/"] = article("Harbour", "Start.", head='<meta name="token" content="1">')
    source = follow()
    site.pages["/"] = article("Harbour", "Start.", head='<meta name="token" content="2">')
    assert again(source).counts == {"unchanged": 1}
    assert DocumentVersion.objects.count() == 1


def test_a_changed_page_is_a_new_version(site: Website, follow: Follow, again: Again) -> None:
    source = follow()
    document = Document.objects.get()
    site.pages["/"] = article("Harbour office", "Ships stay away.")
    assert again(source).counts == {"changed": 1}
    document.refresh_from_db()
    assert document.version is not None
    assert (document.state, document.version.number, document.title) == (State.READY, 2, "Harbour office")
    assert "Ships stay away." in DocumentPage.objects.get(version=document.version).text


def test_a_full_sync_asks_for_everything(site: Website, follow: Follow, again: Again) -> None:
    site.pages["/"] = article("Harbour", "Start.", ETag='"1"')
    source = follow()
    site.requests.clear()
    again(source, full=True)
    assert all("if-none-match" not in request.headers for request in site.requests)
    assert Source.objects.get().extent == "usual"


def test_a_page_that_is_gone_is_deleted_at_the_second_time(site: Website, follow: Follow, again: Again) -> None:
    site.pages["/"] = article("Harbour", "Start.", "/a")
    site.pages["/a"] = article("A", "First.")
    source = follow()
    site.pages["/a"] = Page(status=410)
    again(source)
    item = Item.objects.get(external_id=f"{site.url}/a")
    assert (item.state, item.error_code) == (ItemState.FAILED, "http_410")
    assert "in a browser" in item.error_hint
    assert titles() == {"Harbour", "A"}
    assert again(source).counts["removed"] == 1
    assert titles() == {"Harbour"}
    assert not Item.objects.filter(external_id=f"{site.url}/a").exists()


def test_a_page_that_comes_back_in_time_stays(site: Website, follow: Follow, again: Again) -> None:
    site.pages["/"] = article("Harbour", "Start.", "/a")
    page = site.pages["/a"] = article("A", "First.")
    source = follow()
    for answer in (Page(status=404), page, Page(status=404)):
        site.pages["/a"] = answer
        again(source)
    assert titles() == {"Harbour", "A"}


def test_a_page_nothing_leads_to_any_more_is_deleted_at_the_second_time(
    site: Website, follow: Follow, again: Again
) -> None:
    site.pages["/"] = article("Harbour", "Start.", "/a")
    site.pages["/a"] = article("A", "First.")
    source = follow()
    site.pages["/"] = article("Harbour", "Start.")
    again(source)
    assert Item.objects.get(external_id=f"{site.url}/a").error_code == "not_linked"
    again(source)
    assert titles() == {"Harbour"}


@pytest.mark.parametrize("answer", [Page(status=500), Page(status=503), Page(b"cut", headers={"Content-Length": "9"})])
def test_a_page_that_fails_keeps_its_document(site: Website, follow: Follow, again: Again, answer: Page) -> None:
    site.pages["/"] = article("Harbour", "Start.", "/a")
    site.pages["/a"] = article("A", "First.", "/b")
    site.pages["/b"] = article("B", "Second.")
    source = follow()
    site.pages["/a"] = answer
    for _ in range(3):
        again(source)
    assert titles() == {"Harbour", "A", "B"}
    assert Item.objects.get(external_id=f"{site.url}/a").state == ItemState.FAILED


def test_a_site_that_is_down_loses_nothing(site: Website, follow: Follow, again: Again) -> None:
    site.pages["/"] = article("Harbour", "Start.", "/a")
    site.pages["/a"] = article("A", "First.")
    source = follow()
    site.pages["/"] = Page(status=502)
    for _ in range(3):
        again(source)
    assert (source.error_code, source.state) == ("http_502", SourceState.FAILED)
    assert titles() == {"Harbour", "A"}


def test_request_after_request_that_fails_is_enough(site: Website, follow: Follow) -> None:
    site.pages["/"] = article("Harbour", "Start.", *(f"/{number}" for number in range(20)))
    site.pages |= {f"/{number}": Page(status=500) for number in range(20)}
    source = follow()
    assert source.error_code == "site_failing"
    assert len(site.paths()) == 6


def test_dead_links_are_counted_and_not_listed(site: Website, follow: Follow) -> None:
    site.pages["/"] = article("Harbour", "Start.", "/gone", "/gone-too")
    source = follow()
    assert source.counts == {"new": 1, "dead_links": 2}
    assert Item.objects.count() == 1


def test_redirects_within_the_site_are_one_page(site: Website, follow: Follow) -> None:
    site.pages["/"] = article("Harbour", "Start.", "/old", "/new", "/older")
    site.pages["/old"] = moved("/new", 301)
    site.pages["/older"] = moved("/old", 302)
    site.pages["/new"] = article("New", "First.")
    follow()
    assert links(site) == {"/", "/new"}


def test_a_redirect_off_the_site_is_not_followed(site: Website, follow: Follow) -> None:
    site.pages["/"] = article("Harbour", "Start.", "/away")
    site.pages["/away"] = moved(f"http://localhost:{site.port}/there")
    site.pages["/there"] = article("There", "Elsewhere.")
    source = follow()
    assert titles() == {"Harbour"}
    assert "/there" not in site.paths()
    assert source.counts["dead_links"] == 1


def test_a_page_that_moves_takes_its_document_along(site: Website, follow: Follow, again: Again) -> None:
    site.pages["/"] = article("Harbour", "Start.", "/old")
    site.pages["/old"] = article("Old", "First.")
    source = follow()
    site.pages["/new"] = article("Old", "First.")
    site.pages["/old"] = moved("/new", 301)
    again(source)
    assert links(site) == {"/", "/new"}


def test_of_one_page_under_many_addresses_the_canonical_one_is_taken(site: Website, follow: Follow) -> None:
    head = '<link rel="canonical" href="/a">'
    site.pages["/"] = article("Harbour", "Start.", "/a?sort=up", "/a?sort=down", "/loop")
    site.pages |= {f"/a{query}": article("A", f"First {query}.", head=head) for query in ("", "?sort=up", "?sort=down")}
    site.pages["/loop"] = article("Loop", "Third.", head='<link rel="canonical" href="/loop2">')
    site.pages["/loop2"] = article("Loop", "Third.", head='<link rel="canonical" href="/loop">')
    follow()
    assert links(site) in ({"/", "/a", "/loop"}, {"/", "/a", "/loop2"})


def test_the_same_text_under_another_address_is_left_out_with_a_word(site: Website, follow: Follow) -> None:
    site.pages["/"] = article("Harbour", "Start.", "/a", "/print/a")
    site.pages["/a"] = article("A", "First.")
    site.pages["/print/a"] = article("A", "First.", head="<style>p {color: black}</style>")
    follow()
    item = Item.objects.get(state=ItemState.SKIPPED)
    assert (item.error_code, item.document) == ("duplicate_document", None)
    assert f"{site.url}/a" in item.error_message
    assert Document.objects.count() == 2


def test_files_for_readers_are_taken_as_what_they_are(site: Website, follow: Follow) -> None:
    site.pages["/"] = article("Harbour", "Start.", "/rates.txt", "/logo.png", "/app.js", "/feed", "/notes")
    site.pages["/rates.txt"] = Page(b"A berth costs 40 a night.", headers={"Content-Type": "text/plain"})
    site.pages["/logo.png"] = Page(b"\x89PNG\r\n\x1a\n\x00\x00", headers={"Content-Type": "image/png"})
    site.pages["/app.js"] = Page(b"let a = 1", headers={"Content-Type": "text/javascript"})
    site.pages["/feed"] = Page(b"<rss/>", headers={"Content-Type": "application/rss+xml"})
    site.pages["/notes"] = Page(b"# Notes\n\nFog.", headers={"Content-Type": "text/markdown"})
    source = follow()
    assert set(Document.objects.values_list("title", "format")) == {
        ("Harbour", "webpage"), ("rates.txt", "text"), ("notes.md", "markdown"),
    }  # fmt: skip
    assert source.counts["other_types"] == 3


def test_a_file_that_was_asked_for_and_cannot_be_read_says_so(site: Website, follow: Follow) -> None:
    site.pages["/logo.png"] = Page(b"\x89PNG\r\n\x1a\n\x00\x00", headers={"Content-Type": "image/png"})
    follow("page", "/logo.png")
    assert Item.objects.get().error_code == "unsupported_type"


@pytest.mark.parametrize(
    ("charset", "header", "head"),
    [
        ("utf-8", "text/html", ""),
        ("iso-8859-1", "text/html; charset=ISO-8859-1", ""),
        ("windows-1251", "text/html", '<meta charset="windows-1251">'),
        ("shift_jis", "text/html; charset=shift_jis", '<meta charset="utf-8">'),
        ("utf-8", "text/html; charset=nonsense", ""),
    ],
)
def test_letters_are_what_they_were(site: Website, follow: Follow, charset: str, header: str, head: str) -> None:
    words = {"windows-1251": "Причал закрыт.", "shift_jis": "桟橋は閉まっている。"}.get(
        charset, "Der Steg ist für Gäste."
    )
    body = article("Harbour", words, head=head).body.decode().encode(charset)
    site.pages["/"] = Page(body, headers={"Content-Type": header})
    follow("page")
    assert words in DocumentPage.objects.get().text


def test_a_page_is_no_place_for_attacks_on_the_parser(site: Website, follow: Follow) -> None:
    html = {"Content-Type": "text/html"}
    site.pages["/"] = article("Harbour", "Start.", "/deep", "/empty", "/open", "/huge")
    site.pages["/deep"] = Page(b"<div>" * 100_000 + b"deep words", headers=html)
    site.pages["/empty"] = Page(b"", headers=html)
    site.pages["/open"] = Page(b"<p>open words <!--" + b"<a href='x" * 50_000, headers=html)
    site.pages["/huge"] = Page(b"a" * 11_000_000, headers=html)
    source = follow()
    assert (source.state, source.error_code) == (SourceState.IDLE, "")
    assert Item.objects.get(external_id=f"{site.url}/huge").error_code == "too_large"
    assert Document.objects.filter(title="Harbour", state=State.READY).exists()
    assert not Document.objects.filter(state__in=[State.QUEUED, State.PROCESSING]).exists()


# --- Sitemaps


def test_the_pages_of_a_sitemap_are_read_and_no_others(site: Website, follow: Follow) -> None:
    site.pages["/sitemap.xml"] = sitemap(f"{site.url}/a", f"{site.url}/b", "https://elsewhere.example/c")
    site.pages["/a"] = article("A", "First.", "/c")
    site.pages["/b"] = article("B", "Second.")
    site.pages["/c"] = article("C", "Third.")
    follow("sitemap", "/sitemap.xml")
    assert titles() == {"A", "B"}


def test_sitemaps_may_be_many_and_packed(site: Website, follow: Follow) -> None:
    site.pages["/sitemap.xml"] = sitemap(
        f"{site.url}/1.xml.gz", f"{site.url}/2.txt", f"{site.url}/none.xml", index=True
    )
    site.pages["/1.xml.gz"] = Page(gzip.compress(sitemap(f"{site.url}/a").body), headers={"Content-Type": "x/gzip"})
    site.pages["/2.txt"] = Page(f"{site.url}/b\n{site.url}/a\n".encode(), headers={"Content-Type": "text/plain"})
    site.pages["/a"] = article("A", "First.")
    site.pages["/b"] = article("B", "Second.")
    source = follow("sitemap", "/sitemap.xml")
    assert titles() == {"A", "B"}
    assert source.counts == {"new": 2, "failed": 1}


def test_what_a_sitemap_lists_and_cannot_be_had_is_listed_too(site: Website, follow: Follow) -> None:
    site.pages["/sitemap.xml"] = sitemap(f"{site.url}/a", f"{site.url}/gone")
    site.pages["/a"] = article("A", "First.")
    follow("sitemap", "/sitemap.xml")
    assert Item.objects.get(state=ItemState.FAILED).error_code == "http_404"


def test_a_page_that_leaves_the_sitemap_is_deleted_at_the_second_time(
    site: Website, follow: Follow, again: Again
) -> None:
    site.pages["/a"], site.pages["/b"] = article("A", "First."), article("B", "Second.")
    site.pages["/sitemap.xml"] = sitemap(f"{site.url}/a", f"{site.url}/b")
    source = follow("sitemap", "/sitemap.xml")
    site.pages["/sitemap.xml"] = sitemap(f"{site.url}/a")
    again(source)
    assert titles() == {"A", "B"}
    again(source)
    assert titles() == {"A"}


ENTITIES = (
    b'<!DOCTYPE a [<!ENTITY b "bbbbbbbbbb"><!ENTITY c "&b;&b;&b;&b;&b;&b;">]><urlset><url><loc>&c;</loc></url></urlset>'
)


@pytest.mark.parametrize(
    "body",
    [
        ENTITIES,
        gzip.compress(b"<urlset>" + b" " * 60_000_000, 9),
        b"<urlset><url><loc>" + b"a" * 5_000_000,
        gzip.compress(b"<urlset></urlset>")[:-9],
    ],
    ids=["entities", "packed", "endless", "cut"],
)
def test_a_bomb_instead_of_a_sitemap_is_an_error(site: Website, follow: Follow, body: bytes) -> None:
    site.pages["/sitemap.xml"] = Page(body, headers=XML)
    source = follow("sitemap", "/sitemap.xml")
    assert source.error_code in ("corrupt_file", "zip_bomb")
    assert source.state == SourceState.FAILED


def test_sitemaps_that_lead_in_circles_have_an_end(site: Website, follow: Follow) -> None:
    site.pages["/sitemap.xml"] = sitemap(*(f"{site.url}/{n}.xml" for n in range(100)), index=True)
    site.pages |= {f"/{n}.xml": sitemap(f"{site.url}/sitemap.xml", f"{site.url}/a.xml", index=True) for n in range(100)}
    site.pages["/a.xml"] = sitemap(*(f"{site.url}/b{n}.xml" for n in range(100)), index=True)
    source = follow("sitemap", "/sitemap.xml")
    assert (source.state, source.error_code) == (SourceState.IDLE, "")
    assert len(site.paths()) < 120


# --- Patience


def test_a_server_that_asks_for_patience_gets_it(site: Website, follow: Follow) -> None:
    site.pages["/"] = article("Harbour", "Start.", "/a", "/b")
    site.pages["/a"] = Page(status=429, headers={"Retry-After": "3600"})
    site.pages["/b"] = article("B", "Second.")
    source = follow()
    assert (source.state, source.error_code) == (SourceState.QUEUED, "http_429")
    assert source.wake_at is not None
    assert 3500 < (source.wake_at - source.updated_at).total_seconds() < 3700
    assert site.paths() == ["/", "/a"]


def test_after_the_wait_it_goes_on_where_it_stopped(
    site: Website, follow: Follow, work: Callable[[], list[str]]
) -> None:
    site.pages["/"] = article("Harbour", "Start.", "/a", "/b")
    site.pages["/a"] = Page(status=429, headers={"Retry-After": "3600"})
    site.pages["/b"] = article("B", "Second.")
    source = follow()
    site.pages["/a"] = article("A", "First.")
    site.requests.clear()
    Source.objects.update(wake_at=None)
    claims.wake(source.pk)
    work()
    assert site.paths() == ["/a", "/b"]
    source.refresh_from_db()
    assert (source.state, source.counts, source.run) == (SourceState.IDLE, {"new": 3}, 1)


def test_the_pause_between_requests_is_kept(site: Website, follow: Follow, settings: Settings) -> None:
    settings.WEB_DELAY_SECONDS = 0.3
    times: list[float] = []

    def stamped(title: str) -> Callable[[object], Page]:
        def page(_: object) -> Page:
            times.append(time.monotonic())
            return article(title, f"Text of {title}.")

        return page

    site.pages["/"] = article("Harbour", "Start.", "/a", "/b", "/c")
    site.pages |= {f"/{name}": stamped(name) for name in "abc"}
    follow()
    assert all(later - earlier > 0.25 for earlier, later in pairwise(times))


def test_a_long_pause_is_spent_elsewhere(site: Website, follow: Follow) -> None:
    site.pages["/robots.txt"] = Page(b"User-agent: *\nCrawl-delay: 10\n")
    site.pages["/"] = article("Harbour", "Start.", "/a")
    source = follow()
    assert (source.state, source.error_code) == (SourceState.QUEUED, "")
    assert source.wake_at is not None
