import sys
from getpass import getpass
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.validators import validate_email

from backend.users import services
from backend.users.errors import WeakPassword
from backend.users.models import normalise_email


class Command(BaseCommand):
    help = "Make an admin account; run again, it changes nothing."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--email", required=True)
        parser.add_argument("--password-stdin", action="store_true", help="read the password from standard input")

    def handle(self, *_: Any, email: str, password_stdin: bool, **__: Any) -> None:
        email = normalise_email(email)
        try:
            validate_email(email)
            password = sys.stdin.readline().rstrip("\r\n") if password_stdin else getpass(f"Password for {email}: ")
            created = services.ensure_admin(email=email, password=password)
        except ValidationError as exc:
            raise CommandError(" ".join(exc.messages)) from exc
        except WeakPassword as exc:
            raise CommandError(" ".join(problem["message"] for problem in exc.details["password"])) from exc
        self.stdout.write(f"{email} is {'now' if created else 'already'} an admin.")
