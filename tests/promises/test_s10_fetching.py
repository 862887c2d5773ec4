"""S10: whatever address a user names, the backend connects to public places only.

A canary listens on every private address this machine can be given, all on one port, which is the one the fetcher may
ask; the site that sends the fetcher on listens on another loopback address, which alone is allowed. Counted are the
connections at the canary.
"""

import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import pytest
from pytest_django import Settings

from backend import fetching
from backend.bots.models import Bot
from backend.fetching import FetchFailed
from backend.sources import services as sources
from backend.sources.errors import SourceInvalid
from backend.sources.models import AT_REST, Source
from backend.sources.web import politeness
from tests.backend.sources.conftest import Work, agent, agent_server, bot, fresh_process, work
from tests.websites import Page, Website, article, moved, website

__all__ = ["agent", "agent_server", "bot", "fresh_process", "work"]

SITE = "127.0.0.2"
ALIASES = ("10.97.83.61", "169.254.169.254")
NAMES = {
    "127.0.0.1.nip.example": ["127.0.0.1"],
    "localhost": ["127.0.0.1", "::1"],
    "localtest.example": ["::1"],
    "metadata.example": ["169.254.169.254"],
    "intranet.example": ["10.97.83.61"],
    "mapped.example": ["::ffff:127.0.0.1"],
    "mixed.example": ["93.184.215.14", "127.0.0.1"],
    "mixed-six.example": ["2606:4700:4700::1111", "::1"],
    "nat64.example": ["64:ff9b::7f00:1"],
    "zoned.example": ["fe80::1%lo"],
    "odd.example": ["0x7f.1"],
}
SPELLINGS = [
    "127.0.0.1", "127.0.0.1.", "127.1", "127.0.1", "127.255.255.254", "2130706433", "0x7f000001", "0x7f.0x0.0x0.0x1",
    "0x7f.1", "0177.0.0.1", "017700000001", "0177.0x0.0.1", "127.0.0.01", "00000127.0.0.1", "127.0.0.1%00.example",
    "0.0.0.0", "0", "0x0",  # noqa: S104
    "[::]", "[::1]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]",
    "[::127.0.0.1]", "[::1%lo]", "[fe80::1%25lo]", "[64:ff9b::127.0.0.1]", "[2002:7f00:1::]", "[::ffff:0:127.0.0.1]",
    "①②⑦.⓪.⓪.①", "127。0。0。1", "１２７.０.０.１", "ｌｏｃａｌｈｏｓｔ", "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ", "LOCALHOST", "localhost.",
    "xn--127-0-0-1", "169.254.169.254", "2852039166", "0xa9fea9fe", "[::ffff:169.254.169.254]", "10.97.83.61",
    "user@127.0.0.1", "93.184.215.14@127.0.0.1", "127.0.0.1\\@93.184.215.14", *NAMES,
]  # fmt: skip
REFUSALS = ("address_refused", "url_invalid", "dns_failed")
REDIRECTS = [301, 302, 303, 307, 308]


@dataclass
class Canary:
    port: int
    addresses: list[str] = field(default_factory=list)
    connections: list[str] = field(default_factory=list)


@contextmanager
def alias(address: str) -> Iterator[bool]:
    """Whether the loopback device has this address as well, which takes the rights of an administrator."""
    command = shutil.which("ip")
    given = command is not None and _ip(command, "add", address)
    try:
        yield given
    finally:
        if given and command is not None:
            _ip(command, "del", address)


def _ip(command: str, verb: str, address: str) -> bool:
    done = subprocess.run([command, "addr", verb, f"{address}/32", "dev", "lo"], capture_output=True, check=False)
    return done.returncode == 0


def _listen(address: str, port: int) -> socket.socket | None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen()
    except OSError:
        listener.close()
        return None
    return listener


def _count(listener: socket.socket, address: str, canary: Canary) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return  # the test is over
        canary.connections.append(address)
        connection.close()


@pytest.fixture(scope="module")
def canaries() -> Iterator[Canary]:
    with ExitStack() as stack:
        first = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        canary = Canary(port=first.getsockname()[1], addresses=["127.0.0.1"])
        listeners = [("127.0.0.1", first)]
        for address in ("::1", *ALIASES):
            given = ":" in address or stack.enter_context(alias(address))
            listener = _listen(address, canary.port) if given else None
            if listener is not None:
                listeners.append((address, stack.enter_context(listener)))
        canary.addresses = [address for address, _ in listeners]
        for address, listener in listeners:
            threading.Thread(target=_count, args=(listener, address, canary), daemon=True).start()
        print(f"canaries on {canary.addresses}, port {canary.port}")
        yield canary
        for _, listener in listeners:
            listener.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def canary(canaries: Canary, settings: Settings) -> Iterator[Canary]:
    settings.FETCH_PORTS = [canaries.port]
    settings.FETCH_TOTAL_SECONDS = 5.0
    settings.WEB_DELAY_SECONDS = 0.0
    canaries.connections.clear()
    yield canaries
    assert canaries.connections == []


