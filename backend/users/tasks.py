from collections.abc import Callable

from procrastinate import RetryStrategy
from procrastinate.contrib.django import app

from backend.users import mail, services
from backend.users.models import User

# A mail server that is away for an hour loses no letter.
RETRY = RetryStrategy(max_attempts=8, exponential_wait=4)


@app.task(name="users.send_verification_email", retry=RETRY)
def send_verification_email(*, user_id: str) -> None:
    _write(user_id, mail.send_verification, only_unverified=True)


@app.task(name="users.send_password_reset_email", retry=RETRY)
def send_password_reset_email(*, user_id: str) -> None:
    _write(user_id, mail.send_password_reset)


@app.task(name="users.send_account_exists_email", retry=RETRY)
def send_account_exists_email(*, user_id: str) -> None:
    _write(user_id, mail.send_account_exists)


@app.task(name="users.send_password_changed_email", retry=RETRY)
def send_password_changed_email(*, user_id: str) -> None:
    _write(user_id, mail.send_password_changed)


@app.periodic(cron="17 3 * * *")
@app.task(name="users.forget_ended_sessions", queueing_lock="users.forget_ended_sessions")
def forget_ended_sessions(timestamp: int) -> None:  # noqa: ARG001 - what the scheduler hands over
    services.forget_ended_sessions()


def _write(user_id: str, send: Callable[[User], None], *, only_unverified: bool = False) -> None:
    """Nobody there is no error: the job is made for unknown addresses as well."""
    user = User.objects.filter(pk=user_id, is_active=True).first()
    if user is not None and not (only_unverified and user.email_verified_at):
        send(user)
