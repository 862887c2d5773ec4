"""The tools that every bot may have. What each is told of in is our own and never anything of a document's."""

from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from agent_service.contract import ToolSpec

KNOWLEDGE_SEARCH = "knowledge_search"
READ_PAGE = "read_page"
QUERY_TABLE = "query_table"
CALCULATOR = "calculator"
CURRENT_DATE = "current_date"


@dataclass(frozen=True, slots=True)
class Parameter:
    kind: str
    description: str
    required: bool = True


def _spec(name: str, description: str, **parameters: Parameter) -> ToolSpec:
    properties: dict[str, Any] = {
        key: {"type": one.kind, "description": one.description} for key, one in parameters.items()
    }
    required = [key for key, one in parameters.items() if one.required]
    schema = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    return ToolSpec(name=name, description=description, parameters=schema)


SPECS = {
    spec.name: spec
    for spec in (
        _spec(
            KNOWLEDGE_SEARCH,
            "Finds passages in this bot's documents. Ask in the words that the documents may use.",
            query=Parameter("string", "What is looked for."),
        ),
        _spec(
            READ_PAGE,
            "Gives a whole page of one of this bot's documents, as a search has named it.",
            document=Parameter("string", "The document's id."),
            page=Parameter("integer", "The page's number, from 1."),
        ),
        _spec(
            QUERY_TABLE,
            "Answers one SELECT of SQLite over the tables in this bot's spreadsheets. Without a statement it lists the "
            "tables and their columns: do that first.",
            sql=Parameter("string", "One SELECT statement; names in double quotes.", required=False),
        ),
        _spec(
            CALCULATOR,
            "Reckons exactly: + - * / // % ** ( ) and min, max, sum, abs, round, sqrt, ln, log10, exp.",
            expression=Parameter("string", "Such as (12.5 + 3) * 4 / 7."),
        ),
        _spec(CURRENT_DATE, "Tells today's date and the time, in UTC."),
    )
}


def current_date() -> str:
    return timezone.now().strftime("%A, %Y-%m-%d %H:%M UTC")
