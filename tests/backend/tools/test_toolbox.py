"""What one answer may use: the tools that were named, over this bot's own documents."""

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import pytest
from asgiref.sync import async_to_sync

from backend.bots.models import Bot
from backend.core.errors import ChatSphereError
from backend.documents.passages import LivePassage
from backend.tools import services
from backend.tools.toolbox import Given, Toolbox, toolbox_for
from backend.users.models import User
from tests.backend.conversations.conftest import PAGE, know
from tests.backend.tools.conftest import Server, weather

pytestmark = pytest.mark.django_db(transaction=True)  # it reads in threads of its own


async def nothing(_: str) -> Sequence[LivePassage]:
    return []


def box(bot: Bot, *names: str) -> Toolbox:
    return toolbox_for(bot=bot, names=names, search=nothing)


def use(toolbox: Toolbox, name: str, **arguments: Any) -> Given:
    return async_to_sync(toolbox.use)(name, arguments)


def test_only_what_was_named_can_be_used(bot: Bot) -> None:
    toolbox = box(bot, "calculator", "no_such_tool")
    assert [spec.name for spec in toolbox.specs] == ["calculator"]
    assert use(toolbox, "calculator", expression="6 * 7").content == "42"
    with pytest.raises(ChatSphereError, match="no such tool"):
        use(toolbox, "current_date")


def test_a_page_of_the_bots_own_is_read_as_passages(bot: Bot) -> None:
    known = know(bot)
    given = use(box(bot, "read_page"), "read_page", document=str(known.document.pk), page=1)
    assert [passage.text for passage in given.passages] == [PAGE]
    assert PAGE not in given.noted


def test_another_bots_page_is_none_of_ours(bot: Bot, owner: User) -> None:
    other = Bot.objects.create(owner=owner, name="Other")
    known = know(other)
    for document in (known.document.pk, uuid4()):
        with pytest.raises(ChatSphereError, match="no such page"):
            use(box(bot, "read_page"), "read_page", document=str(document), page=1)


def test_arguments_beyond_the_schema_are_refused(bot: Bot) -> None:
    with pytest.raises(ChatSphereError) as refused:
        use(box(bot, "knowledge_search"), "knowledge_search", query="moon", bot=str(uuid4()))
    assert refused.value.code == "arguments_invalid"


def test_tables_are_listed_and_asked(bot: Bot) -> None:
    know(bot, "| Row | City | Sold |\n| --- | --- | --- |\n| 2 | Bern | 1200 |")
    toolbox = box(bot, "query_table")
    assert use(toolbox, "query_table").content == '"moon" (1 rows, from Moon): "Row", "City", "Sold"'
    given = use(toolbox, "query_table", sql='SELECT "Sold" FROM moon')
    assert (given.content, given.noted) == ("Sold\n1200", "1 rows")


def test_a_declared_tool_is_used_where_it_was_named(bot: Bot, server: Server) -> None:
    services.create_tool(bot=bot, **weather(server.url))
    assert "21" in use(box(bot, "weather"), "weather", city="Bern").content
    assert box(bot, "calculator").declared == {}


def test_a_tool_that_is_switched_off_is_not_offered(bot: Bot, server: Server) -> None:
    tool = services.create_tool(bot=bot, **weather(server.url))
    services.change_tool(tool=tool, changes={"enabled": False})
    assert box(bot, "weather").specs == []
