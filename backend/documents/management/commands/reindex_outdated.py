from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from backend.documents import indexing


class Command(BaseCommand):
    help = "Read documents again that were cut or cleaned by another version of this program; each serves meanwhile."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--check", action="store_true", help="only count them")

    def handle(self, *_args: Any, check: bool, **_options: Any) -> None:
        if check:
            self.stdout.write(f"{indexing.outdated().count()} documents are outdated.")
        else:
            self.stdout.write(f"{indexing.reindex_outdated()} documents were queued.")
