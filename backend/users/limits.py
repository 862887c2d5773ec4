"""How often somebody may try. By address first: one machine must not use up what an account's owner may try."""

from datetime import timedelta

from django.conf import settings

from backend.core.throttling import Limit, hit
from backend.users.models import normalise_email

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


def count_password_try(*, email: str, address: str | None) -> None:
    """Raises TooManyRequests, for known and unknown accounts alike; `address` None where a session is known already."""
    if address is not None:
        hit(Limit("login-address", settings.LOGIN_LIMIT_PER_ADDRESS_MINUTE, MINUTE), address)
    hit(Limit("login-account", settings.LOGIN_LIMIT_PER_ACCOUNT_MINUTE, MINUTE), normalise_email(email))


def count_registration(*, address: str) -> None:
    hit(Limit("register-address", settings.REGISTER_LIMIT_PER_ADDRESS_HOUR, HOUR), address)


def count_letter(*, scope: str, email: str, address: str) -> None:
    """Letters that anyone may have sent to anyone: few per mailbox, and no flood from one machine."""
    hit(Limit(f"{scope}-address", settings.LOGIN_LIMIT_PER_ADDRESS_MINUTE, MINUTE), address)
    hit(Limit(f"{scope}-account", settings.RESET_LIMIT_PER_ACCOUNT_HOUR, HOUR), normalise_email(email))
