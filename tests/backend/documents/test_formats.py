import pytest

from backend.documents.files import shown_name, shown_title
from backend.documents.formats import NotAccepted, recognise

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
        ("program.exe", b"MZ\x00", "Accepted are .docx, .htm"),
        ("noextension", b"hello", "Accepted are"),
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
