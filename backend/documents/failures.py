"""Why a document failed: for each code a sentence for its owner and what to do about it."""

from dataclasses import dataclass

from backend.documents import formats


@dataclass(frozen=True, slots=True)
class Failure:
    code: str
    message: str
    hint: str


_TABLE = (
    ("encrypted_pdf", "The PDF asks for a password.", "Save it without a password and upload it again."),
    ("encrypted_file", "The file asks for a password.", "Save it without a password and upload it again."),
    ("empty_file", "The file is empty.", "Check the file and upload it again."),
    ("no_text", "The file has no text.", "Check that it is the file you meant, and upload it again."),
    ("unsupported_type", "Files of this type cannot be read.", "Convert it to PDF, DOCX, HTML, Markdown or text."),
    ("corrupt_file", "The file is damaged and cannot be read.", "Save it again in its own program."),
    ("zip_bomb", "The file unpacks to far more than its size allows.", "Save it anew, or split it."),
    ("protected_book", "The book is copy-protected.", "Only books without copy protection can be read."),
    ("too_many_files", "The archive holds more files than can be taken at once.", "Split it into smaller archives."),
    ("too_many_pages", "The document has more pages than this deployment accepts.", "Split it into smaller files."),
    ("too_large", "The file is larger than this deployment accepts.", "Split it into smaller files."),
    ("text_too_long", "The document has more text than this deployment accepts.", "Split it into smaller files."),
    (
        "page_quota",
        "Your plan does not allow so many pages more.",
        "Delete what is no longer needed, or ask for a larger plan; then retry.",
    ),
    ("parser_timeout", "Reading the file took too long.", "Save it again in its own program, or split it."),
    ("parser_memory", "Reading the file took too much memory.", "Save it again in its own program, or split it."),
    ("parser_crashed", "The file makes the reader crash.", "Print it to a new PDF, and upload that."),
    ("original_missing", "The original file is gone from the storage.", "Delete the document and upload it again."),
)
FAILURES = {code: Failure(code, message, hint) for code, message, hint in _TABLE}

_SCAN = Failure(
    "no_text",
    "No text was found. Is it a scan?",
    "Run text recognition (OCR) over it first, or paste the text instead.",
)
_PICTURES = Failure(
    "no_text",
    "No text was found. Are there only pictures in it?",
    "Save it as PDF and run text recognition (OCR) over that, or paste the text instead.",
)
_SCRIPTED = Failure(
    "no_text",
    "No text was found. Is the page filled in by a script?",
    "What scripts bring cannot be read: save the page as PDF in a browser, or paste the text instead.",
)
_WITHOUT_TEXT = {
    formats.PDF.name: _SCAN,
    **{kind.name: _PICTURES for kind in (formats.DOCX, formats.PPTX, formats.ODT, formats.EPUB, formats.RTF)},
    **{kind.name: _SCRIPTED for kind in (formats.HTML, formats.WEBPAGE)},
}

AGENT_HINT = "Nothing is wrong with your file. Try again later; if it stays so, tell the operator."
INTERNAL = Failure("internal_error", "Something failed on our side.", AGENT_HINT)


def failure_of(code: str, format_name: str) -> Failure:
    """Why a document of this format failed: only what has pages can be a scan."""
    if code == "no_text":
        return _WITHOUT_TEXT.get(format_name, FAILURES[code])
    return FAILURES[code]
