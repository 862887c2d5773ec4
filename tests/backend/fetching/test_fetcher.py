"""The fetcher over real HTTP: what it sends, what it takes, and when it has had enough."""

import gzip
import os
import socket
import time
import zlib
from collections.abc import Callable

import pytest
from pytest_django import Settings

from backend import fetching
from backend.fetching import FetchFailed
from tests.websites import Page, Request, Website, moved, raw_server

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"


def failing(ask: Callable[[], object]) -> str:
    with pytest.raises(FetchFailed) as failed:
        ask()
    return failed.value.code


@pytest.fixture
def hurried(settings: Settings) -> None:
    settings.FETCH_ALLOWED_NETWORKS = ["127.0.0.1/32"]
    settings.FETCH_FIRST_BYTE_SECONDS = 1.0
    settings.FETCH_IDLE_SECONDS = 1.0
    settings.FETCH_TOTAL_SECONDS = 2.0


def test_a_page_comes_with_its_place_and_its_type(site: Website) -> None:
    site.pages["/a"] = Page("grüße".encode("latin-1"), headers={"Content-Type": "Text/HTML; Charset=ISO-8859-1"})
    answer = fetching.get(f"{site.url}/a#part")
    assert answer.content.decode(answer.charset) == "grüße"
    assert (answer.url, answer.status, answer.media_type) == (f"{site.url}/a", 200, "text/html")


def test_it_says_who_it_is_and_nothing_else(site: Website, settings: Settings) -> None:
    site.pages["/"] = Page(b"hello", headers={"Set-Cookie": "a=b"})
    fetching.get(site.url)
    fetching.get(site.url)
    for request in site.requests:
        assert request.headers == {
            "host": f"127.0.0.1:{site.port}",
            "user-agent": f"Mozilla/5.0 (compatible; ChatSphereBot/1.0; +{settings.SITE_URL})",
            "accept": "*/*",
            "accept-encoding": "gzip",
            "connection": "close",
        }


