"""The readers as functions of bytes; `test_extraction` has them in their process."""

import pytest

from backend.documents.parser import archive, docx, html, markdown, pdf, text
from backend.documents.parser.reading import SECTION_CHARS, ParsedPage, Reading, Unreadable
from tests.backend.documents import samples
from tests.backend.documents.samples import paragraph, real_pdf

BREAK = '<w:br w:type="page"/>'
RENDERED = "<w:lastRenderedPageBreak/>"


def texts(reading: Reading) -> list[str]:
    pages = [page.text for page in reading.pages if isinstance(page, ParsedPage)]
    assert reading.total == len(pages)
    return pages


def why(read: object, data: bytes) -> str:
    with pytest.raises(Unreadable) as refusal:
        texts(read(data))  # type: ignore[operator]
    return refusal.value.code


def test_pdf_pages_are_numbered_and_kept_apart() -> None:
    reading = pdf.read(samples.pdf(["First page.", "Second page."]))
    assert [page[:2] for page in reading.pages] == [
        ("Page 1", "First page."),
        ("Page 2", "Second page."),
    ]


def test_a_hyphen_at_the_end_of_a_line_is_a_hyphen() -> None:
    pages = texts(pdf.read(real_pdf("ADOBE_2022_10K.pdf").read_bytes()))
    assert len(pages) == 99
    assert "cloud-based" in "".join(pages)
    assert "\ufffe" not in "".join(pages)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (samples.pdf(["secret"], encrypted=True), "encrypted_pdf"),
        (b"%PDF-1.7 nothing follows", "corrupt_file"),
        (samples.pdf([]), "corrupt_file"),
    ],
)
def test_a_pdf_that_cannot_be_read_says_why(data: bytes, code: str) -> None:
    assert why(pdf.read, data) == code


def test_a_pdf_without_pages_is_not_blamed_for_the_password_of_the_one_before() -> None:
    assert why(pdf.read, samples.pdf(["secret"], encrypted=True)) == "encrypted_pdf"
    assert why(pdf.read, samples.pdf([])) == "corrupt_file"


def test_a_damaged_page_does_not_cost_the_others() -> None:
    data = samples.pdf(["First page.", "Second page."]).replace(b"4 0 obj", b"9 9 obj", 1)
    assert texts(pdf.read(data)) == ["", "Second page."]


@pytest.mark.parametrize(
    "data",
    [
        "Grüße, Welt".encode(),
        "\ufeffGrüße, Welt".encode(),
        "\ufeffGrüße, Welt".encode("utf-16-le"),
        "\ufeffGrüße, Welt".encode("utf-16-be"),
    ],
)
def test_text_is_decoded_by_its_mark_or_as_utf8(data: bytes) -> None:
    assert texts(text.read(data)) == ["Grüße, Welt"]


def test_text_in_an_older_encoding_is_guessed() -> None:
    sentence = "Die schönen Äpfel über der Straße gehören den Müllers aus München. "
    assert texts(text.read((sentence * 5).encode("cp1252"))) == [sentence * 5]


def test_utf16_without_a_mark_is_guessed() -> None:
    assert texts(text.read(("A plain sentence in English. " * 5).encode("utf-16-le"))) == [
        "A plain sentence in English. " * 5
    ]


def test_bytes_of_no_encoding_are_refused() -> None:
    assert why(text.read, bytes(range(256)) * 4) == "corrupt_file"


def test_a_long_text_comes_in_sections_that_join_to_the_whole() -> None:
    long = "".join(f"Paragraph {number}.\n\n" for number in range(5000))
    sections = texts(text.read(long.encode()))
    assert "".join(sections) == long
    assert max(map(len, sections)) <= SECTION_CHARS


def test_markdown_stays_as_it_was_written() -> None:
    assert texts(markdown.read(b"# Title\n\n* a_b *")) == ["# Title\n\n* a_b *"]


def test_html_keeps_headings_lists_tables_and_preformatted_text() -> None:
    data = b"""<html><head><title>Ignored, as there is an h1</title></head><body><h1>Head &amp; tail</h1>
      <p>A <b>bold</b>\n  word<br>next</p><ul><li>one<li>two</ul>
      <table><tr><th>A<th>B<tr><td>1<td>2</table><pre>x\n  y</pre><p>end"""
    assert texts(html.read(data)) == [
        "# Head & tail\n\nA bold word\nnext\n\n- one\n- two\nA | B\n1 | 2\n\nx\n  y\n\nend"
    ]


def test_html_leaves_out_what_nobody_reads() -> None:
    data = b"""<title>My &lt;page&gt;</title><nav><nav>menu</nav>more</nav><script>evil()</script><style>a{}</style>
      <div hidden>one<div>two</div></div><p style="display: none">three</p><span aria-hidden="true">four</span>
      <svg><path/></svg><img src=x hidden><p>seen</p>"""
    assert texts(html.read(data)) == ["# My <page>\n\nseen"]


