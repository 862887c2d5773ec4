"""S16: what a sheet holds is text. Formulas are never evaluated nor shown, and no text of one becomes a link or a
command."""

import pytest

from tests.backend.documents.hostile import xlsx
from tests.backend.documents.reading import text

HEADER = '<row><c t="str"><v>a</v></c><c t="str"><v>b</v></c></row>'
DANGEROUS = ["=1+1", "+1+1", "-1+1", "@SUM(1)", "=cmd|' /C calc'!A0", '=HYPERLINK("http://x","y")']


@pytest.mark.parametrize("cell", DANGEROUS)
def test_a_formula_in_csv_is_the_text_that_it_is(cell: str) -> None:
    quoted = '"' + cell.replace('"', '""') + '"'
    assert f"| 2 | {cell} | end |" in text(f"a,b\n{quoted},end\n".encode(), "csv")


@pytest.mark.parametrize("cell", DANGEROUS)
def test_a_formula_as_text_in_a_sheet_is_the_text_that_it_is(cell: str) -> None:
    escaped = cell.replace('"', "&quot;")
    data = xlsx(f'{HEADER}<row><c t="inlineStr"><is><t>{escaped}</t></is></c><c t="str"><v>end</v></c></row>')
    assert f"| 2 | {cell} | end |" in text(data, "xlsx")


def test_a_formula_shows_its_stored_result_and_never_itself() -> None:
    data = xlsx('<row><c><f>WEBSERVICE("http://127.0.0.1")</f><v>42</v></c><c t="str"><f>1+1</f><v>two</v></c></row>')
    found = text(data, "xlsx")
    assert "| 42 | two |" in found
    assert "WEBSERVICE" not in found
    assert "1+1" not in found


def test_a_formula_without_a_result_is_an_empty_cell() -> None:
    data = xlsx(f'{HEADER}<row><c><f>1+1</f></c><c t="str"><v>end</v></c></row>')
    assert "| 2 |  | end |" in text(data, "xlsx")
