"""A web site for tests: real HTTP on an address of the loopback network, its pages a dictionary a test may change."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ARTICLE = """<!doctype html><html lang="en"><head><title>{title}</title>{head}</head><body>
<nav><a href="/">Home</a> menu words</nav>
<main><article><h1>{title}</h1><p>{text}</p>
<p>The harbour master keeps a book in which every ship is written down, with its length, its cargo, its last port and
the hour at which it passed. Whoever wants to know when a ship came in may look into that book without a fee.</p>
{more}</article></main>
<footer>imprint words</footer></body></html>"""


@dataclass(frozen=True)
class Page:
    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


def article(title: str, text: str, *links: str, head: str = "", **headers: str) -> Page:
    more = "".join(f'<p>See also <a href="{link}">{link}</a>.</p>' for link in links)
    body = ARTICLE.format(title=title, text=text, head=head, more=more)
    return Page(body.encode(), headers={"Content-Type": "text/html; charset=utf-8", **headers})


def moved(location: str, status: int = 302) -> Page:
    return Page(status=status, headers={"Location": location})


@dataclass
class Request:
    path: str
    headers: dict[str, str]


@dataclass
class Website:
    """`pages` by path with query; a function gets the request and makes the page. Every request is in `requests`."""

    url: str = ""
    port: int = 0
    pages: dict[str, Page | Callable[[Request], Page]] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)

    def paths(self) -> list[str]:
        """What was asked for, but for robots.txt."""
        return [request.path for request in self.requests if request.path != "/robots.txt"]

    def answer(self, request: Request) -> Page:
        self.requests.append(request)
        page = self.pages.get(request.path, Page(b"not here", 404, {"Content-Type": "text/plain"}))
        page = page(request) if callable(page) else page
        etag = page.headers.get("ETag")
        return (
            Page(status=304, headers={"ETag": etag}) if etag and request.headers.get("if-none-match") == etag else page
        )


@contextmanager
def website(*, host: str = "127.0.0.1", tls: Any = None) -> Iterator[Website]:
    """`tls` is a server's SSLContext."""
    site = Website()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            length = int(headers.get("content-length", 0))
            self.rfile.read(length)
            page = site.answer(Request(self.path, headers))
            self.send_response(page.status)
            for name, value in {"Content-Length": str(len(page.body)), **page.headers}.items():
                self.send_header(name, value.encode().decode("latin-1"))  # as servers send what is not ASCII
            self.end_headers()
            self.wfile.write(page.body)

        do_POST = do_GET  # noqa: N815 - the name is the server's

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the same
            """A test's own output is enough."""

    with ThreadingHTTPServer((host, 0), Handler) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        site.port = server.server_address[1]
        site.url = f"http{'s' if tls else ''}://{host}:{site.port}"
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            yield site
        finally:
            server.shutdown()


@contextmanager
def raw_server(serve: Callable[[socket.socket], None], *, host: str = "127.0.0.1") -> Iterator[int]:
    """For what no decent server does: `serve` has each connection, after the request's head was read. The port."""
    listener = socket.create_server((host, 0))
    listener.settimeout(0.1)
    stopped = threading.Event()

    def accept() -> None:
        while not stopped.is_set():
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            threading.Thread(target=handle, args=(connection,), daemon=True).start()

    def handle(connection: socket.socket) -> None:
        with connection:
            head = b""
            while b"\r\n\r\n" not in head and (block := connection.recv(4096)):
                head += block
            try:
                serve(connection)
            except OSError:
                return  # the client has had enough, as it should

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        stopped.set()
        thread.join()
        listener.close()
