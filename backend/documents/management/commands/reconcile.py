from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from backend.agent_client import AgentError
from backend.documents.files import StorageAway
from backend.documents.reconciling import reconcile


class Command(BaseCommand):
    help = "Compare documents, files and vectors both ways and repair what differs; exits with 1 where anything did."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--check", action="store_true", help="only report")
        parser.add_argument(
            "--delete-unknown",
            action="store_true",
            help="also delete vectors of bots that this database never knew; not where deployments share a store",
        )

    def handle(self, *_args: Any, check: bool, delete_unknown: bool, **_options: Any) -> None:
        count = 0
        try:
            for difference in reconcile(repair=not check, delete_unknown=delete_unknown):
                count += 1
                outcome = difference.repaired or ("found" if check else "not repaired")
                self.stdout.write(f"{difference.kind}: {difference.subject}: {outcome}")
        except AgentError as exc:
            raise CommandError(f"The agent service could not be asked: {exc.message}") from exc
        except StorageAway as exc:
            raise CommandError(exc.message) from exc
        if count:
            raise CommandError(f"{count} differences")
        self.stdout.write("Rows, files and vectors agree.")
