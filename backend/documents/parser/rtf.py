"""Rich Text Format: text with headings and tables as Markdown, footnotes at the end of their page.

Written from Microsoft's "Rich Text Format Specification 1.9.1". striprtf was tried: it loses pages, headings and
footnotes, and one of its patterns takes time that grows with the cube of a hostile line.
"""

import re
from typing import NamedTuple

from backend.documents.parser.reading import Reading, Unreadable, in_sections, numbered
from backend.documents.parser.text import decode_as

_TOKEN = re.compile(
    r"\\([a-zA-Z]{1,32})(-?[0-9]{1,9})? ?|\\'([0-9a-fA-F]{2})|\\(.)|([{}])|([^\\{}\r\n]+)|[\r\n]+|\\", re.DOTALL
)
_HEADING = re.compile(r"heading ([1-6])", re.IGNORECASE)
_DEEPEST = 1_000
_LEVELS = 6
_STYLE_CHARS = 100

# Groups that hold something else than text of the document.
_UNREAD = {
    "author", "category", "colortbl", "comment", "company", "creatim", "datafield", "datastore", "doccomm", "docvar",
    "expandedcolortbl", "falt", "filetbl", "fldinst", "fontemb", "fontfile", "footer", "footerf", "footerl", "footerr",
    "ftncn", "ftnsep", "ftnsepc", "generator", "header", "headerf", "headerl", "headerr", "info", "keywords",
    "latentstyles", "listoverridetable", "listtable", "mmathPr", "nonesttables", "nonshppict", "objdata", "operator",
    "panose", "pgptbl", "pict", "pntext", "private", "revtbl", "rsidtbl", "rxe", "shprslt", "sn", "sp", "subject", "tc",
    "template", "themedata", "title", "txe", "userprops", "wgrffmtfilter", "xe", "xmlnstbl",
}  # fmt: skip
_READ_THOUGH_OPTIONAL = {"shpinst", "shppict", "nesttableprops", "footnote"}  # their group begins with \*
_SIGNS = {
    "tab": "\t", "line": "\n", "emdash": "—", "endash": "–", "bullet": "•", "lquote": "‘", "rquote": "’",
    "ldblquote": "“", "rdblquote": "”", "emspace": "\u2003", "enspace": "\u2002", "qmspace": "\u2005",
    "softline": "\n",
}  # fmt: skip
_SYMBOLS = {"~": "\u00a0", "_": "\u2011", "{": "{", "}": "}", "\\": "\\"}
_CODE_PAGES = {
    77: "mac_roman", 128: "cp932", 129: "cp949", 130: "johab", 134: "gbk", 136: "big5", 161: "cp1253", 162: "cp1254",
    163: "cp1258", 177: "cp1255", 178: "cp1256", 186: "cp1257", 204: "cp1251", 222: "cp874", 238: "cp1250",
    254: "cp437", 255: "cp850",
}  # fmt: skip
_UTF8 = 65001
_CHARSETS = {"ansi": "cp1252", "mac": "mac_roman", "pc": "cp437", "pca": "cp850"}


class _Group(NamedTuple):
    """What holds until the group ends."""

    unread: bool = False
    place: str = ""  # the table it is: "fonttbl", "stylesheet"; or "footnote"
    fallbacks: int = 1  # characters after a Unicode one that say it again for older programs
    font: int = -1
    hidden: bool = False


