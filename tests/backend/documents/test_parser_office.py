"""Presentations, books and OpenDocument texts, part by part."""

import pytest

from backend.documents.parser.reading import ParsedPage, Refused, storable
from tests.backend.documents import hostile
from tests.backend.documents.hostile import epub, odt, part, pptx, relations
from tests.backend.documents.reading import pages, reading, refused, text, why

BODY = "<office:text>{}</office:text>"


def shape(words: str, kind: str = "") -> str:
    placeholder = f'<p:nvSpPr><p:nvPr><p:ph type="{kind}"/></p:nvPr></p:nvSpPr>' if kind else ""
    return f"<p:sp>{placeholder}<p:txBody><a:p><a:r><a:t>{words}</a:t></a:r></a:p></p:txBody></p:sp>"


def test_a_slide_is_told_by_its_title_and_without_what_stands_on_every_slide() -> None:
    data = pptx(shape("The title", "ctrTitle") + shape("3", "sldNum") + shape("Company", "ftr") + shape("words"))
    assert pages(data, "pptx") == [ParsedPage("Slide 1: The title", "# The title\n\nwords")]


def test_a_hidden_slide_is_named_and_not_read() -> None:
    data = hostile.archive(
        part("ppt/presentation.xml", f'<p xmlns:r="{hostile.RELATIONS}"><sldId r:id="r"/></p>'),
        part("ppt/_rels/presentation.xml.rels", relations(("r", "slide", "s.xml"))),
        part("ppt/s.xml", '<sld show="0"><p><t>secret</t></p></sld>'),
    )
    assert refused(data, "pptx") == {"Slide 1": "It is hidden in the presentation."}
    assert pages(data, "pptx") == []


def test_a_slide_that_is_named_twice_is_read_once() -> None:
    assert len(pages(hostile.CORPUS["same-slide.pptx"].make(), "pptx")) == 1


def test_a_chapter_that_is_named_40000_times_is_read_once() -> None:
    assert [page.text for page in pages(hostile.CORPUS["spine-loop.epub"].make(), "epub")] == ["Once."]


def test_a_chapter_without_an_entry_in_the_contents_is_told_by_its_heading_or_number() -> None:
    assert pages(epub("<h1>Of Whales</h1><p>x"), "epub")[0].label == "Of Whales"
    assert pages(epub("<p>x"), "epub")[0].label == "Chapter 1"


def test_an_old_book_is_told_by_its_old_contents() -> None:
    contents = (
        '<!DOCTYPE ncx PUBLIC "-//NISO//DTD ncx 2005-1//EN" "http://www.daisy.org/z3986/2005/ncx-2005-1.dtd">'
        '<ncx><navPoint><navLabel><text>First Watch</text></navLabel><content src="c.xhtml#a"/></navPoint></ncx>'
    )
    item = '<item id="n" href="toc.ncx" media-type="application/x-dtbncx+xml"/>'
    assert pages(epub("<p>x", part("toc.ncx", contents), items=item), "epub")[0].label == "First Watch"


def test_a_long_chapter_comes_in_parts() -> None:
    found = pages(epub("<h1>Long</h1>" + "<p>A sentence.</p>" * 3000), "epub")
    assert [page.label for page in found] == [f"Long, part {number}" for number in range(1, len(found) + 1)]
    assert len(found) > 1


def test_a_missing_chapter_does_not_cost_the_others() -> None:
    assert refused(epub("<p>x", href="gone.xhtml"), "epub") == {"Chapter 1": "It is missing from the file."}


def test_a_protected_book_says_so() -> None:
    assert why(hostile.CORPUS["protected.epub"].make(), "epub") == "protected_book"


def test_odt_keeps_spaces_breaks_notes_and_pages() -> None:
    body = (
        "<text:h text:outline-level='2'>Head</text:h>"
        "<text:p>two<text:s text:c='2'/>blanks<text:tab/>and<text:line-break/>lines</text:p>"
        "<text:p>noted<text:note><text:note-citation>1</text:note-citation>"
        "<text:note-body><text:p>a note</text:p></text:note-body></text:note></text:p>"
        "<text:p>ends<text:soft-page-break/>begins</text:p>"
        "<office:annotation><text:p>comment</text:p></office:annotation>"
    )
    assert [page.text for page in pages(odt(BODY.format(body)), "odt")] == [
        "## Head\n\ntwo  blanks\tand\nlines\n\nnoted\n\na note\n\nends",
        "begins",
    ]


def test_a_repeated_cell_is_told_and_an_endless_one_is_not() -> None:
    row = (
        "<table:table><table:table-row><table:table-cell table:number-columns-repeated='3'><text:p>x</text:p>"
        "</table:table-cell><table:table-cell table:number-columns-repeated='16000'/></table:table-row></table:table>"
    )
    assert text(odt(BODY.format(row)), "odt") == "| x | x | x |"
    assert len(text(hostile.CORPUS["columns-repeated.odt"].make(), "odt")) < 1000
    assert len(text(hostile.CORPUS["rows-repeated.odt"].make(), "odt")) < 2000


@pytest.mark.parametrize("name", ["laughs.docx", "xxe.docx", "strings-laugh.xlsx", "laughs.epub"])
def test_no_entity_is_ever_expanded(name: str) -> None:
    assert why(hostile.CORPUS[name].make(), hostile.CORPUS[name].format) == "corrupt_file"


def test_a_name_inside_a_file_is_one_clean_line_where_it_is_kept() -> None:
    page, *_ = reading(hostile.CORPUS["names.xlsx"].make(), "xlsx").pages
    label = storable(page)[0]
    assert label.startswith("Sheet gnp.exe x")
    assert len(label) <= 200
    assert storable(Refused("a\x00b\ud800\n", "x" * 1000)) == Refused("ab", "x" * 499 + "…")
