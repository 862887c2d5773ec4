"""Files made to hurt whoever reads them. Each is made on the spot, always the same, in moments, and is at most as large
as an upload may be.

`CORPUS` has them by file name: the format they are read as, what makes them, and the codes of which one must be the end
where there is only one right end; without codes, being read is a right end, too.
"""

import base64
import random
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from tests.backend.documents import samples
from tests.backend.documents.samples import WORD, paragraph

MIB = 1024 * 1024
SHEET = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
SLIDES = "http://schemas.openxmlformats.org/presentationml/2006/main"
DRAWING = "http://schemas.openxmlformats.org/drawingml/2006/main"
OASIS = "urn:oasis:names:tc:opendocument:xmlns:"
LAUGHS = "<!DOCTYPE x [<!ENTITY a 'ha'>" + "".join(
    f"<!ENTITY {chr(98 + n)} '{f'&{chr(97 + n)};' * 10}'>" for n in range(9)
)


@dataclass(frozen=True)
class Hostile:
    format: str
    make: Callable[[], bytes]
    codes: frozenset[str]


CORPUS: dict[str, Hostile] = {}


def file(name: str, make: Callable[[], bytes], *codes: str, read_as: str = "") -> None:
    by_extension = {"txt": "text", "md": "markdown", "htm": "html", "py": "code", "zip": "docx"}
    extension = name.rpartition(".")[2]
    CORPUS[name] = Hostile(read_as or by_extension.get(extension, extension), make, frozenset(codes))


# --- Archives, written by hand: what the directory says and what is there may differ ---


@dataclass(frozen=True)
class Part:
    """`size` is what the directory says; `packed` the bytes that are there."""

    name: str
    packed: bytes
    size: int
    method: int = zlib.DEFLATED
    flags: int = 0


def part(name: str, content: str | bytes) -> Part:
    data = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    return Part(name, packer.compress(data) + packer.flush(), len(data))


