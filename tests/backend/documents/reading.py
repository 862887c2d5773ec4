"""Readers as functions of bytes, for tests."""

from importlib import import_module
from pathlib import Path

import pytest

from backend.documents.parser.reading import ParsedPage, Reading, Refused, Unreadable

WRITTEN = Path(__file__).parent / "written"  # by python-pptx, XlsxWriter, openpyxl, EbookLib, odfpy and python-docx


def reading(data: bytes, name: str) -> Reading:
    found: Reading = import_module(f"backend.documents.parser.{name}").read(data)
    return found


def pages(data: bytes, name: str) -> list[ParsedPage]:
    found = reading(data, name)
    kept = [page for page in found.pages if isinstance(page, ParsedPage)]
    assert found.total == len(kept)
    return kept


def refused(data: bytes, name: str) -> dict[str, str]:
    """Reasons by part."""
    return {item.part: item.reason for item in reading(data, name).pages if isinstance(item, Refused)}


def text(data: bytes, name: str) -> str:
    (page,) = pages(data, name)
    return page.text


def why(data: bytes, name: str) -> str:
    with pytest.raises(Unreadable) as refusal:
        list(reading(data, name).pages)
    return refusal.value.code


def written(name: str) -> bytes:
    return (WRITTEN / name).read_bytes()