def test_proxies_of_the_environment_are_not_asked(site: Website, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/")
    site.pages["/"] = Page(b"direct")
    assert fetching.get(site.url).content == b"direct"
    assert os.environ["ALL_PROXY"]


@pytest.mark.parametrize(("status", "permanent"), [(301, True), (302, False), (303, False), (307, False), (308, True)])
def test_a_redirect_is_followed(site: Website, status: int, permanent: bool) -> None:
    site.pages |= {"/a": moved("b?c=d#e", status), "/b?c=d": Page(b"there")}
    answer = fetching.get(f"{site.url}/a")
    assert (answer.content, answer.url, answer.moved) == (b"there", f"{site.url}/b?c=d", permanent)


def test_three_redirects_are_enough(site: Website) -> None:
    site.pages |= {f"/{n}": moved(f"/{n + 1}") for n in range(20)} | {"/20": Page(b"there")}
    assert fetching.get(f"{site.url}/17").content == b"there"
    site.requests.clear()
    assert failing(lambda: fetching.get(f"{site.url}/0")) == "too_many_redirects"
    assert site.paths() == ["/0", "/1", "/2", "/3"]


def test_a_redirect_to_nowhere_is_an_error(site: Website) -> None:
    site.pages |= {"/a": Page(status=302), "/b": moved("https://")}
    assert failing(lambda: fetching.get(f"{site.url}/a")) == "protocol_error"
    assert failing(lambda: fetching.get(f"{site.url}/b")) == "url_invalid"


def test_whoever_asks_may_refuse_a_redirect(site: Website) -> None:
    site.pages |= {"/a": moved("/b"), "/b": Page(b"there")}
    assert failing(lambda: fetching.get(f"{site.url}/a", allow=lambda _: False)) == "redirect_refused"
    assert site.paths() == ["/a"]


@pytest.mark.parametrize(
    ("status", "passing"),
    [(400, False), (403, False), (404, False), (410, False), (429, True), (500, True), (503, True)],
)
def test_another_status_is_an_error_with_its_number(site: Website, status: int, passing: bool) -> None:
    site.pages["/"] = Page(b"secret words of the server", status, {"Retry-After": "120"})
    with pytest.raises(FetchFailed) as failed:
        fetching.get(site.url)
    assert (failed.value.code, failed.value.answered) == (f"http_{status}", status)
    assert (failed.value.passing, failed.value.retry_after) == (passing, 120)
    assert "secret" not in failed.value.message


@pytest.mark.parametrize("retry_after", ["soon", "Wed, 21 Oct 2099 07:28:00 GMT", "9" * 400, "-5", ""])
def test_retry_after_is_believed_for_a_day_at_most(site: Website, retry_after: str) -> None:
    site.pages["/"] = Page(status=429, headers={"Retry-After": retry_after})
    with pytest.raises(FetchFailed) as failed:
        fetching.get(site.url)
    assert failed.value.retry_after in (None, 24 * 60 * 60)


def test_what_has_not_changed_has_no_content(site: Website) -> None:
    site.pages["/"] = Page(b"same", headers={"ETag": '"1"'})
    answer = fetching.get(site.url, headers={"If-None-Match": '"1"'})
    assert (answer.status, answer.content) == (304, b"")


@pytest.mark.parametrize(
    "pack", [gzip.compress, zlib.compress, lambda data: gzip.compress(data[:3]) + gzip.compress(data[3:])]
)
def test_what_is_packed_is_unpacked(site: Website, pack: Callable[[bytes], bytes]) -> None:
    content = b"words " * 200_000
    site.pages["/"] = Page(pack(content), headers={"Content-Encoding": "gzip"})
    assert fetching.get(site.url).content == content


@pytest.mark.parametrize(
    ("body", "encoding", "code"),
    [
        (b"not packed at all", "gzip", "encoding_refused"),
        (gzip.compress(b"words" * 1000)[:-20], "gzip", "protocol_error"),
        (b"words", "br", "encoding_refused"),
    ],
    ids=["a lie", "cut", "brotli"],
)
def test_what_cannot_be_unpacked_is_an_error(site: Website, body: bytes, encoding: str, code: str) -> None:
    site.pages["/"] = Page(body, headers={"Content-Encoding": encoding})
    assert failing(lambda: fetching.get(site.url)) == code


def test_too_much_is_cut(site: Website) -> None:
    site.pages["/"] = Page(b"a" * 2001)
    assert failing(lambda: fetching.get(site.url, limit=2000)) == "too_large"


def test_a_bomb_is_cut_where_its_content_is_too_much(site: Website) -> None:
    packed = gzip.compress(b"\0" * 100_000_000, 9)
    site.pages["/"] = Page(packed, headers={"Content-Encoding": "gzip"})
    assert failing(lambda: fetching.get(site.url, limit=2 * len(packed))) == "too_large"


def test_exactly_as_much_as_may_be_is_taken(site: Website) -> None:
    site.pages["/"] = Page(b"a" * 2000)
    assert len(fetching.get(site.url, limit=2000).content) == 2000


def test_an_endless_answer_is_cut(hurried: None, settings: Settings) -> None:
    def serve(connection: socket.socket) -> None:
        connection.sendall(HEAD + b"\r\n")
        while True:
            connection.sendall(b"a" * 65536)

    with raw_server(serve) as port:
        settings.FETCH_PORTS = [port]
        assert failing(lambda: fetching.get(f"http://127.0.0.1:{port}/")) == "too_large"


def never(connection: socket.socket) -> None:
    time.sleep(5)


def half_a_head(connection: socket.socket) -> None:
    connection.sendall(HEAD)
    time.sleep(5)


def half_a_body(connection: socket.socket) -> None:
    connection.sendall(HEAD + b"Content-Length: 100\r\n\r\nhalf")
    time.sleep(5)


def drip(connection: socket.socket) -> None:
    for byte in HEAD + b"Content-Length: 100\r\n\r\n" + b"a" * 100:
        connection.sendall(bytes([byte]))
        time.sleep(0.1)


@pytest.mark.parametrize("serve", [never, half_a_head, half_a_body, drip])
def test_slowness_has_an_end(hurried: None, settings: Settings, serve: Callable[[socket.socket], None]) -> None:
    with raw_server(serve) as port:
        settings.FETCH_PORTS = [port]
        began = time.monotonic()
        assert failing(lambda: fetching.get(f"http://127.0.0.1:{port}/")) == "timeout"
        assert time.monotonic() - began < 4.5


def test_no_single_wait_outlasts_the_whole(hurried: None, settings: Settings) -> None:
    settings.FETCH_IDLE_SECONDS = 60.0
    with raw_server(half_a_body) as port:
        settings.FETCH_PORTS = [port]
        began = time.monotonic()
        assert failing(lambda: fetching.get(f"http://127.0.0.1:{port}/")) == "timeout"
        assert time.monotonic() - began < 4.5


@pytest.mark.parametrize(
    "answer",
    [
        b"", b"SSH-2.0-OpenSSH_9.2\r\n", HEAD + b"Content-Length: 100\r\n\r\ncut", HEAD + b"Content-Length: -1\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", HEAD + b"X: " + b"a" * 500_000,
        HEAD + b"Content-Length: 3\r\nContent-Length: 5\r\n\r\nabcde",
    ],
    ids=["nothing", "ssh", "cut", "negative", "chunks", "huge header", "two lengths"],
)  # fmt: skip
def test_what_is_not_http_is_an_error(hurried: None, settings: Settings, answer: bytes) -> None:
    with raw_server(lambda connection: connection.sendall(answer)) as port:
        settings.FETCH_PORTS = [port]
        assert failing(lambda: fetching.get(f"http://127.0.0.1:{port}/")) == "protocol_error"


def test_nobody_there_is_an_error(hurried: None, settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    settings.FETCH_PORTS = [port]
    assert failing(lambda: fetching.get(f"http://127.0.0.1:{port}/")) == "connect_failed"


def unknown(host: str, port: int) -> list[str]:
    raise socket.gaierror(8, "unknown")


def asleep(host: str, port: int) -> list[str]:
    time.sleep(5)
    return []


@pytest.mark.parametrize("resolver", [unknown, asleep, lambda host, port: []], ids=["unknown", "asleep", "empty"])
def test_a_name_without_an_address_is_an_error(hurried: None, settings: Settings, resolver: fetching.Resolver) -> None:
    settings.FETCH_CONNECT_SECONDS = 0.5
    assert failing(lambda: fetching.get("http://nobody.example/", resolver=resolver)) == "dns_failed"


def test_the_first_address_that_answers_is_taken(site: Website, settings: Settings) -> None:
    settings.FETCH_ALLOWED_NETWORKS = ["127.0.0.1/32", "::1/128"]
    site.pages["/"] = lambda request: Page(request.headers["host"].encode())
    url = f"http://harbour.example:{site.port}/"
    answer = fetching.get(url, resolver=lambda host, port: ["::1", "127.0.0.1"])
    assert answer.content == f"harbour.example:{site.port}".encode()


def test_a_message_is_posted_and_only_its_status_read(site: Website) -> None:
    bodies: list[Request] = []

    def take(request: Request) -> Page:
        bodies.append(request)
        return moved("/elsewhere", 307)

    site.pages["/hook"] = take
    answer = fetching.post(f"{site.url}/hook", body=b"{}", headers={"Content-Type": "application/json"}, seconds=5)
    assert (answer.status, answer.content, site.paths()) == (307, b"", ["/hook"])
    assert bodies[0].headers["content-length"] == "2"
