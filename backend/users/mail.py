"""Letters to an account's address. Their links are made here, at the last moment, and are stored nowhere."""

from django.core.mail import send_mail
from django.template.loader import render_to_string

from backend.users import links
from backend.users.models import User


def send_verification(user: User) -> None:
    _send(user, "Confirm your e-mail address", "verify_email", links.url(user, links.VERIFY_EMAIL))


def send_password_reset(user: User) -> None:
    _send(user, "Choose a new password", "reset_password", links.url(user, links.RESET_PASSWORD))


def send_account_exists(user: User) -> None:
    _send(user, "You already have an account", "account_exists", links.url(user, links.RESET_PASSWORD))


def send_password_changed(user: User) -> None:
    _send(user, "Your password was changed", "password_changed")


def _send(user: User, subject: str, template: str, link: str = "") -> None:
    """To the stored address, never to one that a request named."""
    body = render_to_string(f"users/mail/{template}.txt", {"link": link, "email": user.email})
    send_mail(f"ChatSphere: {subject}", body, None, [user.email])
