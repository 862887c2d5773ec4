"""The chat adapters: the real LangChain packages over HTTP against the emulators, every vendor alike."""

import base64
from dataclasses import replace

import pytest

from agent_service.contract import Image, Turn
from agent_service.ports import TokenCounter
from agent_service.providers.langchain_chat import LangChainChat
from tests.agent_service.vendors import (
    ANTHROPIC,
    ENDPOINT,
    GEMINI,
    MESSAGE,
    OPENAI,
    VENDOR_KEY,
    VENDORS,
    Vendor,
    pieces,
    prompt,
    text_of,
)
from tests.emulators.emulator import Emulator
from tests.emulators.openai import OpenAIEmulator
from tests.emulators.server import Running
from tests.emulators.speaking import FAKE_SSE, XSS

every_vendor = pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.name, indirect=True)


@every_vendor
async def test_an_answer_comes_in_pieces_and_ends_with_reason_and_usage(chat: LangChainChat, vendor: Vendor) -> None:
    given = await pieces(chat)
    assert text_of(given) == "The dog weighs 12 kg. [2]"
    assert len([piece for piece in given if piece.text]) > 1
    assert [piece.finish_reason for piece in given if piece.finish_reason] == ["stop"]
    usage = given[-1].usage
    assert usage is not None
    assert (f"{usage.provider}:{usage.model}", usage.estimated) == (vendor.id, False)
    assert usage.input_tokens == len(MESSAGE) // 4
    assert usage.output_tokens > 0


@every_vendor
async def test_the_model_says_what_it_is(chat: LangChainChat, vendor: Vendor) -> None:
    assert (chat.id, chat.context_tokens) == (vendor.id, vendor.context_tokens)


@pytest.mark.parametrize(("vendor", "tokens"), [(GEMINI, 131_072), (OPENAI, 8_192), (ANTHROPIC, 200_000)])
async def test_a_model_that_nobody_knows_has_a_cautious_context(vendor: Vendor, tokens: int) -> None:
    chat = vendor.chat("http://127.0.0.1:9", "unheard-of-99")
    assert chat.context_tokens == tokens
    await chat.aclose()


@every_vendor
async def test_everything_of_the_prompt_is_sent(chat: LangChainChat, emulator: Emulator, vendor: Vendor) -> None:
    history = (Turn(role="user", text="Hello"), Turn(role="assistant", text="Hi"))
    await pieces(chat, prompt(history=history, max_output_tokens=77))
    sent = vendor.sent(emulator.journal.of(vendor.route)[0].body)
    assert sent.turns == [("user", "Hello"), ("assistant", "Hi"), ("user", MESSAGE)]
    assert (sent.system, sent.temperature, sent.limit) == ("Be kind.", 0.3, 77)


@every_vendor
async def test_images_go_with_the_question(chat: LangChainChat, emulator: Emulator, vendor: Vendor) -> None:
    data = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(40)).decode()
    shown = replace(prompt(), images=[Image(media_type="image/png", data=data)])
    assert text_of(await pieces(chat, shown)).startswith("I see 1 images.")
    sent = vendor.sent(emulator.journal.of(vendor.route)[0].body)
    assert (sent.images, sent.turns[-1]) == ([("image/png", data)], ("user", MESSAGE))


@every_vendor
async def test_an_answer_at_its_token_limit_ends_for_length(chat: LangChainChat) -> None:
    assert (await pieces(chat, prompt(max_output_tokens=4)))[-1].finish_reason == "length"


@pytest.mark.parametrize(
    ("kind", "reason"), [("maxtok", "length"), ("safety", "safety"), ("blocked", "safety"), ("xss", "stop")]
)
@every_vendor
async def test_each_reason_to_finish_is_taken_over(
    chat: LangChainChat, emulator: Emulator, vendor: Vendor, kind: str, reason: str
) -> None:
    emulator.fault(vendor.route, kind)
    assert (await pieces(chat))[-1].finish_reason == reason


@pytest.mark.parametrize("kind", ["nofinish", "oddfinish"])
@every_vendor
async def test_a_stream_that_was_not_completed_ends_without_a_reason(
    chat: LangChainChat, emulator: Emulator, vendor: Vendor, kind: str
) -> None:
    emulator.fault(vendor.route, kind)
    assert [piece.finish_reason for piece in await pieces(chat) if piece.finish_reason] == []


