"""Plain text and Markdown, as they are; only the encoding is to be found out."""

import codecs
import importlib

from backend.documents.parser.reading import Reading, Unreadable, in_sections

_MARKS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
_GUESS_BYTES = 256 * 1024
# Names of encodings that stand for no text of a file, two of them in time that grows with its square.
_NO_ENCODINGS = {"punycode", "idna", "undefined", "unicode_escape", "raw_unicode_escape"}


def read(data: bytes) -> Reading:
    return in_sections(decode(data))


def decode(data: bytes) -> str:
    """Text of bytes: by its mark, else UTF-8 where it is that, else the likeliest encoding. Raises Unreadable."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, "replace")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return _guess(data)
    return _guess(data) if "\x00" in text else text


def decode_as(data: bytes, encoding: str) -> str | None:
    """Text in the encoding that the file names itself; None where there is no such encoding."""
    try:
        found = codecs.lookup(encoding).name
        if found.replace("-", "_") in _NO_ENCODINGS:
            return None
        return data.decode(found, "replace")
    except (LookupError, UnicodeError, ValueError):
        return None


def _guess(data: bytes) -> str:
    # Few files need it, and it takes as long to import as the rest of the process to start.
    charset_normalizer = importlib.import_module("charset_normalizer")
    best = charset_normalizer.from_bytes(data[:_GUESS_BYTES]).best()
    if best is None:
        raise Unreadable("corrupt_file")
    return data.decode(best.encoding, "replace")