@pytest.fixture
def site(canary: Canary, settings: Settings) -> Iterator[Website]:
    with website(host=SITE) as site:
        settings.FETCH_ALLOWED_NETWORKS = [f"{SITE}/32"]
        settings.FETCH_PORTS = [canary.port, site.port]
        politeness.forget_robots()  # another test's site may have had this port
        yield site


def resolver(host: str, port: int) -> Sequence[str]:
    """What a name server could answer; an address is its own answer, as with the system's resolver."""
    return NAMES.get(host) or _numeric(host, port)


def _numeric(host: str, port: int) -> Sequence[str]:
    """Everything the system takes for an address, in whatever spelling, and no name."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    return [str(address[0]) for *_, address in found]


def refused(ask: Callable[..., object], *args: object, **options: object) -> str:
    with pytest.raises(FetchFailed) as failed:
        ask(*args, **options)
    return failed.value.code


def test_the_canary_sees_whoever_comes(canaries: Canary, settings: Settings) -> None:
    """Without this the zeros below would say nothing."""
    settings.FETCH_PORTS = [canaries.port]
    settings.FETCH_ALLOWED_NETWORKS = ["127.0.0.0/8", "::1/128", "10.0.0.0/8", "169.254.0.0/16"]
    canaries.connections.clear()
    for address in [address for address in canaries.addresses if address in ("127.0.0.1", "::1")]:
        host = f"[{address}]" if ":" in address else address
        assert refused(fetching.get, f"http://{host}:{canaries.port}/") == "protocol_error"
        assert canaries.connections.pop() == address
    assert len(SPELLINGS) >= 29


@pytest.mark.parametrize("host", SPELLINGS)
def test_no_spelling_leads_inside(canary: Canary, host: str) -> None:
    for scheme in ("http", "https"):
        url = f"{scheme}://{host}:{canary.port}/latest/meta-data/"
        assert refused(fetching.get, url, resolver=resolver) in REFUSALS
        assert refused(fetching.post, url, body=b"{}", headers={}, resolver=resolver) in REFUSALS


@pytest.mark.parametrize("host", SPELLINGS)
@pytest.mark.allow_hosts([SITE])
def test_no_redirect_leads_inside(site: Website, canary: Canary, host: str) -> None:
    for status in REDIRECTS:
        site.pages |= {"/": moved(f"http://{host}:{canary.port}/", status), "/2": moved("/", status)}
        for path in ("/", "/2"):
            assert refused(fetching.get, f"{site.url}{path}", resolver=resolver) in REFUSALS, (status, path)
    assert len(site.requests) == 3 * len(REDIRECTS)


@pytest.mark.parametrize(
    "location",
    [
        "file:///etc/passwd", "gopher://127.0.0.1:{port}/_x", "ftp://127.0.0.1:{port}/", "data:text/html,x",
        "dict://127.0.0.1:{port}/x", "unix:///run/docker.sock", "//127.0.0.1:{port}/", "///127.0.0.1:{port}/",
        "http:127.0.0.1:{port}", "\\\\127.0.0.1:{port}\\", "/\\127.0.0.1:{port}/", "http://127.0.0.2:22/",
        "http://127.0.0.2:25/", "http://127.0.0.2:5432/", "http://127.0.0.2:6379/",
    ],
)  # fmt: skip
@pytest.mark.allow_hosts([SITE])
def test_no_scheme_and_no_port_leads_inside(site: Website, canary: Canary, location: str) -> None:
    site.pages["/"] = moved(location.format(port=canary.port))
    refused(fetching.get, f"{site.url}/", resolver=resolver)
    assert len(site.requests) <= 4


def test_a_name_that_changes_its_mind_is_asked_once(canary: Canary) -> None:
    """DNS rebinding: public when it is checked, private when it is dialled."""
    answers = [["93.184.215.14", "127.0.0.1"], ["127.0.0.1"], ["127.0.0.1"]]
    asked = []

    def rebinding(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return answers.pop(0)

    url = f"http://rebind.example:{canary.port}/"
    assert refused(fetching.get, url, resolver=rebinding) == "address_refused"
    assert asked == ["rebind.example"]


@pytest.mark.allow_hosts([SITE])
def test_the_address_that_was_checked_is_dialled(site: Website, canary: Canary) -> None:
    answers = [[SITE], ["127.0.0.1"], ["127.0.0.1"]]
    site.pages["/"] = Page(b"the right place")
    url = f"http://rebind.example:{site.port}/"
    assert fetching.get(url, resolver=lambda host, port: answers.pop(0)).content == b"the right place"
    assert len(answers) == 2


@pytest.mark.allow_hosts([SITE])
def test_after_a_redirect_the_name_is_checked_again(site: Website, canary: Canary) -> None:
    answers = [[SITE], ["127.0.0.1"]]
    site.pages["/"] = moved("/2")
    url = f"http://rebind.example:{site.port}/"
    assert refused(fetching.get, url, resolver=lambda host, port: answers.pop(0)) == "address_refused"


@pytest.mark.allow_hosts([SITE])
def test_proxies_of_the_environment_lead_nowhere(
    site: Website, canary: Canary, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{canary.port}")
    site.pages["/"] = Page(b"direct")
    assert fetching.get(site.url).content == b"direct"


# --- The same through what reads sites: whatever a page, a sitemap or a robots.txt says, only its own site is asked


def lures(canary: Canary) -> list[str]:
    hosts = ["127.0.0.1", "[::1]", "2130706433", "0x7f.1", "169.254.169.254", "10.97.83.61", "localhost"]
    return [f"http://{host}:{canary.port}/" for host in hosts]


def luring_page(urls: Sequence[str]) -> Page:
    head = "".join(
        f'<meta http-equiv="refresh" content="0; url={url}"><link rel="canonical" href="{url}a">'
        f'<link rel="stylesheet" href="{url}b"><link rel="alternate" href="{url}c"><script src="{url}d"></script>'
        for url in urls
    )
    body = "".join(
        f'<img src="{url}e" srcset="{url}f 2x"><iframe src="{url}g"></iframe><a href="{url}h">x</a>'
        f'<object data="{url}i"></object><form action="{url}j"></form><area href="{url}k">'
        f'<video poster="{url}l"></video>'
        for url in urls
    )
    page = article("Lures", "Text.", "/next", head=head)
    return Page(page.body.replace(b"<footer>", body.encode() + b"<footer>"), headers=page.headers)


@pytest.fixture
def read_all(site: Website, bot: Bot, work: Work) -> Callable[[str, str], Source]:
    def through(kind: str, path: str) -> Source:
        source = sources.create_source(bot=bot, kind=kind, configuration={"url": f"{site.url}{path}"})
        work()
        source.refresh_from_db()
        return source

    return through


ReadAll = Callable[[str, str], Source]


@pytest.mark.allow_hosts(["127.0.0.1", SITE])
def test_nothing_on_a_page_is_loaded(site: Website, canary: Canary, read_all: ReadAll) -> None:
    site.pages["/"] = luring_page(lures(canary))
    site.pages["/next"] = article("Next", "More text.")
    assert read_all("site", "/").counts["new"] == 2
    assert site.paths() == ["/", "/next"]


@pytest.mark.allow_hosts(["127.0.0.1", SITE])
def test_no_base_leads_inside(site: Website, canary: Canary, read_all: ReadAll) -> None:
    site.pages["/"] = article("Lures", "Text.", "next", head=f'<base href="http://127.0.0.1:{canary.port}/">')
    assert read_all("site", "/").counts == {"new": 1}


@pytest.mark.allow_hosts(["127.0.0.1", SITE])
def test_no_sitemap_and_no_robots_txt_leads_inside(site: Website, canary: Canary, read_all: ReadAll) -> None:
    urls = lures(canary)
    site.pages["/robots.txt"] = Page("".join(f"Sitemap: {url}sitemap.xml\n" for url in urls).encode())
    for outer, inner in (("urlset", "url"), ("sitemapindex", "sitemap")):
        entries = "".join(f"<{inner}><loc>{url}</loc></{inner}>" for url in urls)
        site.pages[f"/{outer}.xml"] = Page(f"<{outer}>{entries}</{outer}>".encode())
        assert read_all("sitemap", f"/{outer}.xml").state in AT_REST
    assert "/urlset.xml" in site.paths()


@pytest.mark.allow_hosts(["127.0.0.1", SITE])
def test_no_redirect_of_a_page_a_sitemap_or_robots_txt_leads_inside(
    site: Website, canary: Canary, read_all: ReadAll
) -> None:
    for number, url in enumerate(lures(canary)):
        site.pages[f"/{number}"] = moved(url, REDIRECTS[number % len(REDIRECTS)])
        assert read_all("page", f"/{number}").error_code in ("address_refused", "dns_failed")
        assert read_all("sitemap", f"/{number}").error_code in ("address_refused", "dns_failed")
    politeness.forget_robots()  # that there was none
    site.pages["/robots.txt"] = moved(lures(canary)[0], 301)
    site.pages["/page"] = article("Page", "Text.")
    assert read_all("page", "/page").error_code == "address_refused"


def created(bot: Bot, kind: str, url: str) -> str:
    """The code of the refusal, if it was refused."""
    try:
        sources.create_source(bot=bot, kind=kind, configuration={"url": url})
    except SourceInvalid as refusal:
        return refusal.code
    return ""


@pytest.mark.parametrize("host", [host for host in SPELLINGS if host not in NAMES or host == "localhost"])
def test_no_source_names_the_inside(canary: Canary, bot: Bot, work: Work, host: str) -> None:
    for kind in ("page", "sitemap", "site"):
        assert created(bot, kind, f"http://{host}:{canary.port}/{kind}") in ("", *REFUSALS)
    work()
    assert set(Source.objects.values_list("error_code", flat=True)) <= set(REFUSALS)
