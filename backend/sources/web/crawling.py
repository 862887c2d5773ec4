"""A run over a page, a sitemap or a site: what is asked for next, and what to make of what was not met."""

from backend import fetching
from backend.documents.extraction import ExtractionFailed
from backend.fetching import FetchFailed
from backend.sources.connectors import Run, SyncFailed
from backend.sources.web import failing, reading
from backend.sources.web.addressing import Scope, canonical_or_none, site_of
from backend.sources.web.configuration import PageSettings, SitemapSettings, SiteSettings
from backend.sources.web.failing import told
from backend.sources.web.frontier import Frontier
from backend.sources.web.politeness import Politeness
from backend.sources.web.visiting import Visitor

SITEMAPS_LIMIT = 50
SITEMAP_DEPTH = 2  # an index of indexes is none by the protocol, but there are some


class Crawl:
    """One turn of a run. The cursor moves with each page, so that the next turn goes on with the one after."""

    def __init__(self, run: Run, asked: PageSettings) -> None:
        self._run = run
        self._asked = asked
        self._scope = _scope(asked)
        self._polite = Politeness(run)
        self._frontier = Frontier(run.cursor, limit=getattr(asked, "pages", 1))
        self._visitor = Visitor(run, asked, self._scope, self._frontier, self._polite)

    def go(self) -> None:
        """Raises SyncPostponed, SyncFailed."""
        if not self._run.cursor:
            self._begin()
        while self._frontier.sitemaps:
            self._read_sitemap(*self._frontier.sitemaps[0])
            del self._frontier.sitemaps[0]
            self._run.save(self._frontier.cursor())
        while self._frontier.pages:
            self._read_page(*self._frontier.pages[0])
            del self._frontier.pages[0]
            self._run.save(self._frontier.cursor())
        if not self._run.partial and not self._frontier.cut:
            self._settle_unseen()

    def _begin(self) -> None:
        if self._run.partial:
            for external_id in self._run.pending().values_list("external_id", flat=True):
                self._frontier.add(external_id, 0)
        elif isinstance(self._asked, SitemapSettings) and not isinstance(self._asked, SiteSettings):
            self._frontier.add_sitemap(self._asked.url, SITEMAP_DEPTH, limit=SITEMAPS_LIMIT)
        else:
            self._frontier.add(self._asked.url, getattr(self._asked, "depth", 0))
        self._run.save(self._frontier.cursor())

    def _read_page(self, url: str, depth: int) -> None:
        links = self._visitor.visit(url)
        if depth > 0:
            for link in links:
                self._frontier.add(link, depth - 1)

    def _read_sitemap(self, url: str, depth: int) -> None:
        try:
            self._polite.require(url)
            self._polite.wait(url)
            answer = fetching.get(url)
            found = reading.read_sitemap(answer.content, link=answer.url, tick=self._run.check)
        except (FetchFailed, ExtractionFailed) as exc:
            self._sitemap_failed(url, exc)
            return
        if self._run.item(url) is not None:  # it had failed
            self._run.remove(url)
        for sitemap in self._of_site(found.sitemaps):
            self._frontier.add_sitemap(sitemap, depth - 1, limit=SITEMAPS_LIMIT)
        for page in self._of_site(found.pages):
            if page in self._scope:
                self._frontier.add(page, 0)

    def _of_site(self, urls: list[str]) -> list[str]:
        found = map(canonical_or_none, urls)
        return [url for url in found if url is not None and site_of(url) == self._scope.site]

    def _sitemap_failed(self, url: str, exc: FetchFailed | ExtractionFailed) -> None:
        """Without the first one there is nothing to read; without another the rest can be read."""
        if isinstance(exc, FetchFailed):
            failing.be_patient(self._run, exc)
        if url == self._asked.url:
            raise SyncFailed(*told(exc)) from exc
        self._frontier.cut = True
        self._run.fail(url, **told(exc)._asdict(), link=url)

    def _settle_unseen(self) -> None:
        """What the site no longer leads to."""
        message = "Nothing on the site leads to it any more."
        hint = "If that stays so, its document is deleted with the next sync."
        for external_id in list(self._run.unseen().values_list("external_id", flat=True)):
            self._run.missing(external_id, code="not_linked", message=message, hint=hint)


def _scope(asked: PageSettings) -> Scope:
    site = site_of(asked.url)
    if isinstance(asked, SitemapSettings):
        return Scope(site, tuple(asked.include), tuple(asked.exclude))
    return Scope(site)