@pytest.mark.parametrize("kind", ["nouse", "neguse"])
@every_vendor
async def test_usage_that_is_missing_or_negative_is_none(
    chat: LangChainChat, emulator: Emulator, vendor: Vendor, kind: str
) -> None:
    emulator.fault(vendor.route, kind)
    last = (await pieces(chat))[-1]
    assert (last.finish_reason, last.usage) == ("stop", None)


@pytest.mark.parametrize(("kind", "text"), [("fakesse", FAKE_SSE), ("xss", XSS)], ids=["fakesse", "xss"])
@every_vendor
async def test_text_that_looks_like_something_else_stays_text(
    chat: LangChainChat, emulator: Emulator, vendor: Vendor, kind: str, text: str
) -> None:
    emulator.fault(vendor.route, kind)
    assert text_of(await pieces(chat)) == text


@every_vendor
async def test_a_nul_does_not_end_the_stream(chat: LangChainChat, emulator: Emulator, vendor: Vendor) -> None:
    emulator.fault(vendor.route, "nul")
    assert "\x00" in text_of(await pieces(chat))


@pytest.mark.parametrize("vendor", [GEMINI, OPENAI], ids=lambda vendor: vendor.name, indirect=True)
async def test_letters_nobody_can_read_do_not_end_the_stream(
    chat: LangChainChat, emulator: Emulator, vendor: Vendor
) -> None:
    emulator.fault(vendor.route, "badutf8", after=1)
    assert "�" in text_of(await pieces(chat))


@every_vendor
async def test_connections_are_used_again(chat: LangChainChat, emulator: Emulator) -> None:
    for _ in range(5):
        await pieces(chat)
    assert emulator.journal.connections == 1


@pytest.mark.parametrize("vendor", [GEMINI, ANTHROPIC], ids=lambda vendor: vendor.name, indirect=True)
async def test_a_vendor_that_counts_tokens_is_asked(chat: LangChainChat, emulator: Emulator) -> None:
    assert isinstance(chat, TokenCounter)
    history = (Turn(role="user", text="Hello there, you"), Turn(role="assistant", text="Hi, good day"))
    assert await chat.count_tokens(prompt(history=history)) > len(MESSAGE) // 4
    [call] = emulator.journal.calls
    assert "count" in call.route.lower()


async def test_openai_has_no_count_to_be_asked_for() -> None:
    chat = OPENAI.chat("http://127.0.0.1:9")
    assert not isinstance(chat, TokenCounter)
    await chat.aclose()


@pytest.mark.parametrize(
    ("vendor", "model", "temperature"),
    [(OPENAI, "gpt-5-mini", None), (OPENAI, "gpt-4.1-mini", 1.7), (ANTHROPIC, "claude-haiku-4-5", 1.0)],
    indirect=["vendor"],
    ids=["refused by models that think", "kept", "at most 1"],
)
async def test_the_temperature_is_one_that_the_model_takes(
    vendor: Vendor, running: Running[Emulator], emulator: Emulator, model: str, temperature: float | None
) -> None:
    chat = vendor.chat(running.url, model)
    await pieces(chat, replace(prompt(), temperature=1.7))
    assert vendor.sent(emulator.journal.calls[0].body).temperature == temperature
    await chat.aclose()


@pytest.mark.parametrize("vendor", [ENDPOINT], ids=["endpoint"], indirect=True)
async def test_a_relative_is_asked_in_the_older_words(chat: LangChainChat, emulator: Emulator) -> None:
    await pieces(chat)
    body = emulator.journal.calls[0].body
    assert body["max_tokens"] == 500
    assert "max_completion_tokens" not in body
    assert body["stream_options"] == {"include_usage": True}


async def test_an_endpoint_without_a_key_is_sent_none() -> None:
    with Running(OpenAIEmulator()) as server:
        endpoint = {"name": "ollama", "url": f"{server.url}/v1"}
        chat = ENDPOINT.chat(server.url, openai_endpoints=[endpoint])
        assert (await pieces(chat))[-1].finish_reason == "stop"
        assert not server.emulator.journal.calls[0].has_key
        await chat.aclose()


@every_vendor
async def test_the_key_is_sent_and_shown_nowhere(chat: LangChainChat, emulator: Emulator) -> None:
    await pieces(chat)
    assert emulator.journal.calls[0].has_key
    assert VENDOR_KEY not in repr(chat) + repr(vars(chat))
