"""What the chat adapter makes of every way in which Gemini can fail: one call, one error of ours."""

import traceback
import tracemalloc
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing

import pytest

from agent_service.errors import UpstreamError
from agent_service.pipeline.calling import Limits, Policy, Upstream
from agent_service.ports import Piece
from agent_service.providers.gemini import GeminiChat
from agent_service.settings import Settings
from tests.agent_service.conftest import VENDOR_KEY
from tests.agent_service.test_gemini_chat import STREAM, pieces, prompt
from tests.emulators.faults import gzip_bomb
from tests.emulators.gemini import GeminiEmulator

CASES = [
    ("400", "rejected", 400, False),
    ("401", "unauthorised", 401, False),
    ("403", "unauthorised", 403, False),
    ("404", "rejected", 404, False),
    ("429", "rate_limited", 429, True),
    ("500", "unavailable", 500, True),
    ("503", "unavailable", 503, True),
    ("html502", "unavailable", 502, True),
    ("rst", "unreachable", None, True),
    ("hang", "timeout", None, True),
    ("empty200", "garbage", None, True),
    ("notjson", "garbage", None, True),
    ("redirect", "garbage", 307, True),
    ("gzipbomb", "garbage", None, True),
    ("hugeline", "garbage", None, True),
    ("err_first", "unavailable", 503, True),
    ("err_mid", "unavailable", 500, True),
    ("cut", "incomplete", None, True),
    ("cutrst", "incomplete", None, True),
    ("stall", "timeout", None, True),
]


@pytest.fixture
async def chat(vendor_settings: Callable[..., Settings], gemini: GeminiEmulator) -> AsyncIterator[GeminiChat]:
    chat = GeminiChat(vendor_settings(), "gemini-2.5-flash")
    yield chat
    await chat.aclose()


@pytest.mark.parametrize(("kind", "translated", "status", "retryable"), CASES)
async def test_each_failure_is_one_call_and_one_error_of_ours(
    chat: GeminiChat, gemini: GeminiEmulator, kind: str, translated: str, status: int | None, retryable: bool
) -> None:
    gemini.fault(STREAM, kind, after=1)
    with pytest.raises(UpstreamError) as raised:
        await pieces(chat)
    error = raised.value
    assert (error.kind, error.upstream_status, error.retryable) == (translated, status, retryable)
    assert error.upstream == "google:gemini-2.5-flash"
    assert error.__cause__ is not None
    assert gemini.journal.count() == 1


@pytest.mark.parametrize("kind", ["gzipbomb", "hugeline"])
async def test_an_answer_of_any_size_stays_small_in_memory(chat: GeminiChat, gemini: GeminiEmulator, kind: str) -> None:
    gzip_bomb(128)  # made beforehand, so that it arrives before anybody's patience ends
    gemini.fault(STREAM, kind, megabytes=128)
    tracemalloc.start()
    with pytest.raises(UpstreamError):
        await pieces(chat)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100 * 2**20


async def test_a_failure_leaves_the_adapter_as_good_as_new(chat: GeminiChat, gemini: GeminiEmulator) -> None:
    gemini.fault(STREAM, "503", times=2)
    for _ in range(2):
        with pytest.raises(UpstreamError):
            await pieces(chat)
    assert (await pieces(chat))[-1].finish_reason == "stop"


@pytest.mark.parametrize("status", ["429", "503"])
async def test_the_wait_that_google_asks_for_is_passed_on(
    chat: GeminiChat, gemini: GeminiEmulator, status: str
) -> None:
    gemini.fault(STREAM, status, retry_after=7)
    with pytest.raises(UpstreamError) as raised:
        await pieces(chat)
    assert raised.value.retry_after == 7


async def test_the_wait_is_read_from_the_body_too(chat: GeminiChat, gemini: GeminiEmulator) -> None:
    gemini.fault(STREAM, "429", retry_after=9, header=False)
    with pytest.raises(UpstreamError) as raised:
        await pieces(chat)
    assert raised.value.retry_after == 9


async def test_nobody_there_is_unreachable(vendor_settings: Callable[..., Settings]) -> None:
    async with aclosing(GeminiChat(vendor_settings(google_base_url="http://127.0.0.1:9"), "gemini-2.5-flash")) as chat:
        with pytest.raises(UpstreamError) as raised:
            await pieces(chat)
    assert raised.value.kind == "unreachable"


async def test_a_wrong_key_is_not_taken_for_a_wrong_request(
    vendor_settings: Callable[..., Settings], gemini: GeminiEmulator
) -> None:
    async with aclosing(GeminiChat(vendor_settings(google_api_key="not-the-key"), "gemini-2.5-flash")) as chat:
        with pytest.raises(UpstreamError) as raised:
            await pieces(chat)
    assert (raised.value.kind, raised.value.upstream_status) == ("unauthorised", 400)


async def test_a_redirect_is_not_followed(chat: GeminiChat, gemini: GeminiEmulator) -> None:
    gemini.fault(STREAM, "redirect")
    with pytest.raises(UpstreamError):
        await pieces(chat)
    assert gemini.journal.count("/__elsewhere") == 0


@pytest.mark.parametrize("kind", ["hang", "slowhdr", "drip", "stall", "forever"])
async def test_within_the_pipelines_limits_everything_ends(chat: GeminiChat, gemini: GeminiEmulator, kind: str) -> None:
    gemini.fault(STREAM, kind, after=1)
    gemini.script.latency(STREAM, piece=0.02)
    upstream = Upstream(chat.id, Policy())
    limits = Limits(total=0.6, first=0.3, idle=0.3)
    with pytest.raises(UpstreamError) as raised:
        await drained(upstream, chat, limits)
    assert raised.value.kind == "timeout"
    assert gemini.journal.count() == 1


async def test_the_pipeline_alone_tries_again(chat: GeminiChat, gemini: GeminiEmulator) -> None:
    gemini.fault(STREAM, "503")
    upstream = Upstream(chat.id, Policy(retry_delay=0.01))
    with pytest.raises(UpstreamError):
        await drained(upstream, chat, Limits(total=5, retries=2))
    assert gemini.journal.count() == 3


async def drained(upstream: Upstream, chat: GeminiChat, limits: Limits) -> list[Piece]:
    return [piece async for piece in upstream.stream(lambda: chat.stream(prompt()), limits)]


@pytest.mark.parametrize("kind", ["echo_key", "401", "notjson", "rst"])
async def test_the_key_is_in_no_error_and_in_no_log(
    chat: GeminiChat, gemini: GeminiEmulator, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    caplog.set_level(0)
    gemini.fault(STREAM, kind)
    with pytest.raises(UpstreamError) as raised:
        await pieces(chat)
    shown = "".join(traceback.format_exception(raised.value)) + caplog.text + repr(chat) + repr(vars(chat))
    assert VENDOR_KEY not in shown


async def test_the_cause_is_short_whatever_the_vendor_says(chat: GeminiChat, gemini: GeminiEmulator) -> None:
    gemini.fault(STREAM, "longjson")
    with pytest.raises(UpstreamError) as raised:
        await pieces(chat)
    assert len(str(raised.value.__cause__)) < 500
