from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from backend.bots.models import Bot
from backend.documents.models import Kind
from backend.sources.connectors import Prepared, Run
from backend.sources.models import Source
from backend.sources.web import configuration as web_configuration
from backend.sources.web.crawling import Crawl


class WebConnector:
    """One page, the pages of a sitemap, or those of a site. See `connectors.Connector`."""

    kinds = tuple(web_configuration.SETTINGS)
    document_kind = Kind.WEB

    def prepare(self, *, bot: Bot, kind: str, configuration: Mapping[str, Any]) -> Prepared:  # noqa: ARG002 - any bot
        asked = web_configuration.checked(kind, configuration)
        parts = urlsplit(asked.url)
        title = f"{parts.netloc}{parts.path}".rstrip("/")
        return Prepared(asked.model_dump(), identity=asked.url, title=title, link=asked.url)

    def sync(self, run: Run) -> None:
        kind, configuration = run.source.kind, run.source.configuration
        Crawl(run, web_configuration.checked(kind, configuration)).go()

    def forget(self, source: Source) -> None:
        """Nothing is held elsewhere."""
