import getpass
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from backend.telegram import services
from backend.telegram.errors import TelegramFailed
from backend.telegram.failures import FAILURES


class Command(BaseCommand):
    help = (
        "Log in to Telegram with the account that reads channels: asks for its phone number, the code and the password."
    )

    def handle(self, *_args: Any, **_options: Any) -> None:
        if not (settings.TELEGRAM_API_ID and settings.TELEGRAM_API_HASH):
            raise CommandError("Set TELEGRAM_API_ID and TELEGRAM_API_HASH first; https://my.telegram.org gives them.")
        phone = self._ask("Phone number, with country code: ")()
        try:
            session = services.log_in(
                phone=phone, code=self._ask("Code that Telegram has sent: "), password=self._secret("Password: ")
            )
        except TelegramFailed as exc:
            failure = FAILURES[exc.code]
            raise CommandError(f"{failure.message} {exc.detail}".strip()) from exc
        self.stdout.write(f"Logged in as {session.account}. Channels are read with this account from now on.")

    def _ask(self, prompt: str) -> Callable[[], str]:
        return lambda: input(prompt).strip()

    def _secret(self, prompt: str) -> Callable[[], str]:
        return lambda: getpass.getpass(prompt)
