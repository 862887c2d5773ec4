"""Addresses that an owner has declared are asked as declared, and no others."""

from typing import Any

import pytest

from backend.bots.models import Bot
from backend.core.errors import ChatSphereError
from backend.fetching import FetchFailed
from backend.tools import http_tool, services
from backend.tools.errors import ArgumentsInvalid, ToolInvalid
from backend.tools.models import Tool
from tests.backend.tools.conftest import Server, weather

pytestmark = pytest.mark.django_db


def declared(bot: Bot, server: Server, **fields: Any) -> Tool:
    return services.create_tool(bot=bot, **weather(server.url, **fields))


def test_parameters_go_where_they_were_declared(bot: Bot, server: Server) -> None:
    tool = declared(bot, server, headers={"X-Key": "sesame"})
    assert http_tool.call(tool, {"city": "São Paulo/..", "days": 3}) == 'Status 200\n{"temperature": 21}'
    asked = server.asked[0]
    assert (asked.method, asked.path) == ("GET", "/of/S%C3%A3o%20Paulo%2F..?days=3")
    assert asked.headers["X-Key"] == "sesame"


def test_a_post_has_the_rest_in_its_body(bot: Bot, server: Server) -> None:
    http_tool.call(declared(bot, server, method="POST"), {"city": "Bern", "days": 3})
    assert (server.asked[0].path, server.asked[0].body) == ("/of/Bern", {"days": 3})


@pytest.mark.parametrize(
    "arguments", [{}, {"city": 7}, {"city": ".."}, {"city": ""}, {"city": "Bern", "host": "x"}, {"city": "x" * 5000}]
)
def test_arguments_that_do_not_fit_ask_nobody(bot: Bot, server: Server, arguments: dict[str, Any]) -> None:
    with pytest.raises(ArgumentsInvalid):
        http_tool.call(declared(bot, server), arguments)
    assert server.asked == []


def test_a_redirect_is_not_followed(bot: Bot, server: Server) -> None:
    server.status, server.headers = 302, {"Location": f"{server.url}/elsewhere"}
    with pytest.raises(FetchFailed, match="sends on"):
        http_tool.call(declared(bot, server, headers={"X-Key": "sesame"}), {"city": "Bern"})
    assert len(server.asked) == 1


def test_what_is_not_text_is_not_read(bot: Bot, server: Server) -> None:
    server.headers = {"Content-Type": "image/png"}
    with pytest.raises(ChatSphereError, match="not text"):
        http_tool.call(declared(bot, server), {"city": "Bern"})


def test_an_error_of_the_server_is_told_with_its_status(bot: Bot, server: Server) -> None:
    server.status, server.body = 418, b'{"error": "teapot"}'
    assert http_tool.call(declared(bot, server), {"city": "Bern"}).startswith("Status 418")


def test_an_address_within_is_refused_when_it_is_called(bot: Bot, server: Server, settings: Any) -> None:
    tool = declared(bot, server)
    settings.FETCH_ALLOWED_NETWORKS = []
    with pytest.raises(FetchFailed, match="public internet"):
        http_tool.call(tool, {"city": "Bern"})
    assert server.asked == []


@pytest.mark.parametrize(
    ("url", "parameters"),
    [
        ("http://{city}.example/", {}),
        ("http://example.com:{city}/", {}),
        ("file:///{city}", {}),
        ("http://example.com/{other}", {}),
        ("http://example.com/{days}", {}),
        ("http://example.com/{", {}),
        ("http://user:pw@example.com/", {}),
        ("http://example.com/", {"properties": {"a": {"type": "object"}}}),
        ("http://example.com/", {"properties": {"a b": {}}}),
        ("http://example.com/", {"type": "array"}),
        ("http://example.com/", {"required": ["nowhere"]}),
    ],
)
def test_what_could_lead_elsewhere_is_not_declared(
    bot: Bot, server: Server, url: str, parameters: dict[str, Any], settings: Any
) -> None:
    settings.FETCH_PORTS = [80]
    fields = {"url": url, **({"parameters": parameters} if parameters else {})}
    with pytest.raises((ToolInvalid, FetchFailed)):
        declared(bot, server, **fields)


@pytest.mark.parametrize("headers", [{"Host": "x"}, {"X": "a\r\nb"}, {"Cookie": "a"}, {"bad name": "a"}])
def test_headers_that_would_change_the_request_are_refused(bot: Bot, server: Server, headers: dict[str, str]) -> None:
    with pytest.raises(ToolInvalid):
        declared(bot, server, headers=headers)