def inflating(name: str, mebibytes: int, *, says: int | None = None, unit: bytes = b" ") -> Part:
    """`mebibytes` of one repeated text, packed by repeating what one of them packs to."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    once = (unit * (MIB // len(unit) + 1))[:MIB]
    packed = packer.compress(once) + packer.flush(zlib.Z_FULL_FLUSH)
    size = mebibytes * MIB if says is None else says
    return Part(name, packed * mebibytes + packer.flush(), size)


def noise(size: int) -> Part:
    """Keeps the whole from looking too well packed."""
    return Part("noise.bin", random.Random(1).randbytes(size), size, method=0)


def archive(*parts: Part, crc: Callable[[Part], int] = lambda _: 0) -> bytes:
    out, directory = bytearray(), bytearray()
    for entry in parts:
        name = entry.name.encode()
        check = crc(entry)
        if not check and entry.size < 300 * MIB:
            check = _crc(entry)
        fields = (entry.flags, entry.method, 0, 0x21, check, len(entry.packed), entry.size, len(name), 0)
        directory += b"PK\x01\x02" + struct.pack("<HHHHHHIIIHHHHHII", 20, 20, *fields, 0, 0, 0, 0, len(out)) + name
        out += b"PK\x03\x04" + struct.pack("<HHHHHIIIHH", 20, *fields) + name + entry.packed
    count = min(len(parts), 0xFFFF)
    end = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, count, count, len(directory), len(out), 0)
    return bytes(out + directory) + end


def _crc(entry: Part) -> int:
    """Of what is there, as far as the directory says that it goes."""
    if entry.method == 0:
        return zlib.crc32(entry.packed)
    packer, check, left = zlib.decompressobj(-15), 0, entry.size
    data = entry.packed
    while left > 0 and (block := packer.decompress(data, min(left, 16 * MIB))):
        check, left, data = zlib.crc32(block, check), left - len(block), packer.unconsumed_tail
    return check


def docx(*extra: Part, body: str = "", prolog: str = "") -> bytes:
    xml = f'{prolog}<w:document xmlns:w="{WORD}"><w:body>{body}</w:body></w:document>'
    return archive(part("word/document.xml", xml), *extra)


def relations(*targets: tuple[str, str, str]) -> str:
    told = "".join(f'<Relationship Id="{i}" Type="{RELATIONS}/{kind}" Target="{to}"/>' for i, kind, to in targets)
    return f'<Relationships xmlns="{PACKAGE}">{told}</Relationships>'


def xlsx(sheet: str | Part, *extra: Part, strings: str | Part = "", styles: str = "", name: str = "S") -> bytes:
    book = (
        f'<workbook xmlns="{SHEET}" xmlns:r="{RELATIONS}"><sheets><sheet name="{name}" r:id="r1"/></sheets></workbook>'
    )
    parts = [
        part("xl/workbook.xml", book),
        part(
            "xl/_rels/workbook.xml.rels",
            relations(
                ("r1", "worksheet", "worksheets/sheet1.xml"),
                ("r2", "sharedStrings", "sharedStrings.xml"),
                ("r3", "styles", "styles.xml"),
            ),
        ),
        sheet if isinstance(sheet, Part) else part("xl/worksheets/sheet1.xml", rows(sheet)),
    ]
    if styles:
        parts.append(part("xl/styles.xml", styles))
    if strings:
        told = (
            strings
            if isinstance(strings, Part)
            else part("xl/sharedStrings.xml", f'<sst xmlns="{SHEET}">{strings}</sst>')
        )
        parts.append(told)
    return archive(*parts, *extra)


def rows(content: str) -> str:
    return f'<worksheet xmlns="{SHEET}"><sheetData>{content}</sheetData></worksheet>'


def sheet_of(unit: str, mebibytes: int) -> Part:
    """A sheet of so many MiB of one repeated row."""
    begin, end = f'<worksheet xmlns="{SHEET}"><sheetData>'.encode(), b"</sheetData></worksheet>"
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    head = packer.compress(begin) + packer.flush(zlib.Z_FULL_FLUSH)
    once = unit.encode() * (MIB // len(unit))
    block = packer.compress(once) + packer.flush(zlib.Z_FULL_FLUSH)
    size = len(begin) + mebibytes * len(once) + len(end)
    return Part("xl/worksheets/sheet1.xml", head + block * mebibytes + packer.compress(end) + packer.flush(), size)


def pptx(slide: str, rels: str = "", *, ids: str = '<p:sldId id="256" r:id="r1"/>') -> bytes:
    names = f'xmlns:p="{SLIDES}" xmlns:a="{DRAWING}" xmlns:r="{RELATIONS}"'
    parts = [
        part("ppt/presentation.xml", f"<p:presentation {names}><p:sldIdLst>{ids}</p:sldIdLst></p:presentation>"),
        part("ppt/_rels/presentation.xml.rels", relations(("r1", "slide", "slides/slide1.xml"))),
        part("ppt/slides/slide1.xml", f"<p:sld {names}><p:cSld><p:spTree>{slide}</p:spTree></p:cSld></p:sld>"),
    ]
    return archive(*parts, *([part("ppt/slides/_rels/slide1.xml.rels", rels)] if rels else []))


def odt(body: str, *extra: Part) -> bytes:
    names = " ".join(f'xmlns:{name}="{OASIS}{name}:1.0"' for name in ("office", "text", "table"))
    xml = f"<office:document-content {names}><office:body>{body}</office:body></office:document-content>"
    kind = b"application/vnd.oasis.opendocument.text"
    return archive(Part("mimetype", kind, len(kind), method=0), part("content.xml", xml), *extra)


def epub(
    chapter: str,
    *extra: Part,
    spine: str = '<itemref idref="c"/>',
    href: str = "c.xhtml",
    items: str = "",
    prolog: str = "",
) -> bytes:
    container = '<container><rootfiles><rootfile full-path="p.opf"/></rootfiles></container>'
    manifest = f'<item id="c" href="{href}" media-type="application/xhtml+xml"/>{items}'
    package = f"{prolog}<package><manifest>{manifest}</manifest><spine>{spine}</spine></package>"
    kind = b"application/epub+zip"
    return archive(
        Part("mimetype", kind, len(kind), method=0),
        part("META-INF/container.xml", container),
        part("p.opf", package),
        part("c.xhtml", chapter),
        *extra,
    )


def truncated(data: bytes, share: float) -> bytes:
    return data[: int(len(data) * share)]


BIG_DOCX = partial(docx, body=paragraph("A sentence that is there. ") * 500)

file("bomb-1gib.docx", lambda: archive(inflating("word/document.xml", 1024)), "zip_bomb")
file("bomb-beside.docx", lambda: docx(inflating("media.bin", 1024), body=paragraph("x")), "zip_bomb")
file(
    "bomb-lying-directory.docx",
    lambda: archive(inflating("word/document.xml", 512, says=1000)),
    "zip_bomb",
    "corrupt_file",
)
file("bomb-lying-zero.docx", lambda: archive(inflating("word/document.xml", 512, says=0)), "zip_bomb", "corrupt_file")
file("bomb-2001-parts.docx", lambda: docx(*(part(f"p{n}", "") for n in range(2001)), body=paragraph("x")), "zip_bomb")
file("bomb-directory-only.docx", lambda: archive(*(Part(f"{n:06}", b"", 0) for n in range(150_000))), "zip_bomb")
file(
    "bomb-overlapping.docx",
    lambda: archive(*(inflating(f"p{n}", 1, says=100 * MIB) for n in range(20))),
    "zip_bomb",
)
file("bomb-nested.docx", lambda: archive(part("word/document.xml", archive(inflating("x", 300)))), "corrupt_file")
file("bomb-in-the-ratio.docx", lambda: archive(inflating("word/document.xml", 190), noise(2 * MIB)), "corrupt_file")
file("laughs.docx", lambda: docx(body="&j;", prolog=LAUGHS + "]>"), "corrupt_file")
file(
    "quadratic.docx",
    lambda: docx(body="&a;" * 100_000, prolog=f"<!DOCTYPE x [<!ENTITY a '{'h' * 100_000}'>]>"),
    "corrupt_file",
)
file(
    "xxe.docx",
    lambda: docx(body="&a;", prolog="<!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/passwd'>]>"),
    "corrupt_file",
)
file(
    "doctype-far.docx", lambda: docx(body="x", prolog="<!DOCTYPE x SYSTEM 'http://127.0.0.1:1/x.dtd'>"), "corrupt_file"
)
file("deep.docx", lambda: docx(noise(100_000), body="<w:p>" * 1_000_000 + "</w:p>" * 1_000_000), "corrupt_file")
file(
    "deep-tables.docx",
    lambda: docx(body="<w:tbl><w:tr><w:tc>" * 10_000 + "</w:tc></w:tr></w:tbl>" * 10_000),
    "corrupt_file",
)
ATTRIBUTES = " ".join(f"a{n}=''" for n in range(300_000))
file("attributes.docx", lambda: docx(noise(200_000), body=f"<w:p {ATTRIBUTES}/>"))
file(
    "text-150mb.docx",
    lambda: docx(noise(2 * MIB), body=paragraph("a b " * 37 * MIB)),
    "text_too_long",
    "parser_timeout",
)
file("truncated-10.docx", lambda: truncated(BIG_DOCX(), 0.1), "corrupt_file")
file("truncated-50.docx", lambda: truncated(BIG_DOCX(), 0.5), "corrupt_file")
file("truncated-99.docx", lambda: truncated(BIG_DOCX(), 0.99), "corrupt_file")
file("encrypted.docx", lambda: archive(Part("word/document.xml", b"secret", 6, method=0, flags=1)), "encrypted_file")
file("method.docx", lambda: archive(Part("word/document.xml", b"x", 1, method=97)), "corrupt_file")
file("png-inside.docx", lambda: archive(Part("word/document.xml", b"\x89PNG\r\n\x1a\n", 8, method=0)), "corrupt_file")

CELL = '<row r="1"><c r="A1"><v>1</v></c></row>'
file("corner.xlsx", lambda: xlsx(CELL + '<row r="1048576"><c r="XFD1048576"><v>2</v></c></row>'))
file("cells-5m.xlsx", lambda: xlsx(sheet_of("<row><c><v>1</v></c></row>", 130)), "zip_bomb")
file("cells-5m-in-the-ratio.xlsx", lambda: xlsx(sheet_of("<row><c><v>1</v></c></row>", 130), noise(2 * MIB)))
file("empty-cells.xlsx", lambda: xlsx(sheet_of("<row><c/><c/><c/></row>", 180), noise(2 * MIB)))
file("empty-rows.xlsx", lambda: xlsx(sheet_of("<row/>", 180), noise(2 * MIB)))
file("unknown-elements.xlsx", lambda: xlsx(sheet_of("<x/>", 180), noise(2 * MIB)))
file("one-row.xlsx", lambda: xlsx(f"<row>{'<c><v>1</v></c>' * 300_000}</row>", noise(MIB)))
file("sheet-1gib.xlsx", lambda: xlsx(inflating("xl/worksheets/sheet1.xml", 1024)), "zip_bomb")
file(
    "string-100mb.xlsx",
    lambda: xlsx(CELL, noise(2 * MIB), strings=f"<si><t>{'s' * 100 * MIB}</t></si>"),
    "text_too_long",
)
file(
    "string-shared.xlsx",
    lambda: xlsx(
        "<row>" + '<c t="s"><v>0</v></c>' * 400 + "</row>", noise(MIB), strings=f"<si><t>{'s' * MIB}</t></si>"
    ),
    "text_too_long",
)
file(
    "strings-laugh.xlsx",
    lambda: xlsx(CELL, strings=part("xl/sharedStrings.xml", LAUGHS + "]><sst>&j;</sst>")),
    "corrupt_file",
)
file(
    "index.xlsx",
    lambda: xlsx('<row><c t="s" s="99999999999"><v>-1</v></c><c t="s"><v>9e9</v></c><c><v>1</v></c></row>'),
)
file(
    "references.xlsx",
    lambda: xlsx('<row r="99999999999999999999"><c r="ZZZZZ0"><v>1</v></c><c r="A-1"><v>2</v></c></row>' * 1000),
)
file(
    "diagonal.xlsx",
    lambda: xlsx(
        "".join(f'<row><c r="{chr(65 + n % 26)}{chr(65 + n % 19)}{n}"><v>1</v></c></row>' for n in range(100_000))
    ),
)
file(
    "numbers.xlsx",
    lambda: xlsx(f"<row>{''.join(f'<c><v>{n}</v></c>' for n in ('1e308', 'NaN', '-inf', '9' * 10**6, '.', ''))}</row>"),
)
file("names.xlsx", lambda: xlsx(CELL, name="\u202egnp.exe&#10;\U000e0041" + "x" * 100_000))
LOOP = f'<workbook xmlns:r="{RELATIONS}"><sheet name="a" r:id="r"/></workbook>'
LOOP_RELATIONS = part("xl/_rels/workbook.xml.rels", relations(("r", "worksheet", "workbook.xml")))
file("loop.xlsx", lambda: archive(part("xl/workbook.xml", LOOP), LOOP_RELATIONS))
file("another-program.xlsx", lambda: docx(body=paragraph("x")), "corrupt_file", read_as="xlsx")

TEXT_BOX = "<p:sp><p:txBody><a:p><a:r><a:t>words</a:t></a:r></a:p></p:txBody></p:sp>"
file("loops.pptx", lambda: pptx(TEXT_BOX, relations(*((f"n{n}", "notesSlide", "slide1.xml") for n in range(1000)))))
file("slides-1m.pptx", lambda: pptx(TEXT_BOX, ids="".join(f'<p:sldId r:id="r{n}"/>' for n in range(500_000))))
file("same-slide.pptx", lambda: pptx(TEXT_BOX, ids='<p:sldId r:id="r1"/>' * 10_000))
file("deep-tables.pptx", lambda: pptx("<a:tbl><a:tr><a:tc>" * 5000 + "</a:tc></a:tr></a:tbl>" * 5000), "corrupt_file")
file("outside.pptx", lambda: pptx(TEXT_BOX, relations(("n", "notesSlide", "../../../../etc/passwd"))))

TEXT_OF_ODT = "<office:text>{}</office:text>"
BILLION = '"1000000000"'
COLUMNS = f"table:number-columns-repeated={BILLION}"
ROWS = f"table:number-rows-repeated={BILLION}"


def table(row: str = "", cell: str = "") -> str:
    """Of one row with one cell, with these attributes."""
    inner = f"<table:table-cell {cell}><text:p>word</text:p></table:table-cell>"
    return f"<table:table><table:table-row {row}>{inner}</table:table-row></table:table>"


file("columns-repeated.odt", lambda: odt(TEXT_OF_ODT.format(table(cell=COLUMNS))))
file("rows-repeated.odt", lambda: odt(TEXT_OF_ODT.format(table(row=ROWS))))
file("both-repeated.odt", lambda: odt(TEXT_OF_ODT.format(table(ROWS, COLUMNS) * 3000)))
file("spaces-repeated.odt", lambda: odt(TEXT_OF_ODT.format(f"<text:p>a<text:s text:c={BILLION}/>b</text:p>" * 1000)))
file("spreadsheet.odt", lambda: odt(f"<office:spreadsheet>{table(ROWS, COLUMNS)}</office:spreadsheet>"))
file(
    "deep.odt", lambda: odt(TEXT_OF_ODT.format("<text:p>" * 50_000 + "</text:p>" * 50_000)), "corrupt_file", "zip_bomb"
)
file(
    "encrypted.odt",
    lambda: odt(TEXT_OF_ODT.format("x"), part("META-INF/manifest.xml", "<m><encryption-data/></m>")),
    "encrypted_file",
)
file("truncated.odt", lambda: truncated(odt(TEXT_OF_ODT.format("<text:p>x</text:p>" * 10_000)), 0.7), "corrupt_file")

file("spine-loop.epub", lambda: epub("<p>Once.</p>", spine='<itemref idref="c"/>' * 40_000))
file(
    "container-loop.epub",
    lambda: archive(part("META-INF/container.xml", '<c><rootfile full-path="META-INF/container.xml"/></c>')),
)
ENCRYPTED = '<e><EncryptionMethod Algorithm="http://www.w3.org/2001/04/xmlenc#aes128-cbc"/></e>'
file("protected.epub", lambda: epub("<p>x</p>", part("META-INF/encryption.xml", ENCRYPTED)), "protected_book")
file("comments.epub", lambda: epub("<!--" * 250_000))
file("laughs.epub", lambda: epub("<p>x</p>", prolog=LAUGHS + "]>"), "corrupt_file")
file("outside.epub", lambda: epub("<p>x</p>", href="../../../../../etc/passwd"))
file("no-container.epub", lambda: archive(part("mimetype", "application/epub+zip")), "corrupt_file")

# --- PDF ---


def pdf(*objects: bytes, trailer: bytes = b"") -> bytes:
    return samples.assembled(objects, trailer)


def stream(data: bytes, more: bytes = b"") -> bytes:
    return b"<<%s/Length %d>>stream\n%s\nendstream" % (more, len(data), data)


def page(content: bytes, *more: bytes, box: bytes = b"0 0 600 800", resources: bytes = b"/Font<</F1 5 0 R>>") -> bytes:
    return pdf(
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[%s]/Contents 4 0 R/Resources<<%s>>>>" % (box, resources),
        content,
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
        *more,
    )


def flate(data: bytes) -> bytes:
    return stream(zlib.compress(data, 6), b"/Filter/FlateDecode")


def flate_bomb() -> bytes:
    """1 GiB of blanks in 1 MB."""
    return b"\x78\x9c" + inflating("", 1024).packed + bytes(4)


def xobject_laughs() -> bytes:
    calls = b"/X Do " * 10
    forms = [
        stream(calls, b"/Type/XObject/Subtype/Form/BBox[0 0 9 9]/Resources<</XObject<</X %d 0 R>>>>" % (7 + n))
        for n in range(12)
    ]
    last = stream(
        b"BT /F1 9 Tf (ha) Tj ET", b"/Type/XObject/Subtype/Form/BBox[0 0 9 9]/Resources<</Font<</F1 5 0 R>>>>"
    )
    return page(stream(calls), *forms, last, resources=b"/XObject<</X 6 0 R>>")


def kids(count: int, of: bytes) -> bytes:
    return pdf(
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[%s]/Count %d>>" % (of * count, count),
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>",
    )


def cmap() -> bytes:
    ranges = b"".join(b"100 beginbfrange\n" + b"<0000> <FFFF> <0000>\n" * 100 + b"endbfrange\n" for _ in range(200))
    font = (
        b"<</Type/Font/Subtype/Type0/BaseFont/A/Encoding/Identity-H/ToUnicode 6 0 R"
        b"/DescendantFonts[<</Type/Font/Subtype/CIDFontType2/BaseFont/A>>]>>"
    )
    return pdf(
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        stream(b"BT /F1 9 Tf <00410042> Tj ET"),
        font,
        stream(b"/CIDInit /ProcSet findresource begin begincmap\n" + ranges + b"endcmap"),
    )


def garbage_image() -> bytes:
    form = b"/Type/XObject/Subtype/Image/Width 65535/Height 65535/BitsPerComponent 8/ColorSpace/DeviceRGB"
    return stream(random.Random(2).randbytes(50_000), form + b"/Filter/JBIG2Decode")


TEN_PAGES = partial(samples.pdf, [f"Page {n} of ten." for n in range(10)])

file("flate-1gib.pdf", lambda: page(stream(flate_bomb(), b"/Filter/FlateDecode")))
file("flate-nested.pdf", lambda: page(stream(zlib.compress(flate_bomb(), 9), b"/Filter[/FlateDecode/FlateDecode]")))
file("operations-1m.pdf", lambda: page(flate(b"BT /F1 9 Tf " + b"(a) Tj " * 1_000_000 + b"ET")))
file("operations-2m-moves.pdf", lambda: page(flate(b"BT /F1 9 Tf " + b"1 1 Td (a) Tj " * 1_000_000 + b"ET")))
file("xobject-laughs.pdf", xobject_laughs)
file("kids-1m.pdf", lambda: kids(1_000_000, b"3 0 R "), "too_many_pages", "parser_timeout")
file("kids-are-the-parent.pdf", lambda: kids(10, b"2 0 R "))
file("count-lies.pdf", lambda: samples.pdf(["One page."]).replace(b"/Count 1", b"/Count 1000000000"))
file("pages-10000.pdf", lambda: samples.pdf(["x"] * 10_000), "too_many_pages")
file("xref-loop.pdf", lambda: samples.pdf(["Loop."]).replace(b"/Root 1 0 R", b"/Root 1 0 R/Prev 9"))
file(
    "xref-prev-self.pdf",
    lambda: (data := samples.pdf(["Self."])).replace(b"/Root 1 0 R", b"/Root 1 0 R/Prev %d" % data.rindex(b"xref\n0")),
)
file("nested-arrays.pdf", lambda: page(stream(b"x"), b"[" * 200_000 + b"]" * 200_000))
file(
    "nested-dictionaries.pdf",
    lambda: pdf(b"<</Type/Catalog/Pages 2 0 R/X" + b"<</A" * 100_000 + b" 1" + b">>" * 100_001),
)
file("nested-in-content.pdf", lambda: page(flate(b"[" * 1_000_000)))
file("box.pdf", lambda: page(stream(b"BT /F1 9 Tf (x) Tj ET"), box=b"-1e30 -1e30 1e30 1e30"))
file("cmap.pdf", cmap)
file("length-lies.pdf", lambda: samples.pdf(["x"]).replace(b"/Length ", b"/Length 99999999"))
file("length-is-itself.pdf", lambda: page(b"<</Length 4 0 R>>stream\nx\nendstream"))
file("garbage-image.pdf", lambda: page(stream(b"/X Do"), garbage_image(), resources=b"/XObject<</X 6 0 R>>"))
file("encrypted.pdf", partial(samples.pdf, ["secret"], encrypted=True), "encrypted_pdf")
file("truncated-10.pdf", lambda: truncated(TEN_PAGES(), 0.1))
file("truncated-50.pdf", lambda: truncated(TEN_PAGES(), 0.5))
file("truncated-95.pdf", lambda: truncated(TEN_PAGES(), 0.95))
file("header-only.pdf", lambda: b"%PDF-1.7", "corrupt_file")
file("polyglot-zip.pdf", lambda: samples.pdf(["Both."]) + docx(body=paragraph("Both.")))
file("garbage.pdf", lambda: b"%PDF-1.7\n" + random.Random(3).randbytes(MIB), "corrupt_file")

# --- Text in its many forms ---

file("empty.txt", lambda: b"")
file("one-byte.txt", lambda: b"\xff")
file("half-a-character.txt", lambda: b"\xff\xfe\x41")
file("utf16-surrogates.txt", lambda: b"\xff\xfe" + b"\x00\xd8" * 1_000_000)
file("utf32.txt", lambda: b"\xff\xfe\x00\x00" + "word ".encode("utf-32-le") * 200_000)
file("nuls.txt", lambda: bytes(5 * MIB))
file("one-line-19mb.txt", lambda: b"x" * 19 * MIB, "text_too_long", "parser_timeout")
file("newlines-9mb.txt", lambda: b"\n" * 9 * MIB)
file("noise-4mb.txt", lambda: random.Random(4).randbytes(4 * MIB))
file("tags.txt", lambda: ("ok" + "".join(chr(0xE0000 + n % 128) for n in range(300_000))).encode())
file("turned.txt", lambda: ("\u202e\u2066" * 300_000 + "fdp.exe").encode())
file("combining.txt", lambda: ("a" + "\u0301" * 1_000_000).encode())

file("references.md", lambda: b"".join(b"[a%d]: x\n" % n for n in range(90_000)) + b"[a]" * 90_000)
file("brackets.md", lambda: b"[" * 1_000_000 + b"](" * 500_000)
file("quotes.md", lambda: b">" * 1_000_000 + b"x")
file("hashes.md", lambda: b"# a" + b" #" * 500_000 + b"x\n" + b"#" * 1_000_000)
file("fences.md", lambda: b"```\n~~~\n" * 300_000)

file("comments.html", lambda: b"<!--" * 500_000)
file("tags.html", lambda: b"<a " * 1_700_000)
file("deep.html", lambda: b"<div>" * 900_000 + b"x")
file("script.html", lambda: b"<script></" * 500_000)
file("quotes.html", lambda: b"<a x='<a x=\"" * 400_000)
file("entities.html", lambda: b"&#" + b"9" * 2_000_000 + b";" + b"&amp" * 500_000)
file("charset.html", lambda: b"<meta charset=punycode>" + b"a" * 2_000_000 + b"-" + b"z" * 2_000_000)
file("cells.html", lambda: b"<table><tr>" + b"<td>x" * 800_000)
file("cdata.html", lambda: b"<![CDATA[" * 500_000)

file("field-19mb.csv", lambda: b'a,"' + b"x" * 19 * MIB, "corrupt_file")
file("columns-1m.csv", lambda: b",".join(b"%d" % n for n in range(1_000_000)))
file("rows-4m.csv", lambda: b"1,2\n" * 4_000_000)
file("quotes.csv", lambda: b'"' * 5_000_001)
file("formulas.csv", lambda: b"=cmd|' /C calc'!A0,+1,-1,@SUM(1)\n" * 100)
file("sparse.csv", lambda: (b"," * 499 + b"x\n" + b"x\n" * 9) * 2_000)

file("deep.json", lambda: b"[" * 1_000_000, "corrupt_file")
file("deep-objects.json", lambda: b'{"a":' * 900 + b"1" + b"}" * 900)
file("empty-objects.json", lambda: b"[" + b"{}," * 3_000_000 + b"{}]")
file("number-9mb.json", lambda: b"9" * 9 * MIB)
file("long-keys.json", lambda: b"{" + b",".join(b'"%s%d":1' % (b"k" * 5000, n) for n in range(1500)) + b"}")
file("surrogates.json", lambda: b'{"\\ud800": "\\udfff\\u0000"}')
file("paths.json", lambda: b'{"' + b'k":{"' * 400 + b'k":[' + b"1," * 400_000 + b"1]" + b"}" * 401)
file("deep.jsonl", lambda: (b"[" * 3000 + b"\n") * 5_000, "corrupt_file")
file("lines-5m.jsonl", lambda: b"1\n" * 2_000_000)


def nested_mail(depth: int) -> bytes:
    head = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(depth))
    return b"From: a@example.org\n" + head + b"\nwords\n"


def forwarded_mail(depth: int) -> bytes:
    return b"From: a@example.org\nContent-Type: message/rfc822\n\n" * depth + b"Subject: x\n\nwords"


MIXED = b"From: a@example.org\nContent-Type: multipart/mixed; boundary=b\n\n"
file("nested-10000.eml", lambda: nested_mail(10_000), "corrupt_file")
file("nested-200.eml", lambda: nested_mail(200))
file("forwarded-10000.eml", lambda: forwarded_mail(10_000), "corrupt_file")
file("forwarded-200.eml", lambda: forwarded_mail(200))
file("parts-200000.eml", lambda: MIXED + b"--b\n\nx\n" * 200_000)
file("header-5mb.eml", lambda: b"Content-Type: multipart/mixed" + b";" * 5 * MIB + b"\n\nwords")
file("words.eml", lambda: b"Subject: " + b"=?utf-8?q?" * 400_000 + b"\n\nwords")
file("addresses.eml", lambda: b"From: " + b"(" * 2_000_000 + b"\nTo: " + b'"' * 2_000_001 + b"\n\nwords")
file("charset.eml", lambda: b"Content-Type: text/plain; charset=punycode\n\n" + b"a" * MIB + b"-" + b"z" * MIB)
file(
    "names.eml",
    lambda: MIXED + b"--b\nContent-Disposition: attachment; filename*=utf-8''..%2F..%2F%E2%80%AEtxt.exe\n\nx\n",
)
file("dates.eml", lambda: b"Date: Mon, 99 Foo 99999 99:99:99 +9999\n\nwords")
ENCODED = b"--b\nContent-Type: text/plain\nContent-Transfer-Encoding: base64\n\n"
file("base64.eml", lambda: MIXED + ENCODED + b"=" * 4 * MIB + base64.b64encode(b"x" * MIB))

file("nested.rtf", lambda: b"{\\rtf1" + b"{" * 1_000_000, "corrupt_file")
file("groups.rtf", lambda: b"{\\rtf1 x" + b"{}" * 2_000_000)
file("binary.rtf", lambda: b"{\\rtf1 x\\bin2147483647 y}")
file("characters.rtf", lambda: b"{\\rtf1\\uc0" + b"\\u-10179" * 500_000 + b"}")
file("links.rtf", lambda: b"{\\rtf1 x" + b'{\\field{\\*\\fldinst{HYPERLINK "' * 300 + b"x" * 1_000_000)
file(
    "fonts.rtf",
    lambda: b"{\\rtf1{\\fonttbl" + b"{\\f1\\fcharset128 A;}" * 100_000 + b"}\\f1 " + b"\\'81" * 500_000 + b"}",
)
file("cells.rtf", lambda: b"{\\rtf1 " + b"a\\cell " * 500_000 + b"\\row}")

file("line-4mb.py", lambda: b"x = 1; " * 600_000)
file("lines-4m.py", lambda: b"\n" * 4_000_000)

# --- Lies about what they are ---

PNG = b"\x89PNG\r\n\x1a\n" + bytes(1000)
file("image.pdf", lambda: PNG, "corrupt_file")
file("program.docx", lambda: b"MZ" + bytes(5000), "corrupt_file")
file("pdf.docx", partial(samples.pdf, ["x"]), "corrupt_file")
file("word.pdf", lambda: docx(body=paragraph("x")), "corrupt_file")
file("words.xlsx", lambda: b"just words", "corrupt_file")
file("rich.odt", lambda: b"{\\rtf1 x}", "corrupt_file")
file("gif.html", lambda: b"GIF89a/*" + bytes(100) + b"*/=1;<script>alert(1)</script>")
file("archive.rtf", lambda: archive(part("x", "x")), "corrupt_file")
file("book.json", lambda: epub("<p>x</p>"), "corrupt_file")
file("\u202efdp.txt", lambda: b"What the name hides.")