def read(data: bytes) -> Reading:
    if not data[:64].removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{\\rtf"):
        raise Unreadable("corrupt_file")
    document = _Document()
    document.take(data.decode("latin-1"))
    pages = document.pages()
    return numbered(pages) if len(pages) > 1 else in_sections(pages[0])


class _Document:
    def __init__(self) -> None:
        self._pages: list[list[str]] = [[]]
        self._line: list[str] = []
        self._cells: list[str] = []
        self._notes: list[str] = []
        self._note: list[str] = []
        self._group = _Group()
        self._outer: list[_Group] = []
        self._bytes = bytearray()  # of characters whose code page may need several
        self._code_page = "cp1252"
        self._fonts: dict[int, str] = {}
        self._levels: dict[int, int] = {}
        self._style = 0
        self._style_name = ""
        self._level = 0
        self._list = False
        self._in_table = False
        self._skip = 0
        self._optional = False  # the group began with \*

    def take(self, text: str) -> None:
        at = 0
        while (found := _TOKEN.match(text, at)) is not None:
            at = found.end()
            word, number, code, symbol, brace, plain = found.groups()
            if word:
                at += self._take_word(word, int(number) if number else None)
            elif code:
                self._take_bytes(bytes.fromhex(code))
            elif plain:
                self._take_plain(plain)
            elif brace:
                self._take_brace(brace)
            elif symbol:
                self._take_symbol(symbol)
        self._in_table = False
        self._end_paragraph()
        self._end_page()

    def _take_brace(self, brace: str) -> None:
        self._decode()
        self._skip = 0
        self._optional = False
        if brace == "{":
            if len(self._outer) == _DEEPEST:
                raise Unreadable("corrupt_file")
            self._outer.append(self._group)
        elif self._outer:
            ended, self._group = self._group, self._outer.pop()
            if ended.place == "footnote" != self._group.place:
                self._notes.append("".join(self._note).strip())
                self._note = []

    def _take_symbol(self, symbol: str) -> None:
        if symbol == "*":
            self._optional = True
        elif symbol in "\r\n":
            self._end_paragraph()
        elif symbol in _SYMBOLS:
            self._write(_SYMBOLS[symbol])

    def _take_plain(self, text: str) -> None:
        skipped = min(self._skip, len(text))
        self._skip -= skipped
        text = text[skipped:]
        if self._group.place == "stylesheet":
            self._style_name = (self._style_name + text)[:_STYLE_CHARS]
            self._name_style()
        elif text.isascii():
            self._write(text)
        elif text:
            self._bytes += text.encode("latin-1")

    def _take_bytes(self, data: bytes) -> None:
        if self._skip:
            self._skip -= 1
        else:
            self._bytes += data

    def _decode(self) -> None:
        if self._bytes:
            data, self._bytes = bytes(self._bytes), bytearray()
            page = self._fonts.get(self._group.font, self._code_page)
            self._write(decode_as(data, page) or data.decode("cp1252", "replace"))

    def _write(self, text: str) -> None:
        self._decode()
        if self._group.unread or self._group.hidden or self._group.place in ("fonttbl", "stylesheet"):
            return
        (self._note if self._group.place == "footnote" else self._line).append(text)

    def _take_word(self, word: str, number: int | None) -> int:
        """How many characters of binary data follow, which are none of the text's."""
        self._decode()
        optional, self._optional = self._optional, False
        if word == "bin":
            return max(0, number or 0)
        if word in _UNREAD or (optional and word not in _READ_THOUGH_OPTIONAL):
            self._group = self._group._replace(unread=True)
        elif self._group.unread:
            return 0
        elif word == "u":
            self._write(chr((number or 0) % 0x10000))
            self._skip = self._group.fallbacks
        elif word in _SIGNS:
            self._write(_SIGNS[word])
        elif not self._in_layout(word) and not self._in_group(word, number):
            self._in_paragraph(word, number or 0)
        return 0

    def _in_group(self, word: str, number: int | None) -> bool:
        """Words that hold until the group ends; whether it was one."""
        if word in ("fonttbl", "stylesheet", "footnote"):
            self._group = self._group._replace(place=word)
        elif word == "uc":
            self._group = self._group._replace(fallbacks=min(max(0, number or 0), _DEEPEST))
        elif word == "f":
            self._group = self._group._replace(font=number or 0)
        elif word in ("v", "deleted"):
            self._group = self._group._replace(hidden=number != 0)
        elif word == "plain":
            self._group = self._group._replace(hidden=False)
        elif word in _CHARSETS:
            self._code_page = _CHARSETS[word]
        elif word == "ansicpg":
            self._code_page = f"cp{number}" if number and number != _UTF8 else "utf-8"
        elif word == "fcharset":
            self._fonts[self._group.font] = _CODE_PAGES.get(number or 0, self._code_page)
        else:
            return False
        return True

    def _in_layout(self, word: str) -> bool:
        """Words that end something; whether it was one."""
        if word in ("par", "sect"):
            self._end_paragraph()
        elif word == "page":
            self._end_paragraph()
            self._end_page()
        elif word in ("cell", "nestcell"):
            self._cells.append(" ".join("".join(self._line).split()))
            self._line = []
        elif word in ("row", "nestrow"):
            if any(self._cells):
                self._pages[-1].append("| " + " | ".join(self._cells) + " |")
            self._cells = []
        else:
            return False
        return True

    def _in_paragraph(self, word: str, number: int) -> None:
        if word == "pard":
            self._level, self._list, self._in_table = 0, False, False
        elif word == "intbl":
            self._in_table = True
        elif word == "s":
            self._style, self._style_name = number, ""
            self._level = self._levels.get(number, 0)
        elif word == "outlinelevel" and self._group.place != "stylesheet":
            self._level = number + 1 if 0 <= number < _LEVELS else 0
        elif word in ("ls", "pnlvlblt", "pnlvlbody"):
            self._list = True

    def _name_style(self) -> None:
        if found := _HEADING.match(self._style_name.strip()):
            self._levels[self._style] = int(found.group(1))

    def _end_paragraph(self) -> None:
        if self._group.place == "footnote":
            self._note.append("\n")
            return
        if self._in_table:
            self._line.append(" ")
            return
        text = "".join(self._line).strip()
        self._line = []
        if text:
            if self._pages[-1] and self._pages[-1][-1].startswith("| "):
                self._pages[-1].append("")
            prefix = "#" * self._level + " " if self._level else "- " * self._list
            self._pages[-1] += [prefix + text, ""]

    def _end_page(self) -> None:
        self._pages[-1] += ["", *self._notes]
        self._notes = []
        self._pages.append([])

    def pages(self) -> list[str]:
        """At least one. Characters beyond the first 65,536 come in two halves."""
        while len(self._pages) > 1 and not any(self._pages[-1]):
            self._pages.pop()
        return [_whole(re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()) for lines in self._pages]


def _whole(text: str) -> str:
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
