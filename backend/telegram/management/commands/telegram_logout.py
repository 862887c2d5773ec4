from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from backend.telegram import services
from backend.telegram.errors import TelegramFailed
from backend.telegram.failures import FAILURES
from backend.telegram.models import TelegramSession


class Command(BaseCommand):
    help = "Log every session out at Telegram and delete it. Sources keep what they have read."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--forget",
            action="store_true",
            help="delete a session also where Telegram cannot be told; end it in Telegram's list of devices then",
        )

    def handle(self, *_args: Any, forget: bool, **_options: Any) -> None:
        for session in TelegramSession.objects.all():
            try:
                services.log_out(session=session)
            except TelegramFailed as exc:
                if not forget:
                    raise CommandError(f"{session.account}: {FAILURES[exc.code].message}") from exc
                session.delete()
            self.stdout.write(f"Logged out: {session.account}")
