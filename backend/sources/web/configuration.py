"""What a person may ask for, per kind."""

from collections.abc import Mapping
from typing import Annotated, Any

from django.conf import settings
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from backend.core.text import clean_text
from backend.fetching import FetchFailed
from backend.sources.errors import SourceInvalid
from backend.sources.web.addressing import canonical

DEPTH_MAX = 10
_PREFIXES_MAX = 50


def _web_address(url: str) -> str:
    try:
        return canonical(url)
    except FetchFailed as exc:
        raise SourceInvalid(exc.code, exc.message) from exc


def _prefix(path: str) -> str:
    if not path.startswith("/") or clean_text(path) != path:
        raise ValueError('must begin with "/"')
    return path


Url = Annotated[str, Field(max_length=2000), AfterValidator(_web_address)]
Prefixes = Annotated[
    list[Annotated[str, Field(max_length=500), AfterValidator(_prefix)]], Field(max_length=_PREFIXES_MAX)
]


class PageSettings(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    url: Url


class SitemapSettings(PageSettings):
    """`pages` is how many are read at most; paths of pages begin with one of `include`, and with none of `exclude`."""

    include: Prefixes = []
    exclude: Prefixes = []
    pages: int = Field(default=0, ge=0)


class SiteSettings(SitemapSettings):
    """`depth` is how many links away from the first page the last one may be."""

    depth: int = Field(default=3, ge=0, le=DEPTH_MAX)


SETTINGS: dict[str, type[PageSettings]] = {"page": PageSettings, "sitemap": SitemapSettings, "site": SiteSettings}


def checked(kind: str, configuration: Mapping[str, Any]) -> PageSettings:
    """Raises SourceInvalid."""
    try:
        asked = SETTINGS[kind].model_validate(dict(configuration))
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise SourceInvalid("configuration_invalid", f"{place}: {first['msg']}.") from exc
    if isinstance(asked, SitemapSettings):
        asked.pages = min(asked.pages or settings.WEB_PAGES_LIMIT, settings.WEB_PAGES_LIMIT)
    return asked
