"""The readers of web pages and of links, as the parser's process uses them."""

import gzip
import time

import pytest

from backend.documents.parser import links, webpage
from backend.documents.parser.reading import ParsedPage, Reading, Unreadable
from backend.documents.parser.tags import scan

LINK = "https://harbour.example/tides/"
PAGE = b"""<!doctype html><html lang="en"><head><title>Tides | Harbour</title><base href="/base/">
<meta name="author" content="J. Keel"><meta property="article:published_time" content="2024-03-05T10:00:00Z">
<meta name="robots" content="noindex"><link rel="canonical" href="https://harbour.example/tides"></head>
<body><nav><a href="menu">Menu words</a></nav><main><article><h1>Tides</h1>
<p>The <b>range</b> of the tide is largest at <a href="spring#now">spring tide</a>, when sun and moon pull in one line,
and smallest at <a href="//other.example/neap" rel="nofollow">neap tide</a>, a week later.</p>
<h2>Harbours &amp; heights</h2>
<p>Heights are in metres above chart datum, computed from constants of nineteen years.</p>
<table><tr><th>Harbour</th><th>High</th></tr><tr><td>Ystad</td><td>0.4</td></tr>
<tr><td>Brest</td><td>7.3</td></tr></table>
<ul><li>One<ul><li>Two</li></ul></li></ul><pre><code>a = 1
b = 2</code></pre><p>First line<br>second *line*</p>
<img src="/image.png"><iframe src="/frame"></iframe><a href="mailto:me@example.com">mail</a>
<a href="javascript:alert(1)">script</a><a href="/spaced path">spaced</a></article></main>
<footer>Imprint words</footer></body></html>"""


def pages(reading: Reading) -> list[ParsedPage]:
    return [page for page in reading.pages if isinstance(page, ParsedPage)]


def found(data: bytes, link: str = LINK) -> dict[str, str]:
    return {page.label: page.text for page in pages(links.read(data, link))}


def test_a_page_is_its_main_part_with_headings_tables_and_lists() -> None:
    (page,) = pages(webpage.read(PAGE, LINK))
    assert page.text.startswith("# Tides\n\nThe range of the tide is largest at spring tide, when sun")
    for words in (
        "\n\n## Harbours & heights\n\n", "Harbour | High\nYstad | 0.4\nBrest | 7.3", "- One\n  - Two", "a = 1\nb = 2",
        "First line\nsecond *line*",
    ):  # fmt: skip
        assert words in page.text
    assert "Menu words" not in page.text
    assert "Imprint words" not in page.text


def test_it_carries_its_place_its_author_and_its_date() -> None:
    (page,) = pages(webpage.read(PAGE, LINK))
    assert (page.link, page.author, page.dated) == (LINK, "J Keel", "2024-03-05")


def test_a_date_is_not_guessed() -> None:
    (page,) = pages(webpage.read(b"<p>Copyright 2019. " + b"Words. " * 100, LINK))
    assert page.dated == ""


@pytest.mark.parametrize(
    "markup",
    [b"<p>Short.", b"Short, and no tag", b"<body><div>Short</div>", b"<html><frameset><noframes>Short</noframes>"],
)
def test_where_little_is_found_everything_is_taken(markup: bytes) -> None:
    assert "Short" in pages(webpage.read(markup, LINK))[0].text


def test_a_small_page_keeps_its_lines_and_leaves_out_its_menu() -> None:
    small = b"<nav>Menu</nav><h1>The crane</h1><p>It lifts forty tonnes.</p><p>It is closed on Sundays.</p>"
    (page,) = pages(webpage.read(b"<html><title>Crane</title><body>" + small + b"</body></html>", LINK))
    assert page.text == "# The crane\n\nIt lifts forty tonnes.\n\nIt is closed on Sundays."


def test_a_long_page_is_cut_into_sections() -> None:
    many = b"".join(b"<p>Sentence %d of a long page about tides.</p>" % number for number in range(2000))
    sections = pages(webpage.read(b"<main>" + many + b"</main>", LINK))
    assert len(sections) > 2
    assert all(section.link == LINK for section in sections)
    assert "Sentence 1999 of" in sections[-1].text


def test_where_a_page_leads() -> None:
    answer = found(PAGE)
    assert answer["links"].splitlines() == [
        "https://harbour.example/base/menu",
        "https://harbour.example/base/spring",
        "https://harbour.example/spaced%20path",
    ]
    assert (answer["title"], answer["canonical"], answer["robots"]) == ("Tides", LINK.rstrip("/"), "noindex")


def test_what_is_beside_the_main_text_does_not_change_its_fingerprint() -> None:
    other = PAGE.replace(b"Menu words", b"Other menu").replace(b"Imprint", b"Cookie")
    assert found(PAGE)["main"] == found(other)["main"] != found(PAGE.replace(b"largest", b"smallest"))["main"]


SITEMAP = b"""<?xml version="1.0"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"
xmlns:image="http://www.google.com/schemas/sitemap-image/1.1"><url><loc> https://a.example/1?a=b&amp;c=d </loc>
<image:image><image:loc>https://a.example/image.png</image:loc></image:image></url>
<url><loc>ftp://a.example/2</loc></url></urlset>"""


def test_what_a_sitemap_lists() -> None:
    assert found(SITEMAP) == {"sitemaps": "", "pages": "https://a.example/1?a=b&c=d"}
    assert found(gzip.compress(SITEMAP)) == found(SITEMAP)


def test_what_an_index_lists() -> None:
    index = b"<sitemapindex><sitemap><loc>https://a.example/1.xml</loc></sitemap></sitemapindex>"
    assert found(index) == {"sitemaps": "https://a.example/1.xml", "pages": ""}


def test_a_list_of_addresses_is_a_sitemap() -> None:
    assert found(b"https://a.example/1\r\nnonsense\nhttps://a.example/2")["pages"].split() == [
        "https://a.example/1",
        "https://a.example/2",
    ]


def test_a_sitemap_has_no_more_than_its_protocol_allows() -> None:
    many = b"".join(b"<url><loc>https://a.example/%d</loc></url>" % number for number in range(60_000))
    assert len(found(b"<urlset>" + many + b"</urlset>")["pages"].split()) == links.URLS_LIMIT


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"<urlset><url><loc>", "corrupt_file"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><urlset><url><loc>&b;</loc></url></urlset>', "corrupt_file"),
        (gzip.compress(SITEMAP)[:-10], "corrupt_file"),
        (b"\x1f\x8bnot packed", "corrupt_file"),
        (gzip.compress(b"<urlset>" + b" " * (links.UNPACKED_LIMIT + 1), 9), "zip_bomb"),
    ],
    ids=["cut", "entities", "cut gzip", "no gzip", "bomb"],
)
def test_what_is_no_sitemap_is_unreadable(data: bytes, code: str) -> None:
    with pytest.raises(Unreadable) as unreadable:
        found(data)
    assert unreadable.value.code == code


@pytest.mark.parametrize(
    "piece",
    [
        b"<a href='",
        b"<a href=x ",
        b"<!--",
        b"<meta name=robots content='",
        b"<link rel=canonical href='/",
        b"\n",
    ],
    ids=repr,
)
def test_a_hundred_kilobytes_of_malice_take_no_time(piece: bytes) -> None:
    """S17, for the patterns of this module; the page's own parser is bounded by the process it runs in."""
    text = (piece * 100_000)[:100_000].decode()
    page = links._Page(LINK)
    began = time.process_time()
    scan(text, page)
    links._fit("https://a.example/" + text)
    links._SITEMAP.search(text.encode())
    assert time.process_time() - began < 0.5
