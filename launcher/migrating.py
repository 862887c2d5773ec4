"""A release as people want to read it: what `migrate` says of each migration that works is told as their number."""

from launcher.console import Log

_HEADINGS = ("Operations to perform:", "  Apply all migrations: ", "Running migrations:", "  No migrations to apply.")


class MigrationLog:
    """Where anything else is said, an error above all, what was held back comes before it."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._held: list[tuple[str, str]] = []
        self._applied = 0

    def line(self, name: str, text: str) -> None:
        applied = text.startswith("  Applying ") and text.endswith(" OK")
        self._applied += applied
        if applied or text.startswith(_HEADINGS):
            self._held.append((name, text))
            return
        for held in self._held:
            self._log.line(*held)
        self._held.clear()
        self._log.line(name, text)

    def tell(self) -> None:
        """At the end of a release that has worked."""
        if self._applied:
            self._log.line("database", f"{self._applied} migration{'' if self._applied == 1 else 's'} applied")
