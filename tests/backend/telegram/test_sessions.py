"""Logging in and out: the key exchange, the code and the second factor, with the real Telethon over TCP."""

import builtins
import getpass
import io
import ipaddress
import logging
from collections.abc import Callable, Iterator

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from procrastinate.contrib.django import app
from procrastinate.contrib.django.models import ProcrastinateJob
from pytest_django import Settings
from telethon.sessions import StringSession

from backend.sources.models import Source
from backend.telegram import services
from backend.telegram.client import Client as Connected
from backend.telegram.errors import TelegramFailed
from backend.telegram.models import TelegramSession
from backend.users.models import User
from tests.backend.telegram.fixtures import numbers, sync_again
from tests.emulators.telegram.login import API_HASH
from tests.emulators.telegram.server import TelegramEmulator
from tests.emulators.telegram.world import Account, Channel

pytestmark = pytest.mark.django_db


class Person:
    """At the terminal: what they type, and what they are asked."""

    def __init__(self, *answers: str) -> None:
        self.answers: Iterator[str] = iter(answers)
        self.asked: list[str] = []

    def type(self, prompt: str = "") -> str:
        self.asked.append(prompt)
        return next(self.answers)


@pytest.fixture
def person(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Person]:
    def at_the_terminal(*answers: str) -> Person:
        somebody = Person(*answers)
        monkeypatch.setattr(builtins, "input", somebody.type)
        monkeypatch.setattr(getpass, "getpass", somebody.type)
        return somebody

    return at_the_terminal


def test_a_login_is_kept_sealed_and_used_for_reading(
    person: Callable[..., Person], account: Account, harbour: Channel, follow: Callable[..., Source]
) -> None:
    TelegramSession.objects.all().delete()
    harbour.posts(3)
    person(account.phone, account.code)
    out = io.StringIO()
    call_command("telegram_login", stdout=out)
    session = TelegramSession.objects.get()
    assert session.account == "A… · +99…45"
    assert out.getvalue() == "Logged in as A… · +99…45. Channels are read with this account from now on.\n"
    assert numbers(follow()) == [1, 2, 3]


def test_a_wrong_code_is_asked_for_again_and_then_the_password(
    person: Callable[..., Person], telegram: TelegramEmulator
) -> None:
    account = telegram.world.account("+9995554433", first_name="Grace", password="open sesame")
    somebody = person(account.phone, "00000", account.code, "wrong", "open sesame")
    call_command("telegram_login", stdout=io.StringIO())
    assert [prompt.split()[0] for prompt in somebody.asked] == ["Phone", "Code", "Code", "Password:", "Password:"]
    assert telegram.logged_in() == [account]


@pytest.mark.parametrize(
    ("typed", "word"),
    [(("+4400",), "phone number is invalid"), (("+9996612345", "1", "2", "3"), "code entered was invalid")],
)
def test_what_telegram_does_not_accept_is_said_and_nothing_kept(
    person: Callable[..., Person], account: Account, typed: tuple[str, ...], word: str
) -> None:
    person(*typed)
    with pytest.raises(CommandError, match=word):
        call_command("telegram_login")
    assert not TelegramSession.objects.exists()


def test_without_an_api_id_it_says_where_to_get_one(settings: Settings) -> None:
    settings.TELEGRAM_API_ID = 0
    with pytest.raises(CommandError, match=r"my\.telegram\.org"):
        call_command("telegram_login")


def test_a_login_talks_to_the_emulated_data_centre_and_to_nobody_else(telegram: TelegramEmulator) -> None:
    with Connected() as client:
        session = StringSession(client.session)
    assert ipaddress.ip_address(session.server_address).is_loopback
    assert session.port == telegram.port


def test_a_session_of_the_real_telegram_is_not_used_where_an_emulated_one_is_set(telegram: TelegramEmulator) -> None:
    elsewhere = StringSession()
    elsewhere.set_dc(2, "149.154.167.51", 443)
    elsewhere.auth_key = StringSession(telegram.issue(telegram.world.account())).auth_key
    with pytest.raises(TelegramFailed, match="telegram_unreachable"):
        Connected(elsewhere.save())


