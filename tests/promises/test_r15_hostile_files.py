"""R15: one account's hostile files hurt nobody else: each ends, no worker dies of one, and another account's document
is ready meanwhile."""

# ruff: noqa: F401, F811 - pytest finds fixtures by their names in the module

import time
from collections.abc import Callable, Iterable

import pytest

from backend.bots import services as bots
from backend.bots.models import Bot
from backend.core.errors import ChatSphereError
from backend.documents.failures import FAILURES
from backend.documents.models import Document, State
from backend.users.models import User
from tests.backend.documents.fake_agent import FakeAgent
from tests.backend.documents.fixtures import agent, agent_server, bot, empty_queue, fresh_process, upload
from tests.backend.documents.hostile import CORPUS
from tests.backend.documents.samples import pdf
from tests.backend.documents.test_hostile import outcome_of
from tests.backend.documents.workers import eventually, workers

pytestmark = pytest.mark.django_db(transaction=True)

Upload = Callable[..., Document]

# Of each kind of attack one, chosen so that they end within seconds.
SOME = [
    "bomb-1gib.docx", "bomb-lying-directory.docx", "bomb-directory-only.docx", "laughs.docx", "truncated-50.docx",
    "corner.xlsx", "string-shared.xlsx", "columns-repeated.odt", "spine-loop.epub", "loops.pptx", "flate-nested.pdf",
    "kids-are-the-parent.pdf", "nested-dictionaries.pdf", "comments.html", "field-19mb.csv", "deep.json",
    "nested-200.eml", "nested.rtf", "program.docx", "one-byte.txt", "\u202efdp.txt",
]  # fmt: skip
READY_SECONDS = 15


def hostile_uploads(upload: Upload, names: Iterable[str]) -> set[str]:
    """Returns the names of those that were let in; the others were refused at the door, with a reason."""
    let_in = set()
    for name in names:
        try:
            upload(CORPUS[name].make(), name, format_name=CORPUS[name].format, title=name)
        except ChatSphereError as exc:
            assert exc.code in ("empty_file", "too_large", "duplicate_document"), name  # noqa: PT017
        else:
            let_in.add(name)
    return let_in


def ended(of: Bot) -> bool:
    return not Document.objects.filter(bot=of).exclude(state__in=[State.READY, State.FAILED]).exists()


def run(upload: Upload, bot: Bot, stranger: User, names: Iterable[str], *, each: int, all_within: float) -> None:
    """All files at once and another account's document behind them, with one real worker."""
    hostile_uploads(upload, names)
    theirs = bots.create_bot(owner=stranger, name="Innocent")
    with workers(1, PARSER_SECONDS=str(each), PARSER_TRIES="1") as (worker,):
        pid = worker.process.pid
        begun = time.monotonic()
        innocent = upload(pdf(["The tide comes in twice a day."]), "tide.pdf", bot=theirs)
        ready = Document.objects.filter(pk=innocent.pk, state=State.READY)
        assert eventually(ready.exists, seconds=each + 2 * READY_SECONDS)
        waited = time.monotonic() - begun
        assert eventually(lambda: ended(bot), seconds=all_within)
        assert (worker.process.pid, worker.process.poll()) == (pid, None)
        assert worker.stop() == 0
    assert waited < each + READY_SECONDS
    check_reasons(bot)


def check_reasons(of: Bot) -> None:
    failed = Document.objects.filter(bot=of, state=State.FAILED)
    assert failed.exists()
    for document in failed:
        assert document.error_code in FAILURES, document.filename
        assert document.error_message
        assert document.error_hint


@pytest.mark.usefixtures("empty_queue")
def test_some_hostile_files_hurt_nobody(agent: FakeAgent, upload: Upload, bot: Bot, stranger: User) -> None:
    run(upload, bot, stranger, SOME, each=3, all_within=90)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.usefixtures("empty_queue")
def test_no_hostile_file_hurts_anybody(agent: FakeAgent, upload: Upload, bot: Bot, stranger: User) -> None:
    run(upload, bot, stranger, CORPUS, each=60, all_within=3000)


@pytest.mark.long
@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", CORPUS)
def test_each_hostile_file_ends_within_75_seconds(name: str) -> None:
    outcome, seconds = outcome_of(CORPUS[name].make(), CORPUS[name].format)
    assert outcome in (CORPUS[name].codes or {"read", *FAILURES})
    assert seconds < 75
