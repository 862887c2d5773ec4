"""The tools that one answer may use, and using them. Whatever a model asks for, it gets of this bot alone."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from agent_service.contract import Hit, ToolSpec
from backend.bots.models import Bot
from backend.core.database import in_database
from backend.core.throttling import Limit, hit
from backend.documents.models import Chunk
from backend.documents.passages import LivePassage, live_passages
from backend.tools import builtin, calculator, http_tool, mcp_tool, tables
from backend.tools.errors import ToolFailed
from backend.tools.models import Tool, ToolKind
from backend.tools.schemas import check_arguments

CALLS_PER_HOUR = 600
"""Of one bot, to addresses outside: whoever chats with it, its owner's servers are asked no more often."""

PAGE_PASSAGES = 20

Search = Callable[[str], Awaitable[Sequence[LivePassage]]]
"""Passages for a query, of the bot that answers."""


@dataclass(frozen=True, slots=True)
class Given:
    """`noted` is what may be kept of it: no word of a document, which may be deleted."""

    content: str = ""
    passages: Sequence[LivePassage] = ()
    noted: str = ""


class ToolUnknown(ToolFailed):
    """The bot has no such tool."""

    code = "tool_unknown"


@dataclass(slots=True)
class Toolbox:
    bot: Bot
    specs: list[ToolSpec]
    search: Search
    declared: Mapping[str, tuple[Tool, str]] = field(default_factory=dict)
    _tables: list[tables.Table] | None = None

    async def use(self, name: str, arguments: Mapping[str, Any]) -> Given:
        """Raises ChatSphereError. Nothing but what is in `specs` is done, whoever asks for it."""
        spec = next((spec for spec in self.specs if spec.name == name), None)
        if spec is None:
            raise ToolUnknown
        check_arguments(arguments, spec.parameters)
        if name in self.declared:
            return await self._declared(name, arguments)
        return await _OWN[name](self, **arguments)

    async def _declared(self, name: str, arguments: Mapping[str, Any]) -> Given:
        tool, remote = self.declared[name]
        await in_database(_count, bot_id=tool.bot_id)
        if tool.kind == ToolKind.MCP:
            text = await asyncio.to_thread(mcp_tool.call, tool, remote, arguments)
        else:
            text = await asyncio.to_thread(http_tool.call, tool, arguments)
        return Given(text, noted=text[:2_000])

    async def _search(self, query: str) -> Given:
        return _found(await self.search(query))

    async def _read_page(self, document: str, page: int) -> Given:
        try:
            passages = await in_database(_page, bot=self.bot, document=UUID(document), page=page)
        except ValueError as exc:
            raise ToolFailed("This is not the id of a document.") from exc
        if not passages:
            raise ToolFailed("There is no such page in this bot's documents.")
        return _found(passages)

    async def _query_table(self, sql: str = "") -> Given:
        if self._tables is None:
            self._tables = await in_database(tables.tables_of, bot=self.bot)
        if not sql.strip():
            return Given(tables.listed(self._tables), noted=f"{len(self._tables)} tables")
        answer = await asyncio.to_thread(tables.query, self._tables, sql)
        return Given(answer, noted=f"{max(0, len(answer.splitlines()) - 1)} rows")

    async def _calculate(self, expression: str) -> Given:
        value = calculator.calculate(expression)
        return Given(value, noted=value)

    async def _date(self) -> Given:
        today = builtin.current_date()
        return Given(today, noted=today)


_OWN: dict[str, Callable[..., Awaitable[Given]]] = {
    builtin.KNOWLEDGE_SEARCH: Toolbox._search,  # noqa: SLF001
    builtin.READ_PAGE: Toolbox._read_page,  # noqa: SLF001
    builtin.QUERY_TABLE: Toolbox._query_table,  # noqa: SLF001
    builtin.CALCULATOR: Toolbox._calculate,  # noqa: SLF001
    builtin.CURRENT_DATE: Toolbox._date,  # noqa: SLF001
}


def toolbox_for(*, bot: Bot, names: Sequence[str], search: Search) -> Toolbox:
    """With those of `names` that there are: our own, and the declared ones that are switched on and approved. A
    server's name stands for all its tools."""
    specs = [builtin.SPECS[name] for name in dict.fromkeys(names) if name in builtin.SPECS]
    declared: dict[str, tuple[Tool, str]] = {}
    for tool in Tool.objects.callable_of(bot).filter(name__in=list(names)).order_by("name"):
        for spec, remote in _specs_of(tool):
            if spec.name not in declared:
                specs.append(spec)
                declared[spec.name] = (tool, remote)
    return Toolbox(bot, specs, search, declared)


def _specs_of(tool: Tool) -> list[tuple[ToolSpec, str]]:
    if tool.kind == ToolKind.HTTP:
        return [(ToolSpec(name=tool.name, description=tool.description, parameters=tool.parameters), "")]
    return [
        (
            ToolSpec(
                name=f"{tool.name}_{one['name']}"[:60], description=one["description"], parameters=one["parameters"]
            ),
            one["name"],
        )
        for one in tool.approved
    ]


def _found(passages: Sequence[LivePassage]) -> Given:
    """Where each passage stands, for `read_page`; the passages themselves carry their text."""
    places = dict.fromkeys((passage.document_id, passage.page) for passage in passages)
    lines = [f"document {document}, page {page}" for document, page in places]
    listed = "Pages: " + "; ".join(lines) if lines else ""
    return Given(listed, passages, noted=f"{len(passages)} passages")


def _page(*, bot: Bot, document: UUID, page: int) -> list[LivePassage]:
    rows = Chunk.objects.filter(bot=bot, document_id=document, page=page).order_by("position")
    hits = [
        Hit(chunk=pk, document=document, version=version, score=1.0)
        for pk, version in rows.values_list("pk", "version_id")
    ]
    return live_passages(bot=bot, hits=hits)[:PAGE_PASSAGES]


def _count(*, bot_id: UUID) -> None:
    hit(Limit("tools.call", CALLS_PER_HOUR, timedelta(hours=1)), str(bot_id))
