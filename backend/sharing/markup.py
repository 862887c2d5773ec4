"""Text in a Markdown file. A file is opened in programs that we do not know: nothing in it fetches or runs anything."""

import re
from collections.abc import Iterator
from urllib.parse import quote

_SPECIAL = re.compile(r"[\\`*_{}\[\]#<>~|&]")
_OPENING = re.compile(r"(?:[0-9]{1,9}(?=[.)])|(?=[-+=]))")
"""What opens a list or underlines a heading, at the beginning of a line and nowhere else."""
_TAG = re.compile(r"<(?=[A-Za-z/!?])")
_FENCE = re.compile(r"(`{3,}|~{3,})")
_BLANKS = " \t"


def escaped(text: str) -> str:
    """One line in which nothing is markup."""
    line = _SPECIAL.sub(lambda match: "\\" + match[0], " ".join(text.split()))
    opening = _OPENING.match(line)
    return f"{line[: opening.end()]}\\{line[opening.end() :]}" if opening else line


def quoted(text: str) -> str:
    """Lines in which nothing is markup, as a block quote."""
    return "\n".join(f"> {escaped(line)}".rstrip() for line in text.splitlines())


def without_embeds(text: str) -> str:
    """Markdown as it is, but for what fetches something when it is shown: no pictures and no tags, except as code."""
    return "\n".join(line if code else _TAG.sub(r"\\<", line.replace("![", "!\\[")) for line, code in _lines(text))


def link(url: str) -> str:
    """An autolink; empty for what is not an address of a page."""
    if not url.lower().startswith(("http://", "https://")):
        return ""
    return f"<{quote(url, safe=':/?#[]@!$&()*+,;=%~-._')}>"


def _lines(text: str) -> Iterator[tuple[str, bool]]:
    """Each line, and whether it is inside of a fenced block of code. Only a fence at the very beginning of a line opens
    one, which no surrounding list or quotation can end again (CommonMark 4.5)."""
    fence = ""
    for line in text.split("\n"):
        if not fence:
            opened = _FENCE.match(line)
            fence = opened[0] if opened and not (opened[0][0] == "`" and "`" in line[opened.end() :]) else ""
            yield line, bool(fence)
        else:
            yield line, True
            if _closes(line, fence):
                fence = ""


def _closes(line: str, fence: str) -> bool:
    rest = line.rstrip(_BLANKS)
    marks = rest.lstrip(" ")
    return len(rest) - len(marks) <= 3 and len(marks) >= len(fence) and set(marks) == {fence[0]}
