"""One page of a run: asked for if need be, and taken as what it is."""

from collections.abc import Mapping
from http import HTTPStatus

from django.conf import settings

from backend import fetching
from backend.documents.extraction import ExtractionFailed
from backend.documents.formats import WEBPAGE, NotAccepted
from backend.fetching import Answer, FetchFailed
from backend.sources.connectors import Run, SyncFailed
from backend.sources.models import Item
from backend.sources.web import failing, reading
from backend.sources.web.addressing import Scope, canonical_or_none
from backend.sources.web.configuration import PageSettings, SitemapSettings, SiteSettings
from backend.sources.web.failing import Told, told
from backend.sources.web.frontier import Frontier
from backend.sources.web.politeness import Politeness

FAILING_LIMIT = 5  # requests in a row: then the site is left in peace until the next run


class Visitor:
    def __init__(self, run: Run, asked: PageSettings, scope: Scope, frontier: Frontier, polite: Politeness) -> None:
        self._run = run
        self._asked = asked
        self._scope = scope
        self._frontier = frontier
        self._polite = polite
        self._crawls = isinstance(asked, SiteSettings)  # so that pages are come upon which nobody has named
        self._single = not isinstance(asked, SitemapSettings)

    def visit(self, url: str) -> list[str]:
        """Returns the pages it leads to. Raises SyncPostponed, SyncFailed."""
        self._run.check()
        item = self._run.item(url)
        memory = _memory(item, full=self._run.full)
        try:
            self._polite.require(url)
            self._polite.wait(url)
            answer = fetching.get(url, headers=_conditions(memory), allow=self._may_lead_to)
        except FetchFailed as exc:
            self._failed(url, item, exc)
            return _links_of(item)
        self._frontier.failing = 0
        if answer.status == HTTPStatus.NOT_MODIFIED:
            self._run.seen(url, **memory)
            return _links_of(item)
        place = url if self._single else canonical_or_none(answer.url) or url
        if place != url:
            if not self._moved(url, place, answer):
                return []
            memory = _memory(self._run.item(place), full=self._run.full)
        if reading.is_page(answer):
            return self._take_page(place, answer, memory)
        self._take_file(place, answer)
        return []

    def _may_lead_to(self, url: str) -> bool:
        """Of a redirect: a single page may be anywhere, the pages of a site are on that site."""
        return (self._single or canonical_or_none(url) in self._scope) and self._polite.allows(url)

    def _moved(self, url: str, place: str, answer: Answer) -> bool:
        """Whether the place it has moved to is news in this run."""
        if self._run.item(url) is not None:
            if answer.moved:
                self._run.remove(url)
            else:
                self._run.missing(url, code="moved", message="It leads to another page now.")
        return self._frontier.meet(place)

    # --- What it is

    def _take_page(self, place: str, answer: Answer, memory: Mapping[str, str]) -> list[str]:
        content = reading.as_utf8(answer)
        raw = reading.digest(content)
        if memory.get("raw") == raw:
            self._run.seen(place, **{**memory, **_validators(answer)})
            return memory.get("links", "").splitlines()
        try:
            page = reading.read_page(content, link=answer.url, tick=self._run.check)
        except ExtractionFailed as exc:
            self._report(place, told(exc))
            return []
        robots = page.robots | _robots_header(answer)
        links = [] if robots & {"nofollow", "none"} else self._to_follow(page.links)
        if robots & {"noindex", "none"}:
            self._leave_out(place, "noindex")
            return links
        elsewhere = self._elsewhere(place, page.canonical)
        if elsewhere:
            self._leave_out(place, "elsewhere")
            return [elsewhere, *links]
        self._run.put(
            place,
            title=page.title or place,
            link=answer.url if self._single else place,
            filename=reading.page_name(place),
            content=content,
            format_name=WEBPAGE.name,
            fingerprint=page.main,
            raw=raw,
            links="\n".join(links),
            **_validators(answer),
        )
        return links

    def _leave_out(self, place: str, count: str) -> None:
        """A page that does not want to be among the documents."""
        self._run.count(count)
        if self._run.item(place) is not None:
            self._run.remove(place)
        elif self._single:
            message = "The page asks not to be taken into a search index."
            self._run.fail(place, code=count, message=message, link=place)

    def _elsewhere(self, place: str, declared: str) -> str:
        """Where the page says that it really is, if that is another page of the site, and that one is to be had."""
        real = canonical_or_none(declared) if declared and not self._single else None
        if real is None or real == place or real not in self._scope:
            return ""
        there = self._run.item(real)
        return real if self._frontier.will_meet(real) or (there is not None and there.document_id is not None) else ""

    def _to_follow(self, links: list[str]) -> list[str]:
        if not self._crawls:
            return []
        wanted = (link for link in map(canonical_or_none, links) if link is not None and link in self._scope)
        return list(dict.fromkeys(wanted))[: settings.WEB_PAGES_LIMIT]

    def _take_file(self, place: str, answer: Answer) -> None:
        name = reading.file_name(answer)
        try:
            kind = reading.format_of(answer, name)
        except NotAccepted as exc:
            kind = None
            refusal = Told("unsupported_type", str(exc))
        if kind is None or (self._crawls and kind.name not in reading.FOR_READERS):
            if self._crawls:
                self._run.count("other_types")
            elif kind is None:
                self._report(place, refusal)
            return
        self._run.put(
            place,
            title=name,
            link=answer.url if self._single else place,
            filename=name,
            content=answer.content,
            format_name=kind.name,
            **_validators(answer),
        )

    # --- What went wrong

    def _failed(self, url: str, item: Item | None, exc: FetchFailed) -> None:
        failing.be_patient(self._run, exc)
        if failing.is_gone(exc) and item is not None and item.document_id is not None:
            self._run.missing(url, **told(exc)._asdict())
        else:
            self._report(url, told(exc), known=item is not None, gone=failing.is_gone(exc))
        if url == self._asked.url:
            raise SyncFailed(*told(exc)) from exc
        self._frontier.failing += exc.passing
        if self._frontier.failing >= FAILING_LIMIT:
            message = f"Request after request failed. The last: {exc.message}"
            raise SyncFailed("site_failing", message, told(exc).hint) from exc

    def _report(self, url: str, failure: Told, *, known: bool = False, gone: bool = False) -> None:
        """To the owner; but a dead link or a private corner that a crawl comes upon is no failure, only counted."""
        if self._crawls and not known and url != self._asked.url and (gone or failure.code == failing.ROBOTS):
            self._run.count("dead_links" if gone else "robots")
        else:
            self._run.fail(url, **failure._asdict(), link=url)


def _memory(item: Item | None, *, full: bool) -> dict[str, str]:
    """What was learnt about the page last time; nothing where it is to be read in any case."""
    if item is None or full or item.document_id is None:
        return {}
    return dict(item.validators)


def _links_of(item: Item | None) -> list[str]:
    """Those it had when it was last read."""
    return [] if item is None else str(item.validators.get("links", "")).splitlines()


def _conditions(memory: Mapping[str, str]) -> dict[str, str]:
    names = {"etag": "If-None-Match", "last_modified": "If-Modified-Since"}
    return {header: memory[name] for name, header in names.items() if memory.get(name)}


def _validators(answer: Answer) -> dict[str, str]:
    """Only what may be sent back as it is."""
    offered = {"etag": answer.headers.get("etag", ""), "last_modified": answer.headers.get("last-modified", "")}
    return {name: value for name, value in offered.items() if 0 < len(value) <= 300 and value.isascii()}


def _robots_header(answer: Answer) -> set[str]:
    return {word.strip() for word in answer.headers.get("x-robots-tag", "").lower().split(",")}
