"""The file formats that can be read, and how a file is recognised: by its first bytes, and then by its name."""

import json
import re
from dataclasses import dataclass

MIB = 1024 * 1024
SNIFF_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Format:
    """`name` is also that of its reader in `parser`. Without `extensions` it cannot be had by naming a file so.
    `max_bytes` applies beside the deployment's limit, `max_pages` instead of it. With `headings` the text has Markdown
    headings, whoever wrote them. `content` is what its first bytes look like."""

    name: str
    title: str
    media_type: str
    extensions: tuple[str, ...] = ()
    max_bytes: int | None = None
    max_pages: int | None = None
    headings: bool = False
    content: str = "text"


_OFFICE = "application/vnd.openxmlformats-officedocument"
_CODE_EXTENSIONS = (
    "adb", "ads", "asm", "awk", "bash", "bat", "c", "cc", "cfg", "clj", "cljs", "cmake", "conf", "cpp", "cs", "css",
    "cxx", "d", "dart", "diff", "el", "elm", "env", "erl", "ex", "exs", "f90", "fish", "fs", "gradle", "go", "graphql",
    "groovy", "h", "hh", "hpp", "hrl", "hs", "ini", "java", "jl", "js", "jsx", "kt", "kts", "less", "lisp", "lua", "m",
    "mjs", "ml", "mli", "mm", "nim", "nix", "pas", "patch", "php", "pl", "pm", "properties", "proto", "ps1", "py",
    "pyi", "r", "rb", "rs", "s", "sass", "scala", "scm", "scss", "sh", "sol", "sql", "svelte", "swift", "tcl", "tf",
    "thrift", "toml", "ts", "tsx", "v", "vb", "vhd", "vim", "vue", "xml", "xsd", "xsl", "yaml", "yml", "zig", "zsh",
)  # fmt: skip

PDF = Format("pdf", "PDF", "application/pdf", ("pdf",), content="pdf")
DOCX = Format("docx", "Word (.docx)", f"{_OFFICE}.wordprocessingml.document", ("docx",), headings=True, content="docx")
PPTX = Format(
    "pptx",
    "PowerPoint (.pptx)",
    f"{_OFFICE}.presentationml.presentation",
    ("pptx",),
    headings=True,
    content="pptx",
)
XLSX = Format("xlsx", "Excel (.xlsx)", f"{_OFFICE}.spreadsheetml.sheet", ("xlsx",), headings=True, content="xlsx")
ODT = Format(
    "odt",
    "OpenDocument text (.odt)",
    "application/vnd.oasis.opendocument.text",
    ("odt",),
    headings=True,
    content="odt",
)
EPUB = Format("epub", "EPUB", "application/epub+zip", ("epub",), headings=True, content="epub")
RTF = Format("rtf", "RTF", "application/rtf", ("rtf",), headings=True, content="rtf")
HTML = Format("html", "HTML", "text/html", ("html", "htm", "xhtml"), max_bytes=5 * MIB, headings=True)
MARKDOWN = Format("markdown", "Markdown", "text/markdown", ("md", "markdown"), max_bytes=5 * MIB, headings=True)
TEXT = Format("text", "plain text", "text/plain", ("txt", "text", "log", "rst", "tex"))
CSV = Format("csv", "CSV", "text/csv", ("csv", "tsv"))
EML = Format("eml", "an e-mail message (.eml)", "message/rfc822", ("eml",))
JSON = Format("json", "JSON", "application/json", ("json", "geojson"), max_bytes=10 * MIB)
JSONL = Format("jsonl", "JSON lines", "application/x-ndjson", ("jsonl", "ndjson"))
CODE = Format("code", "source code", "text/plain", _CODE_EXTENSIONS, max_bytes=5 * MIB)
TELEGRAM_EXPORT = Format("telegram_export", "Telegram Desktop export (.json)", "application/json", max_pages=100_000)

# What our own sources and forms write; no upload is taken for one of these.
WEBPAGE = Format("webpage", "web page", "text/html", max_bytes=5 * MIB, headings=True)
LINKS = Format("links", "sitemap or page of links", "text/html", max_bytes=50 * MIB)
TELEGRAM_POSTS = Format("telegram_posts", "Telegram posts", "application/x-ndjson")
QUESTIONS = Format("questions", "questions and answers", "application/json")

FORMATS = {
    kind.name: kind
    for kind in (
        PDF, DOCX, PPTX, XLSX, ODT, EPUB, RTF, HTML, MARKDOWN, TEXT, CSV, EML, JSON, JSONL, CODE, TELEGRAM_EXPORT,
        WEBPAGE, LINKS, TELEGRAM_POSTS, QUESTIONS,
    )
}  # fmt: skip
_BY_EXTENSION = {extension: kind for kind in FORMATS.values() for extension in kind.extensions}

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # old Office files, and the wrapper of encrypted new ones
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_ENTRY = b"PK\x03\x04"
_ENTRY_BYTES = 30  # of an entry's header before its name
_SHOWN_CHARS = 20  # of an ending that is not known
_MEDIA_TYPE = b"mimetype"  # the first entry of EPUB and OpenDocument, stored as it is
_TELEGRAM_TYPE = re.compile(
    rb'"type"\s*:\s*"(?:personal_chat|bot_chat|saved_messages|(?:private|public)_(?:group|supergroup|channel))"'
)


