"""PDF with pdfium: the fastest of those tried, and the reason for the child process: it aborts on hostile files."""

import codecs
from collections.abc import Iterator

import pypdfium2 as pdfium
from pypdfium2.raw import FPDF_ERR_PASSWORD, FPDF_CloseDocument, FPDF_GetLastError, FPDF_LoadMemDocument64

from backend.documents.parser.reading import ParsedPage, Reading, Unreadable

# The three standard streams and no more: whoever takes over pdfium can open neither file nor socket.
DESCRIPTORS = 3
codecs.lookup("utf-16-le")  # what pdfium's text comes in; loaded while a file can still be opened

# pdfium's mark for a hyphen at the end of a line, as in "cloud-" / "based".
_LINE_END_HYPHEN = "\ufffe"


def read(data: bytes) -> Reading:
    try:
        document = pdfium.PdfDocument(data)
    except pdfium.PdfiumError as exc:
        raise Unreadable("encrypted_pdf" if _asks_for_a_password(data) else "corrupt_file") from exc
    return Reading(len(document), _pages(document))


def _asks_for_a_password(data: bytes) -> bool:
    """Asked of pdfium itself: the exception for a document without pages carries an earlier failure's code."""
    if handle := FPDF_LoadMemDocument64(data, len(data), None):
        FPDF_CloseDocument(handle)
        return False
    return bool(FPDF_GetLastError() == FPDF_ERR_PASSWORD)


def _pages(document: pdfium.PdfDocument) -> Iterator[ParsedPage]:
    for index in range(len(document)):
        yield ParsedPage(f"Page {index + 1}", _text(document, index).replace(_LINE_END_HYPHEN, "-"))


def _text(document: pdfium.PdfDocument, index: int) -> str:
    """Empty where the page is damaged: one bad page does not cost the others."""
    try:
        page = document[index]
    except pdfium.PdfiumError:
        return ""
    try:
        textpage = page.get_textpage()
        text: str = textpage.get_text_range()
        textpage.close()
    except pdfium.PdfiumError:
        return ""
    finally:
        page.close()
    return text