def test_neither_session_nor_api_hash_nor_code_is_found_in_database_or_log(
    person: Callable[..., Person], account: Account, harbour: Channel, follow: Callable[..., Source],
    telegram: TelegramEmulator, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Sealed at rest, and silent: whoever has one of them could log in as the operator."""
    logging.getLogger("telethon").setLevel(logging.WARNING)  # as in settings.LOGGING, which pytest's own handler is not
    caplog.set_level(logging.DEBUG)
    harbour.posts(250)
    person(account.phone, account.code)
    call_command("telegram_login")
    secret = TelegramSession.objects.latest("pk").opened()
    telegram.script.add("GetHistory", "half")
    telegram.script.add("GetHistory", "420 FLOOD_WAIT_60", after=2)
    follow()
    telegram.revoke(account)
    follow("@harbour_2")
    said = caplog.text + "".join(capfd.readouterr())
    for hidden in (secret, secret[1:40], API_HASH, account.phone):
        assert hidden not in said
        assert not _in_database(hidden)


def _in_database(text: str) -> bool:
    """In any column of any table of ours, and in the queue."""
    with connection.cursor() as cursor:
        tables = [name for name in connection.introspection.table_names(cursor) if not name.startswith("django_")]
        for table in tables:
            cursor.execute(f'SELECT count(*) FROM "{table}" AS t WHERE t::text LIKE %s', [f"%{text}%"])  # noqa: S608
            if cursor.fetchone()[0]:
                return True
    return False


def test_logging_out_ends_the_session_at_telegram_and_deletes_it(
    session: TelegramSession, telegram: TelegramEmulator
) -> None:
    call_command("telegram_logout", stdout=io.StringIO())
    assert not TelegramSession.objects.exists()
    assert telegram.logged_in() == []


def test_a_session_that_telegram_has_ended_is_deleted(
    session: TelegramSession, telegram: TelegramEmulator, account: Account
) -> None:
    telegram.revoke(account)
    call_command("telegram_logout", stdout=io.StringIO())
    assert not TelegramSession.objects.exists()


def test_while_telegram_cannot_be_told_the_session_stays_unless_it_is_to_be_forgotten(
    session: TelegramSession, telegram: TelegramEmulator, settings: Settings
) -> None:
    settings.TELEGRAM_REQUEST_SECONDS = 1.0
    telegram.script.add("LogOut", "silence", times=None)
    with pytest.raises(CommandError, match="took too long"):
        call_command("telegram_logout")
    assert TelegramSession.objects.exists()
    call_command("telegram_logout", "--forget", stdout=io.StringIO())
    assert not TelegramSession.objects.exists()


def test_deleting_it_in_the_admin_has_the_worker_log_it_out(
    session: TelegramSession, telegram: TelegramEmulator, follow: Callable[..., Source], client: Client, owner: User
) -> None:
    source = follow("@nobody_there")
    User.objects.filter(pk=owner.pk).update(is_staff=True, is_superuser=True)
    client.force_login(User.objects.get(pk=owner.pk), backend="backend.users.backends.BrowserLoginBackend")
    page = f"/admin/telegram/telegramsession/{session.pk}"
    assert session.sealed not in client.get(f"{page}/change/").content.decode()
    assert client.post(f"{page}/delete/", {"post": "yes"}).status_code == 302
    assert len(telegram.logged_in()) == 1
    sync_again(source)
    assert source.error_code == "telegram_session_missing"
    run_log_outs()
    assert (TelegramSession.objects.count(), telegram.logged_in()) == (0, [])


def test_a_log_out_that_was_lost_is_found_again(session: TelegramSession, telegram: TelegramEmulator) -> None:
    services.retire(session=session)
    ProcrastinateJob.objects.all()._raw_delete("default")
    app.tasks["telegram.sweep"](timestamp=0)
    run_log_outs()
    assert telegram.logged_in() == []


def run_log_outs() -> None:
    for job in ProcrastinateJob.objects.filter(task_name=services.LOG_OUT):
        ProcrastinateJob.objects.filter(pk=job.pk)._raw_delete("default")
        app.tasks[job.task_name](**job.args)
