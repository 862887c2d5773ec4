import json
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from backend.credits.audit import CHECKS, find_differences
from backend.credits.models import Account, Entry


class Command(BaseCommand):
    help = "Recompute every balance from the entries; print each difference and exit with 1 if there is one."
    requires_system_checks = ()  # it reads the database and nothing else of the project

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object instead of lines")

    def handle(self, *_: Any, **options: Any) -> None:
        differences = find_differences()
        counts = {"accounts": Account.objects.count(), "entries": Entry.objects.count(), "checks": len(CHECKS)}
        if options["json"]:
            report = {**counts, "differences": [asdict(difference) for difference in differences]}
            self.stdout.write(json.dumps(report, default=str))
        else:
            for difference in differences:
                self.stdout.write(str(difference))
            summary = ", ".join(f"{count} {name}" for name, count in counts.items())
            self.stdout.write(f"{summary}: {len(differences)} differences")
        if differences:
            raise SystemExit(1)
