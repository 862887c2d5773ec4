"""The one choke point through which text enters the database."""

import re

# C0 and C1 controls except tab and newline; lone surrogates, which UTF-8 cannot carry; the invisible "tag" block, used
# to smuggle instructions past a reader. Noncharacters are left alone, PostgreSQL stores them.
_UNSTORABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\U000e0000-\U000e007f]")
_LINE_BREAKS = re.compile("\r\n?|\x85|\u2028|\u2029")

NORMALISER_VERSION = 1


def clean_text(text: str) -> str:
    """Text as it is stored, chunked, embedded and quoted; idempotent. A change of it is a new NORMALISER_VERSION."""
    return _UNSTORABLE.sub("", _LINE_BREAKS.sub("\n", text))
