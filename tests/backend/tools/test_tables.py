import pytest

from backend.bots.models import Bot
from backend.documents.models import Document
from backend.tools import tables
from backend.tools.tables import SqlRefused, Table
from tests.backend.conversations.conftest import know

PAGE = """# Sales

| Row | City | Sold | Code |
| --- | --- | --- | --- |
| 2 | Bern | 1,200 | 007 |
| 3 | Rome | 300.5 | 008 |
| 4 | Oslo |  | 009 |"""
SALES = Table("sales", "Sales", ["Row", "City", "Sold"], [[2, "Bern", 1200], [3, "Rome", 300.5], [4, "Oslo", None]])


@pytest.mark.django_db
def test_tables_come_out_of_the_bots_own_pages(bot: Bot) -> None:
    know(bot, PAGE)
    found = tables.tables_of(bot)
    assert [(table.name, table.columns) for table in found] == [("moon", ["Row", "City", "Sold", "Code"])]
    assert found[0].rows == [[2, "Bern", 1200, "007"], [3, "Rome", 300.5, "008"], [4, "Oslo", None, "009"]]


@pytest.mark.django_db
def test_a_document_that_is_switched_off_has_no_table(bot: Bot) -> None:
    known = know(bot, PAGE)
    Document.objects.filter(pk=known.document.pk).update(enabled=False)
    assert tables.tables_of(bot) == []


def test_a_question_in_sql_is_answered() -> None:
    answer = tables.query([SALES], 'SELECT "City", "Sold" * 2 AS twice FROM sales WHERE "Sold" > 200 ORDER BY 2')
    assert answer == "City | twice\nRome | 601.0\nBern | 2400"


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM sales",
        "CREATE TABLE mine (a)",
        "ATTACH DATABASE '/tmp/x.db' AS x",
        "PRAGMA database_list",
        "SELECT load_extension('/tmp/x.so')",
        "SELECT readfile('/etc/passwd')",
        "SELECT 1; SELECT 2",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n",
        "SELECT randomblob(999999999)",
        "SELECT * FROM bots_bot",
        "VACUUM INTO '/tmp/x.db'",
        "SELECT " + "a" * 5000,
    ],
)
def test_nothing_but_reading_is_done(sql: str) -> None:
    with pytest.raises(SqlRefused):
        tables.query([SALES], sql)


def test_a_large_answer_is_cut_and_says_so() -> None:
    many = Table("many", "Many", ["n"], [[number] for number in range(500)])
    lines = tables.query([many], "SELECT n FROM many").splitlines()
    assert (len(lines), lines[-1]) == (102, "(There are more rows; only these are shown.)")