@pytest.mark.parametrize(
    "data",
    [
        '<meta charset="iso-8859-1"><p>Grüße'.encode("latin-1"),
        '<meta charset="no-such-thing"><p>Grüße'.encode(),
        '\ufeff<meta charset="iso-8859-1"><p>Grüße'.encode(),
    ],
)
def test_html_is_decoded_by_mark_declaration_or_guess(data: bytes) -> None:
    assert texts(html.read(data)) == ["Grüße"]


def test_docx_keeps_headings_lists_tables_and_marks() -> None:
    styles = (
        f'<w:styles xmlns:w="{samples.WORD}"><w:style w:styleId="berschrift1"><w:name w:val="heading 1"/></w:style>'
        "</w:styles>"
    )
    body = (
        paragraph("Titel", style="berschrift1")
        + paragraph("Sub", style="Heading2")
        + "<w:p><w:pPr><w:numPr/><w:tabs><w:tab w:pos='720'/></w:tabs></w:pPr><w:r><w:t>item</w:t><w:tab/>"
        "<w:noBreakHyphen/><w:br/><w:t>next</w:t></w:r></w:p>"
        + f"<w:tbl><w:tr><w:tc>{paragraph('A')}</w:tc><w:tc>{paragraph('B')}{paragraph('C')}</w:tc></w:tr></w:tbl>"
        + paragraph("Some *text* a_b")
    )
    assert texts(docx.read(samples.docx(body, parts={"word/styles.xml": styles}))) == [
        "# Titel\n\n## Sub\n\n- item\t-\nnext\n\n| A | B C |\n\nSome *text* a_b"
    ]


def test_docx_pages_are_those_that_word_wrote_down() -> None:
    body = (
        paragraph("one")
        + f"<w:p><w:r>{BREAK}</w:r></w:p>"
        + paragraph("two", before=RENDERED)
        + f"<w:p><w:r><w:t>two ends</w:t>{RENDERED}<w:t>three begins</w:t></w:r></w:p>"
    )
    assert texts(docx.read(samples.docx(body))) == ["one", "two\n\ntwo ends", "three begins"]


def test_docx_notes_are_read_and_repeated_or_foreign_parts_are_not() -> None:
    compatibility = "http://schemas.openxmlformats.org/markup-compatibility/2006"
    box = (
        f'<mc:AlternateContent xmlns:mc="{compatibility}"><mc:Choice><w:txbxContent>{paragraph("box")}</w:txbxContent>'
        f"</mc:Choice><mc:Fallback>{paragraph('box')}</mc:Fallback></mc:AlternateContent>"
    )
    notes = f'<w:footnotes xmlns:w="{samples.WORD}">{paragraph("a note")}</w:footnotes>'
    body = f"<w:p><w:r>{box}<w:t>body</w:t><x:t xmlns:x='other'>foreign</x:t></w:r></w:p>"
    data = samples.docx(body, parts={"word/footnotes.xml": notes})
    assert texts(docx.read(data)) == ["box\n\nbody\n\na note"]


def test_a_table_in_a_table_and_a_break_inside_stay_in_their_cell() -> None:
    inner = f"<w:tbl><w:tr><w:tc>{paragraph('in', before=RENDERED)}</w:tc></w:tr></w:tbl>"
    body = f"<w:tbl><w:tr><w:tc>{paragraph('out')}{inner}</w:tc></w:tr></w:tbl>"
    assert texts(docx.read(samples.docx(body))) == ["| out | in | |"]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"PK\x03\x04 not a zip", "corrupt_file"),
        (samples.archive({"mimetype": "x"}), "corrupt_file"),
        (samples.docx("<w:p>"), "corrupt_file"),
        (samples.docx("", prolog="<!DOCTYPE x [<!ENTITY a 'b'>]>"), "corrupt_file"),
        (samples.docx(paragraph("x"), parts={"bomb": " " * 30_000_000}), "zip_bomb"),
        (samples.docx(paragraph("x"), parts={f"p{number}": "" for number in range(2001)}), "zip_bomb"),
    ],
)
def test_a_docx_that_cannot_be_read_says_why(data: bytes, code: str) -> None:
    assert why(docx.read, data) == code


def test_an_encrypted_archive_says_so() -> None:
    data = bytearray(samples.docx(paragraph("x")))
    data[data.index(b"PK\x01\x02") + 8] |= 1
    assert why(docx.read, bytes(data)) == "encrypted_file"


def test_a_part_never_gives_more_than_the_directory_promised() -> None:
    data = bytearray(samples.archive({"part": "a" * 1000}))
    entry = data.index(b"PK\x01\x02")
    data[entry + 24 : entry + 28] = (10).to_bytes(4, "little")
    with pytest.raises(Unreadable):
        archive.Archive(bytes(data)).part("part")


def test_a_damaged_part_is_refused() -> None:
    data = bytearray(samples.archive({"part": "a" * 1000}))
    data[data.index(b"part") + 5] ^= 0xFF
    with pytest.raises(Unreadable):
        archive.Archive(bytes(data)).part("part")
