from importlib import import_module

import pytest

from backend.documents.files import shown_name, shown_title
from backend.documents.formats import FORMATS, SNIFF_BYTES, NotAccepted, is_archive, recognise
from tests.backend.documents.reading import written
from tests.backend.documents.samples import archive

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1rest"


@pytest.mark.parametrize(
    ("filename", "head", "name"),
    [
        ("report.pdf", b"%PDF-1.7", "pdf"),
        ("report.PDF", b"\n\n%PDF-1.4", "pdf"),
        ("report", b"%PDF-1.7", "pdf"),
        ("letter.docx", b"PK\x03\x04", "docx"),
        ("page.htm", b"<html>", "html"),
        ("readme.md", b"# Hi", "markdown"),
        ("notes.txt", "Grüße".encode("latin-1"), "text"),
        ("notes.txt", "\ufeffHello".encode("utf-16"), "text"),
        ("notes.txt", "Hello there".encode("utf-16-le"), "text"),
        ("notes.log", b"", "text"),
    ],
)
def test_a_file_is_known_by_content_and_name(filename: str, head: bytes, name: str) -> None:
    assert recognise(filename=filename, head=head).name == name


@pytest.mark.parametrize(
    ("filename", "head", "words"),
    [
        ("report.pdf", b"hello", "looks like plain text"),
        ("letter.docx", b"%PDF-1.7", "looks like a PDF"),
        ("letter.docx", OLE, "encrypted or in the old .doc format"),
        ("notes.txt", b"PK\x03\x04", "looks like a ZIP"),
        ("notes.txt", b"\x7fELF\x00\x01\x02", "looks like binary data"),
        ("notes.md", OLE, "looks like an old or encrypted Office file"),
        ("program.exe", b"MZ\x00", r"^Files that end in \.exe cannot be read\.$"),
        ("letter.DOC", OLE, r"old \.doc format cannot be read\. Save it as \.docx"),
        ("noextension", b"hello", "has no ending"),
    ],
)
def test_what_lies_or_is_unknown_is_refused_with_a_reason(filename: str, head: bytes, words: str) -> None:
    with pytest.raises(NotAccepted, match=words):
        recognise(filename=filename, head=head)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/passwd.txt", "passwd.txt"),
        ("C:\\docs\\a.pdf", "a.pdf"),
        ("a\u202efdp.exe", "afdp.exe"),
        ("tab\tand\x00nul.txt", "tab andnul.txt"),
        ("", "file"),
        ("x" * 400 + ".pdf", "x" * 251 + ".pdf"),
        ('quo"te.txt', 'quo"te.txt'),
    ],
)
def test_a_file_name_is_shown_without_its_tricks(name: str, shown: str) -> None:
    assert shown_name(name) == shown


def test_a_title_falls_back_to_the_file_name() -> None:
    assert shown_title(" \u202e ", filename="report.pdf") == "report"
    assert shown_title("") == "Untitled"
    assert shown_title("My\ntitle") == "My title"


@pytest.mark.parametrize("filename", ["tides.pptx", "harbours.xlsx", "sea.epub", "knots.odt", "departure.eml"])
def test_files_that_programs_wrote_are_recognised(filename: str) -> None:
    extension = filename.rpartition(".")[2]
    assert recognise(filename=filename, head=written(filename)[:SNIFF_BYTES]).name == extension


@pytest.mark.parametrize(
    ("filename", "real", "words"),
    [
        ("book.docx", "sea.epub", "looks like an EPUB book"),
        ("sheet.xlsx", "knots.odt", "looks like an OpenDocument text"),
        ("notes.txt", "sea.epub", "looks like an EPUB book"),
        ("slides.odt", "tides.pptx", "looks like a"),
    ],
)
def test_an_archive_of_another_program_is_refused(filename: str, real: str, words: str) -> None:
    with pytest.raises(NotAccepted, match=words):
        recognise(filename=filename, head=written(real)[:SNIFF_BYTES])


def test_a_plain_archive_is_known_and_never_taken_for_a_document() -> None:
    head = archive({"a.txt": "x"})[:SNIFF_BYTES]
    assert is_archive(filename="files.ZIP", head=head)
    assert not is_archive(filename="files.docx", head=head)
    assert not is_archive(filename="book.zip", head=written("sea.epub"))
    with pytest.raises(NotAccepted, match="cannot be read"):
        recognise(filename="files.zip", head=head)


def test_an_export_of_telegram_is_told_from_other_json() -> None:
    head = b'{\n "name": "News",\n "type": "public_channel",\n "id": 1,\n "messages": ['
    assert recognise(filename="result.json", head=head).name == "telegram_export"
    assert recognise(filename="other.json", head=b'{"type": "news", "messages": []}').name == "json"


def test_our_own_formats_cannot_be_had_by_a_file_name() -> None:
    for own in ("webpage", "links", "telegram_posts", "questions"):
        assert FORMATS[own].extensions == ()
        with pytest.raises(NotAccepted):
            recognise(filename=f"x.{own}", head=b"x")


def test_every_format_has_a_reader_of_its_name() -> None:
    for name in FORMATS:
        assert callable(import_module(f"backend.documents.parser.{name}").read)


def test_no_extension_means_two_formats() -> None:
    extensions = [extension for kind in FORMATS.values() for extension in kind.extensions]
    assert len(extensions) == len(set(extensions))


def test_source_code_that_speaks_of_a_pdf_is_none() -> None:
    assert recognise(filename="sniff.py", head=b'if head.startswith(b"%PDF-"):').name == "code"