class NotAccepted(ValueError):
    """Says in one sentence why a file of this name and beginning cannot be read."""


def recognise(*, filename: str, head: bytes) -> Format:
    """The format of a file, given its name and first SNIFF_BYTES. Raises NotAccepted, also where the two disagree, and
    for a ZIP archive, which is to be expanded instead (see `is_archive`)."""
    claimed = _BY_EXTENSION.get(_extension(filename))
    content = _sniff(head)
    if content == "pdf" and claimed is None:
        return PDF
    if claimed is None:
        raise NotAccepted(_unknown(_extension(filename)))
    if content == "ole" and claimed in _OLD_NAMES:
        raise NotAccepted(
            f"This {claimed.title} file is encrypted or in the old {_OLD_NAMES[claimed]} format. "
            f"Save it as .{claimed.name} without a password."
        )
    if not _agrees(claimed, content, head):
        raise NotAccepted(f"The name says {claimed.title}, the content does not: it looks like {_WORDS[content]}.")
    return TELEGRAM_EXPORT if claimed is JSON and _of_telegram(head) else claimed


def _unknown(extension: str) -> str:
    if f".{extension}" in _OLD_NAMES.values():
        return f"Files in the old .{extension} format cannot be read. Save it as .{extension}x."
    if not extension:
        return "The name has no ending that says what kind of file it is."
    return f"Files that end in .{extension[:_SHOWN_CHARS]} cannot be read."


def is_archive(*, filename: str, head: bytes) -> bool:
    """Whether it is a plain ZIP archive of files, by name and content."""
    return _extension(filename) == "zip" and _sniff(head) == "zip"


_OLD_NAMES = {DOCX: ".doc", PPTX: ".ppt", XLSX: ".xls"}
_WORDS = {
    "pdf": "a PDF",
    "docx": "a Word document",
    "pptx": "a PowerPoint presentation",
    "xlsx": "an Excel workbook",
    "odt": "an OpenDocument text",
    "epub": "an EPUB book",
    "opendocument": "an OpenDocument file that is no text",
    "zip": "a ZIP or Office file",
    "ole": "an old or encrypted Office file",
    "rtf": "RTF",
    "text": "plain text",
    "binary": "binary data",
}
_FOLDERS = {b"word/": "docx", b"ppt/": "pptx", b"xl/": "xlsx"}
_ZIPPED = {*_FOLDERS.values(), "odt", "epub"}


def _agrees(claimed: Format, content: str, head: bytes) -> bool:
    """An archive whose beginning does not tell what is inside is left to the reader, which will see."""
    if claimed is PDF:
        return b"%PDF-" in head[:1024]
    return content == claimed.content or (content == "zip" and claimed.content in _ZIPPED)


def _extension(filename: str) -> str:
    return filename.rpartition(".")[2].lower() if "." in filename else ""


def _sniff(head: bytes) -> str:
    beginning = head[:64].removeprefix(b"\xef\xbb\xbf").lstrip()
    if beginning.startswith(b"%PDF-"):
        return "pdf"
    if beginning.startswith(b"{\\rtf"):
        return "rtf"
    if head.startswith(_OLE):
        return "ole"
    if head.startswith(_ZIP):
        return _zipped(head)
    return "binary" if b"\x00" in head and not head.startswith(_UTF16) and not _bare_utf16(head) else "text"


def _zipped(head: bytes) -> str:
    """What an archive's first entries say; "zip" where they say nothing."""
    at = head.find(_ENTRY)
    while at >= 0:
        length = int.from_bytes(head[at + 26 : at + 28], "little")
        name = head[at + _ENTRY_BYTES : at + _ENTRY_BYTES + length]
        if name == _MEDIA_TYPE:
            extra = int.from_bytes(head[at + 28 : at + 30], "little")
            return _by_media_type(head[at + _ENTRY_BYTES + length + extra :])
        for folder, content in _FOLDERS.items():
            if name.startswith(folder):
                return content
        at = head.find(_ENTRY, at + 1)
    return "zip"


def _by_media_type(stored: bytes) -> str:
    for kind in (EPUB, ODT):
        following = stored[len(kind.media_type) :][:2]
        if stored.startswith(kind.media_type.encode()) and following in (b"", b"PK"):
            return kind.content
    return "opendocument" if stored.startswith(b"application/vnd.oasis.opendocument") else "zip"


def _of_telegram(head: bytes) -> bool:
    """The beginning of what Telegram Desktop writes for one chat."""
    return b'"messages"' in head and _TELEGRAM_TYPE.search(head) is not None


def chat_name(head: bytes) -> str:
    """What an export of Telegram Desktop, which calls each file result.json, begins with; empty where it does not."""
    beginning, _, rest = head.decode("utf-8", "ignore").partition('"name":')
    if beginning.strip() != "{":
        return ""
    try:
        name, _ = json.JSONDecoder().raw_decode(rest.lstrip())
    except ValueError:
        return ""
    return name if isinstance(name, str) else ""


def _bare_utf16(head: bytes) -> bool:
    """UTF-16 without a mark: in text of a Latin script every second byte is zero."""
    even, odd = head[0::2], head[1::2]
    return 10 * max(even.count(0), odd.count(0)) >= 7 * len(odd) and min(even.count(0), odd.count(0)) == 0
