from collections.abc import Callable

import pytest
from asgiref.sync import async_to_sync
from django.core import mail
from procrastinate.contrib.django import app
from procrastinate.contrib.django.models import ProcrastinateJob
from pytest_django import Settings

from backend.users import services, tasks
from backend.users.models import Session, User


async def work_until_idle() -> None:
    """A real worker, on its own connection."""
    with app.replace_connector(app.connector.get_worker_connector()) as worker:  # type: ignore[attr-defined]
        async with worker.open_async():
            await worker.run_worker_async(wait=False, install_signal_handlers=False, listen_notify=False)


def job_of(user: User) -> ProcrastinateJob:
    """The worker has other jobs too: what is due every so often."""
    job: ProcrastinateJob = ProcrastinateJob.objects.get(args={"user_id": str(user.pk)})
    return job


def test_a_worker_sends_the_letter(transactional_db: None, owner: User) -> None:
    services.request_verification(email=owner.email, address="198.51.100.1")
    async_to_sync(work_until_idle)()
    assert [letter.to for letter in mail.outbox] == [[owner.email]]
    assert job_of(owner).status == "succeeded"


def test_a_letter_that_could_not_be_sent_is_tried_again(
    transactional_db: None, owner: User, settings: Settings
) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_PORT = 9  # where nobody listens
    services.request_password_reset(email=owner.email, address="198.51.100.1")
    async_to_sync(work_until_idle)()
    job = job_of(owner)
    assert (job.status, job.attempts) == ("todo", 1)
    assert job.scheduled_at is not None


def test_nobody_is_written_to_after_suspension(owner: User, run_jobs: Callable[[], list[str]]) -> None:
    services.request_password_reset(email=owner.email, address="198.51.100.1")
    services.suspend(user=owner)
    assert run_jobs() == ["users.send_password_reset_email"]
    assert mail.outbox == []


@pytest.mark.django_db
def test_ended_sessions_are_forgotten_once_a_day(owner: User) -> None:
    services.open_session(user=owner, user_agent="")
    Session.objects.update(expires_at="2020-01-01T00:00:00Z")
    tasks.forget_ended_sessions(timestamp=0)
    assert not Session.objects.exists()
    assert ("users.forget_ended_sessions", "") in app.periodic_registry.periodic_tasks
