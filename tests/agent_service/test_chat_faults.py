"""What the chat adapters make of every way in which a vendor can fail: one call, one error of ours."""

import traceback
import tracemalloc
from collections.abc import AsyncIterator

import pytest

from agent_service.errors import UpstreamError
from agent_service.pipeline.calling import Limits, Policy, Upstream
from agent_service.pipeline.prompting import question_with_passages
from agent_service.ports import Piece
from agent_service.providers.langchain_chat import LangChainChat
from tests.agent_service.knowledge import PASSAGES
from tests.agent_service.vendors import ANTHROPIC, GEMINI, VENDOR_KEY, VENDORS, Vendor, pieces, prompt
from tests.emulators.emulator import Emulator
from tests.emulators.server import Running

every_vendor = pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.name, indirect=True)


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
    ("longjson", "garbage", None, True),
    ("wrongshape", "garbage", None, True),
    ("redirect", "garbage", 307, True),
    ("gzipbomb", "garbage", None, True),
    ("hugeline", "garbage", None, True),
    ("err_first", "unavailable", 503, True),
    ("err_mid", "unavailable", 500, True),
    ("cut", "incomplete", None, True),
    ("cutrst", "incomplete", None, True),
    ("stall", "timeout", None, True),
]


@pytest.mark.parametrize(("kind", "translated", "status", "retryable"), CASES, ids=[case[0] for case in CASES])
@every_vendor
async def test_each_failure_is_one_call_and_one_error_of_ours(
    vendor: Vendor,
    chat: LangChainChat,
    emulator: Emulator,
    kind: str,
    translated: str,
    status: int | None,
    retryable: bool,
) -> None:
    emulator.fault(vendor.route, kind, after=1)
    with pytest.raises(UpstreamError) as raised:
        await pieces(chat)
    error = raised.value
    expected = vendor.kinds.get(kind, (translated, status))
    assert ((error.kind, error.upstream_status), error.retryable) == (expected, retryable)
    assert error.upstream == vendor.id
    assert error.__cause__ is not None
    assert emulator.journal.count() == 1


@pytest.mark.parametrize("kind", ["gzipbomb", "hugeline"])
@every_vendor
async def test_an_answer_of_any_size_stays_small_in_memory(
    vendor: Vendor, chat: LangChainChat, emulator: Emulator, kind: str
) -> None:
    emulator.fault(vendor.route, kind, megabytes=128)
    tracemalloc.start()
    with pytest.raises(UpstreamError):
        await pieces(chat)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100 * 2**20


@every_vendor
async def test_a_failure_leaves_the_adapter_as_good_as_new(
    vendor: Vendor, chat: LangChainChat, emulator: Emulator
) -> None:
    emulator.fault(vendor.route, "503", times=2)
    for _ in range(2):
        with pytest.raises(UpstreamError):
            await pieces(chat)
    assert (await pieces(chat))[-1].finish_reason == "stop"


@pytest.mark.parametrize("status", ["429", "503"])
@every_vendor
async def test_the_wait_that_a_vendor_asks_for_is_passed_on(
    vendor: Vendor, chat: LangChainChat, emulator: Emulator, status: str
) -> None:
    emulator.fault(vendor.route, status, retry_after=7)
    with pytest.raises(UpstreamError) as raised:
        await pieces(chat)
    assert raised.value.retry_after == 7


@pytest.mark.parametrize("vendor", [GEMINI], ids=["gemini"], indirect=True)
async def test_google_puts_the_wait_into_the_body_too(vendor: Vendor, chat: LangChainChat, emulator: Emulator) -> None:
    emulator.fault(vendor.route, "429", retry_after=9, header=False)
    with pytest.raises(UpstreamError) as raised:
        await pieces(chat)
    assert raised.value.retry_after == 9


@pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.name)
async def test_nobody_there_is_unreachable(vendor: Vendor) -> None:
    chat = vendor.chat("http://127.0.0.1:9")
    with pytest.raises(UpstreamError) as raised:
        await pieces(chat)
    assert raised.value.kind == "unreachable"
    await chat.aclose()


