"""The tools that are offered. Their names and descriptions are fixed: no text of a user's ever stands in them."""

from typing import Annotated, Any
from uuid import UUID

from mcp_types import Tool, ToolAnnotations
from pydantic import BaseModel, ConfigDict, Field

MOST_PASSAGES = 20


class Arguments(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ListBots(Arguments):
    search: Annotated[str, Field(max_length=100, description="Part of a bot's name.")] = ""
    limit: Annotated[int, Field(ge=1, le=100, description="How many bots at most.")] = 20


class SearchKnowledge(Arguments):
    bot: Annotated[UUID, Field(description="The bot's id.")]
    query: Annotated[str, Field(min_length=1, max_length=8_000, description="A question, or words to look for.")]
    limit: Annotated[int, Field(ge=1, le=MOST_PASSAGES, description="How many passages at most.")] = 6


class AskBot(Arguments):
    bot: Annotated[UUID, Field(description="The bot's id.")]
    question: Annotated[str, Field(min_length=1, max_length=8_000, description="The question, in any language.")]


class ReadDocument(Arguments):
    document: Annotated[UUID, Field(description="The document's id, as passages and citations name it.")]
    page: Annotated[int, Field(ge=1, le=1_000_000, description="The number of the page.")] = 1


def _schema(arguments: type[Arguments]) -> dict[str, Any]:
    schema = arguments.model_json_schema()
    schema.pop("title", None)
    for part in schema["properties"].values():
        part.pop("title", None)
    return schema


_READS = ToolAnnotations(read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False)
_PAYS = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=False)

ARGUMENTS: dict[str, type[Arguments]] = {
    "list_bots": ListBots,
    "search_knowledge": SearchKnowledge,
    "ask_bot": AskBot,
    "read_document": ReadDocument,
}
TOOLS = (
    Tool(
        name="list_bots",
        title="List bots",
        description="The bots you may use, your own first, with their ids.",
        input_schema=_schema(ListBots),
        annotations=_READS,
    ),
    Tool(
        name="search_knowledge",
        title="Search a bot's knowledge",
        description="Passages of a bot's documents that fit a question, best first. Asks no model and costs nothing.",
        input_schema=_schema(SearchKnowledge),
        annotations=_READS,
    ),
    Tool(
        name="ask_bot",
        title="Ask a bot",
        description="A bot's answer with its sources quoted. Costs credits.",
        input_schema=_schema(AskBot),
        annotations=_PAYS,
    ),
    Tool(
        name="read_document",
        title="Read a document",
        description="The text of one page of a document of your own bots.",
        input_schema=_schema(ReadDocument),
        annotations=_READS,
    ),
)
