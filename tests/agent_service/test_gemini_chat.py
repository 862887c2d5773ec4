"""The chat adapter: the real SDK over HTTP against the emulator."""

from collections.abc import AsyncIterator, Callable
from uuid import uuid4

import pytest

from agent_service.contract import Passage, Turn
from agent_service.pipeline.prompting import question_with_passages
from agent_service.ports import Piece, Prompt
from agent_service.providers.gemini import GeminiChat
from agent_service.settings import Settings
from tests.emulators.gemini import FAKE_SSE, XSS, GeminiEmulator

STREAM = "streamGenerateContent"
PASSAGES = [
    Passage(id=uuid4(), title="Cats", text="The cat is black and sleeps all day."),
    Passage(id=uuid4(), title="Dogs", page=3, text="The dog weighs 12 kg. It likes bones."),
]
MESSAGE = question_with_passages("How much does the dog weigh?", PASSAGES)


def prompt(message: str = MESSAGE, history: tuple[Turn, ...] = (), max_output_tokens: int = 500) -> Prompt:
    return Prompt("Be kind.", history, message, "", (), temperature=0.3, max_output_tokens=max_output_tokens)


@pytest.fixture
async def chat(vendor_settings: Callable[..., Settings], gemini: GeminiEmulator) -> AsyncIterator[GeminiChat]:
    chat = GeminiChat(vendor_settings(), "gemini-2.5-flash")
    yield chat
    await chat.aclose()


async def pieces(chat: GeminiChat, asked: Prompt | None = None) -> list[Piece]:
    return [piece async for piece in chat.stream(asked or prompt())]


def text_of(given: list[Piece]) -> str:
    return "".join(piece.text for piece in given)


async def test_an_answer_comes_in_pieces_and_ends_with_reason_and_usage(chat: GeminiChat) -> None:
    given = await pieces(chat)
    assert text_of(given) == "The dog weighs 12 kg. [2]"
    assert len([piece for piece in given if piece.text]) > 1
    assert [piece.finish_reason for piece in given if piece.finish_reason] == ["stop"]
    usage = given[-1].usage
    assert usage is not None
    assert (usage.provider, usage.model, usage.estimated) == ("google", "gemini-2.5-flash", False)
    assert usage.input_tokens == len(MESSAGE) // 4
    assert usage.output_tokens > 0


async def test_the_model_says_what_it_is(chat: GeminiChat) -> None:
    assert chat.id == "google:gemini-2.5-flash"
    assert chat.context_tokens == 1_048_576


async def test_a_model_unknown_to_the_sdk_has_a_cautious_context(vendor_settings: Callable[..., Settings]) -> None:
    assert GeminiChat(vendor_settings(), "gemini-99-unheard-of").context_tokens == 131_072


async def test_everything_of_the_prompt_is_sent(chat: GeminiChat, gemini: GeminiEmulator) -> None:
    history = (Turn(role="user", text="Hello"), Turn(role="assistant", text="Hi"))
    await pieces(chat, prompt(history=history, max_output_tokens=77))
    call = gemini.journal.of(STREAM)[0]
    assert call.body["systemInstruction"]["parts"] == [{"text": "Be kind."}]
    assert [content["role"] for content in call.body["contents"]] == ["user", "model", "user"]
    assert call.body["contents"][2]["parts"] == [{"text": MESSAGE}]
    assert call.body["generationConfig"] == {"temperature": 0.3, "maxOutputTokens": 77, "candidateCount": 1}
    assert call.query == "alt=sse"


async def test_an_answer_at_its_token_limit_ends_for_length(chat: GeminiChat) -> None:
    assert (await pieces(chat, prompt(max_output_tokens=4)))[-1].finish_reason == "length"


@pytest.mark.parametrize(
    ("kind", "reason"), [("maxtok", "length"), ("safety", "safety"), ("blocked", "safety"), ("xss", "stop")]
)
async def test_each_reason_to_finish_is_taken_over(
    chat: GeminiChat, gemini: GeminiEmulator, kind: str, reason: str
) -> None:
    gemini.fault(STREAM, kind)
    assert (await pieces(chat))[-1].finish_reason == reason


@pytest.mark.parametrize("kind", ["nofinish", "oddfinish", "wrongshape"])
async def test_a_stream_that_was_not_completed_ends_without_a_reason(
    chat: GeminiChat, gemini: GeminiEmulator, kind: str
) -> None:
    gemini.fault(STREAM, kind)
    assert [piece.finish_reason for piece in await pieces(chat) if piece.finish_reason] == []


@pytest.mark.parametrize("kind", ["nouse", "neguse"])
async def test_usage_that_is_missing_or_negative_is_none(chat: GeminiChat, gemini: GeminiEmulator, kind: str) -> None:
    gemini.fault(STREAM, kind)
    last = (await pieces(chat))[-1]
    assert (last.finish_reason, last.usage) == ("stop", None)


@pytest.mark.parametrize(("kind", "text"), [("fakesse", FAKE_SSE), ("xss", XSS)])
async def test_text_that_looks_like_something_else_stays_text(
    chat: GeminiChat, gemini: GeminiEmulator, kind: str, text: str
) -> None:
    gemini.fault(STREAM, kind)
    assert text_of(await pieces(chat)) == text


async def test_characters_nobody_can_read_do_not_end_the_stream(chat: GeminiChat, gemini: GeminiEmulator) -> None:
    gemini.fault(STREAM, "badutf8", after=1, times=1)
    assert "�" in text_of(await pieces(chat))
    gemini.fault(STREAM, "nul", times=1)
    assert "\x00" in text_of(await pieces(chat))


async def test_connections_are_used_again(chat: GeminiChat, gemini: GeminiEmulator) -> None:
    for _ in range(5):
        await pieces(chat)
    assert gemini.journal.connections == 1
