"""PDF with pdfium: the fastest of those tried, and the reason for the child process: it aborts on hostile files."""

import codecs
import importlib
import math
from collections.abc import Iterator
from typing import Any

import pypdfium2 as pdfium
from pypdfium2.raw import FPDF_ERR_PASSWORD, FPDF_CloseDocument, FPDF_GetLastError, FPDF_LoadMemDocument64

from backend.documents.parser.reading import ParsedPage, Reading, Refused, Unreadable

# The three standard streams and no more: whoever takes over pdfium can open neither file nor socket.
DESCRIPTORS = 3
codecs.lookup("utf-16-le")  # what pdfium's text comes in; loaded while a file can still be opened

# pdfium's mark for a hyphen at the end of a line, as in "cloud-" / "based".
_LINE_END_HYPHEN = "\ufffe"

_POINTS_PER_INCH = 72
_DOTS_PER_INCH = 200

_recognisers: list[Any] = []  # one where text recognition was asked for


def prepare(*, ocr: list[str], seconds: int) -> None:
    """Start what cannot be started once the process is confined: text recognition by the command `ocr`, if any."""
    if ocr:
        _recognisers.append(importlib.import_module("backend.documents.parser.ocr").Recogniser(ocr, seconds=seconds))


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


def _pages(document: pdfium.PdfDocument) -> Iterator[ParsedPage | Refused]:
    left_out = 0
    for index in range(len(document)):
        text = _text(document, index).replace(_LINE_END_HYPHEN, "-")
        if _recognisers and not text.strip():
            left_out += _recognisers[0].spent
            text = _recognised(document, index)
        yield ParsedPage(f"Page {index + 1}", text)
    if left_out:
        yield Refused(
            f"{left_out} pages without text", "There was no time left to recognise the text of so many pages."
        )


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


def _recognised(document: pdfium.PdfDocument, index: int) -> str:
    """The text on the picture of a page; empty where the page is damaged, or the time for it is over."""
    if _recognisers[0].spent:
        return ""
    try:
        page = document[index]
    except pdfium.PdfiumError:
        return ""
    try:
        width, height = page.get_size()
        dots = _DOTS_PER_INCH / _POINTS_PER_INCH
        scale = min(dots, math.sqrt(_recognisers[0].max_pixels / max(1.0, width * height)))
        image = page.render(scale=scale, grayscale=True)
        rows = memoryview(image.buffer).cast("B")
        starts = range(0, image.stride * image.height, image.stride)
        pixels = b"".join(rows[start : start + image.width] for start in starts)
        text: str = _recognisers[0].text(width=image.width, height=image.height, pixels=pixels)
    except pdfium.PdfiumError:
        return ""
    finally:
        page.close()
    return text
