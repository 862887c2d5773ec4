"""CSV and Excel: every row can be found again, and no corner of a sheet costs anything."""

from xml.sax.saxutils import quoteattr

import pytest

from backend.documents.parser.tables import MAX_CELLS
from tests.backend.documents import hostile
from tests.backend.documents.reading import pages, refused, text, why, written


def test_the_names_of_the_columns_stand_on_every_page() -> None:
    found = pages(b"name,price\n" + b"".join(b"item %d,%d\n" % (n, n) for n in range(200)), "csv")
    assert [page.label for page in found] == [
        "Rows 1-41",
        "Rows 42-81",
        "Rows 82-121",
        "Rows 122-161",
        "Rows 162-201",
    ]
    assert all(page.text.startswith("| Row | name | price |\n| --- | --- | --- |\n") for page in found)
    assert "| 82 | item 80 | 80 |" in found[2].text


@pytest.mark.parametrize(
    "data",
    [
        b"a,b\n1,2\n",
        b"a;b\n1;2\n",
        b"a\tb\r\n1\t2\r\n",
        b"a|b\n1|2",
        "\ufeffa,b\n1,2".encode(),
        "a;b\n1;2".encode("utf-16"),
    ],
)
def test_csv_is_read_with_any_usual_separator_and_encoding(data: bytes) -> None:
    assert text(data, "csv") == "| Row | a | b |\n| --- | --- | --- |\n| 2 | 1 | 2 |"


def test_a_comma_in_a_number_is_no_separator() -> None:
    assert "| 2 | A | 1,50 |" in text(b"name;price\nA;1,50\nB;2,25\n", "csv")


def test_rows_are_numbered_as_a_spreadsheet_program_numbers_them() -> None:
    data = b'a,b\n\n"two\nlines",1\nlast,2\n'
    assert text(data, "csv").split("\n")[2:] == ["| 3 | two lines | 1 |", "| 4 | last | 2 |"]


def test_a_table_of_numbers_only_has_its_columns_named_by_letters() -> None:
    assert text(b"1,2\n3,4\n", "csv").split("\n")[0] == "| Row | A | B |"


def test_columns_and_cells_beyond_the_limit_are_named() -> None:
    wide = b",".join(b"c%d" % n for n in range(600))
    assert refused(wide, "csv") == {"Columns": "Only the first 500 columns were read."}
    assert refused(b"x,y\n" * (MAX_CELLS // 2 + 5), "csv") == {
        f"From row {MAX_CELLS // 2 + 1} on": "More than 200,000 filled cells cannot be read."
    }


def test_a_mostly_empty_table_is_a_list() -> None:
    found = pages(hostile.CORPUS["diagonal.xlsx"].make(), "xlsx")
    assert found[0].text.startswith("# S\n\nRow 1: ")
    assert sum(len(page.text) for page in found) < 3_000_000


def test_hidden_sheets_and_formulas_without_results_are_named() -> None:
    assert refused(written("harbours.xlsx"), "xlsx")["Sheet Secret"] == "It is hidden in the workbook."
    assert "formulas" in next(iter(refused(written("unsaved_formula.xlsx"), "xlsx")))
    assert "hidden words" not in str(pages(written("harbours.xlsx"), "xlsx"))


def test_a_filled_corner_costs_one_row() -> None:
    found = pages(hostile.CORPUS["corner.xlsx"].make(), "xlsx")
    assert [page.label for page in found] == ["Sheet S, row 1"]
    assert refused(hostile.CORPUS["corner.xlsx"].make(), "xlsx") == {
        "Sheet S, columns": "Only the first 500 columns were read."
    }


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        ("<c><v>0.30000000000000004</v></c>", "0.3"),
        ('<c t="b"><v>1</v></c>', "TRUE"),
        ('<c t="e"><v>#DIV/0!</v></c>', "#DIV/0!"),
        ('<c t="inlineStr"><is><r><t>in</t></r><r><t>line</t></r></is></c>', "inline"),
        ('<c t="str"><f>A1&amp;"x"</f><v>cached</v></c>', "cached"),
        ('<c t="s"><v>0</v></c>', "shared"),
        ("<c><v>00123</v></c>", "00123"),
        ("<c><v>1e400</v></c>", "inf"),
    ],
)
def test_a_cell_is_shown_as_the_program_shows_it(cell: str, shown: str) -> None:
    strings = "<si><r><t>sha</t></r><r><t>red</t></r><rPh><t>aid</t></rPh></si>"
    data = hostile.xlsx(f'<row r="7">{cell}<c t="str"><v>end</v></c></row>', strings=strings)
    assert f"| {shown} | end |" in text(data, "xlsx")


@pytest.mark.parametrize(
    ("format_code", "value", "shown"),
    [
        ("yyyy\\-mm\\-dd", "45292", "2024-01-01"),
        ('dd.mm.yy "Uhr" hh:mm', "45292.5", "2024-01-01 12:00:00"),
        ("h:mm", "0.25", "06:00:00"),
        ("[Red]0.00", "45292", "45292"),
        ('0 "days"', "45292", "45292"),
        ("[h]:mm", "1.5", "1.5"),
        ("yyyy", "59", "1900-02-28"),
        ("yyyy", "-5", "-5"),
        ("yyyy", "1e300", "1e+300"),
    ],
)
def test_a_number_is_a_date_where_its_format_is_one(format_code: str, value: str, shown: str) -> None:
    styles = (
        f'<styleSheet><numFmts><numFmt numFmtId="164" formatCode={quoteattr(format_code)}/></numFmts>'
        '<cellXfs><xf numFmtId="0"/><xf numFmtId="164"/></cellXfs></styleSheet>'
    )
    data = hostile.xlsx(f'<row><c s="1"><v>{value}</v></c><c t="str"><v>end</v></c></row>', styles=styles)
    assert f"| {shown} | end |" in text(data, "xlsx")


def test_an_unclosed_quote_is_a_broken_file() -> None:
    assert why(b'a,"' + b"x" * 2_000_000, "csv") == "corrupt_file"
