"""The file formats that can be read, and how a file is recognised: by its first bytes, and then by its name."""

from dataclasses import dataclass

MIB = 1024 * 1024
SNIFF_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Format:
    """`max_bytes` applies beside the deployment's limit."""

    name: str
    title: str
    media_type: str
    extensions: tuple[str, ...]
    max_bytes: int | None = None


PDF = Format("pdf", "PDF", "application/pdf", ("pdf",))
DOCX = Format(
    "docx",
    "Word (.docx)",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ("docx",),
)
HTML = Format("html", "HTML", "text/html", ("html", "htm"), max_bytes=5 * MIB)
MARKDOWN = Format("markdown", "Markdown", "text/markdown", ("md", "markdown"), max_bytes=5 * MIB)
TEXT = Format("text", "plain text", "text/plain", ("txt", "text", "log"))

FORMATS = {kind.name: kind for kind in (PDF, DOCX, HTML, MARKDOWN, TEXT)}
_BY_EXTENSION = {extension: kind for kind in FORMATS.values() for extension in kind.extensions}
ACCEPTED = ", ".join(f".{extension}" for extension in sorted(_BY_EXTENSION))

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # old Office files, and the wrapper of encrypted new ones
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


class NotAccepted(ValueError):
    """Says in one sentence why a file of this name and beginning cannot be read."""


def recognise(*, filename: str, head: bytes) -> Format:
    """The format of a file, given its name and first SNIFF_BYTES. Raises NotAccepted, also where the two disagree."""
    claimed = _BY_EXTENSION.get(_extension(filename))
    content = _sniff(head)
    if content == "pdf" and claimed in (None, PDF):
        return PDF
    if claimed is None:
        raise NotAccepted(f"Files of this type cannot be read. Accepted are {ACCEPTED}.")
    if content == "ole" and claimed is DOCX:
        raise NotAccepted("This Word file is encrypted or in the old .doc format. Save it as .docx without a password.")
    expected = {PDF: "pdf", DOCX: "zip"}.get(claimed, "text")
    if content != expected:
        raise NotAccepted(f"The name says {claimed.title}, the content does not: it looks like {_WORDS[content]}.")
    return claimed


_WORDS = {
    "pdf": "a PDF",
    "zip": "a ZIP or Office file",
    "ole": "an old or encrypted Office file",
    "text": "plain text",
    "binary": "binary data",
}


def _extension(filename: str) -> str:
    return filename.rpartition(".")[2].lower() if "." in filename else ""


def _sniff(head: bytes) -> str:
    if b"%PDF-" in head[:1024]:
        return "pdf"
    if head.startswith(_OLE):
        return "ole"
    if head.startswith(_ZIP):
        return "zip"
    return "binary" if b"\x00" in head and not head.startswith(_UTF16) and not _bare_utf16(head) else "text"


def _bare_utf16(head: bytes) -> bool:
    """UTF-16 without a mark: in text of a Latin script every second byte is zero."""
    even, odd = head[0::2], head[1::2]
    return 10 * max(even.count(0), odd.count(0)) >= 7 * len(odd) and min(even.count(0), odd.count(0)) == 0