@every_vendor
async def test_a_wrong_key_is_not_taken_for_a_wrong_request(
    vendor: Vendor, running: Running[Emulator], emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(emulator, "api_key", "another")
    chat = vendor.chat(running.url)
    with pytest.raises(UpstreamError) as raised:
        await pieces(chat)
    assert raised.value.kind == "unauthorised"
    await chat.aclose()


@every_vendor
async def test_a_redirect_is_not_followed(vendor: Vendor, chat: LangChainChat, emulator: Emulator) -> None:
    emulator.fault(vendor.route, "redirect")
    with pytest.raises(UpstreamError):
        await pieces(chat)
    assert emulator.journal.count("/__elsewhere") == 0


@pytest.mark.parametrize("kind", ["hang", "slowhdr", "drip", "stall", "forever"])
@every_vendor
async def test_within_the_pipelines_limits_everything_ends(
    vendor: Vendor, chat: LangChainChat, emulator: Emulator, kind: str
) -> None:
    emulator.fault(vendor.route, kind, after=1)
    emulator.script.latency(vendor.route, piece=0.02)
    upstream = Upstream(chat.id, Policy())
    limits = Limits(total=0.6, first=0.3, idle=0.3)
    with pytest.raises(UpstreamError) as raised:
        await drained(upstream, chat, limits)
    assert raised.value.kind == "timeout"
    assert emulator.journal.count() == 1


@every_vendor
async def test_the_pipeline_alone_tries_again(vendor: Vendor, chat: LangChainChat, emulator: Emulator) -> None:
    emulator.fault(vendor.route, "503")
    upstream = Upstream(chat.id, Policy(retry_delay=0.01))
    with pytest.raises(UpstreamError):
        await drained(upstream, chat, Limits(total=5, retries=2))
    assert emulator.journal.count() == 3


@pytest.mark.parametrize("kind", ["err_mid", "cut", "cutrst"])
@every_vendor
async def test_after_the_first_word_nobody_tries_again(
    vendor: Vendor, chat: LangChainChat, emulator: Emulator, kind: str
) -> None:
    emulator.fault(vendor.route, kind, after=3)
    upstream = Upstream(chat.id, Policy(retry_delay=0.01))
    longer = prompt(question_with_passages("What does the cat do, black or not?", PASSAGES))
    stream = upstream.stream(lambda: chat.stream(longer), Limits(total=5, retries=2))
    assert (await anext(stream)).text
    with pytest.raises(UpstreamError):
        await read_on(stream)
    assert emulator.journal.count() == 1


@every_vendor
async def test_a_vendor_that_is_down_is_hardly_asked_more_often_than_there_are_questions(
    vendor: Vendor, chat: LangChainChat, emulator: Emulator
) -> None:
    emulator.fault(vendor.route, "429")
    upstream = Upstream(chat.id, Policy(retry_delay=0.001, budget_burst=2))
    for _ in range(40):
        with pytest.raises(UpstreamError):
            await drained(upstream, chat, Limits(total=5, retries=2))
    assert 40 <= emulator.journal.count() <= 1.2 * 40


async def read_on(stream: AsyncIterator[Piece]) -> list[Piece]:
    return [piece async for piece in stream]


async def drained(upstream: Upstream, chat: LangChainChat, limits: Limits) -> list[Piece]:
    return [piece async for piece in upstream.stream(lambda: chat.stream(prompt()), limits)]


@pytest.mark.parametrize("vendor", [ANTHROPIC], ids=["anthropic"], indirect=True)
async def test_letters_that_anthropics_sdk_cannot_read_end_the_answer(
    vendor: Vendor, chat: LangChainChat, emulator: Emulator
) -> None:
    emulator.fault(vendor.route, "badutf8", after=2)
    with pytest.raises(UpstreamError) as raised:
        await pieces(chat)
    assert raised.value.kind == "garbage"


@pytest.mark.parametrize("kind", ["echo_key", "401", "notjson", "rst"])
@every_vendor
async def test_the_key_is_in_no_error_and_in_no_log(
    vendor: Vendor, chat: LangChainChat, emulator: Emulator, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    caplog.set_level(0)
    emulator.fault(vendor.route, kind)
    with pytest.raises(UpstreamError) as raised:
        await pieces(chat)
    assert VENDOR_KEY not in "".join(traceback.format_exception(raised.value)) + caplog.text


@every_vendor
async def test_the_cause_is_short_whatever_the_vendor_says(
    vendor: Vendor, chat: LangChainChat, emulator: Emulator
) -> None:
    emulator.fault(vendor.route, "longjson")
    with pytest.raises(UpstreamError) as raised:
        await pieces(chat)
    assert len(str(raised.value.__cause__)) < 500
