"""What is still to be asked for in this run, and what was: the run's cursor."""

from collections.abc import Mapping
from typing import Any


class Frontier:
    """`sitemaps` and `pages` are queues of `[url, depth]`. `cut` when the run leaves out some of what there is."""

    def __init__(self, cursor: Mapping[str, Any], *, limit: int) -> None:
        self.sitemaps: list[tuple[str, int]] = [(url, depth) for url, depth in cursor.get("sitemaps", [])]
        self.pages: list[tuple[str, int]] = [(url, depth) for url, depth in cursor.get("pages", [])]
        self.cut: bool = cursor.get("cut", False)
        self.failing: int = cursor.get("failing", 0)  # requests in a row that came to nothing
        self._met: dict[str, None] = dict.fromkeys(cursor.get("met", []))
        self._limit = limit

    def add_sitemap(self, url: str, depth: int, *, limit: int) -> None:
        if url in self._met:
            return
        if depth < 0 or len(self.sitemaps) >= limit:
            self.cut = True
            return
        self._met[url] = None
        self.sitemaps.append((url, depth))

    def add(self, url: str, depth: int) -> None:
        """A page, if it is new and there is room: the run asks for `limit` pages at most."""
        if url in self._met:
            return
        if len(self._met) >= self._limit:
            self.cut = True
            return
        self._met[url] = None
        self.pages.append((url, depth))

    def will_meet(self, url: str) -> bool:
        """Whether it waits to be asked for, or would if it were added. The first of the queue is being asked for."""
        return url not in self._met or any(url == waiting for waiting, _ in self.pages[1:])

    def meet(self, url: str) -> bool:
        """A page that was come upon by another way. Returns whether it is new."""
        new = url not in self._met
        self._met[url] = None
        return new

    def cursor(self) -> dict[str, Any]:
        return {
            "sitemaps": self.sitemaps,
            "pages": self.pages,
            "met": list(self._met),
            "cut": self.cut,
            "failing": self.failing,
        }
