"""The vendors of chat models, each with its emulator and whatever is different about it; everything else is tested for
all of them alike.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from agent_service.contract import Turn
from agent_service.pipeline.prompting import question_with_passages
from agent_service.ports import Piece, Prompt
from agent_service.providers.anthropic import AnthropicChat
from agent_service.providers.gemini import GeminiChat
from agent_service.providers.langchain_chat import LangChainChat
from agent_service.providers.openai import OpenAIChat, Server
from agent_service.settings import Endpoint, Settings
from tests.agent_service.calls import SERVICE_KEY
from tests.agent_service.knowledge import PASSAGES
from tests.emulators.anthropic import AnthropicEmulator
from tests.emulators.emulator import Emulator
from tests.emulators.gemini import GeminiEmulator
from tests.emulators.openai import OpenAIEmulator

VENDOR_KEY = "canary-key-5f0c9b7e1d"
MESSAGE = question_with_passages("How much does the dog weigh?", PASSAGES)
WAITS = {"model_connect_seconds": 1.0, "model_first_byte_seconds": 0.5, "model_idle_seconds": 0.5}


@dataclass(frozen=True)
class Sent:
    """What of a prompt arrived at the vendor, in words that they share."""

    system: str
    turns: list[tuple[str, str]]
    temperature: float | None
    limit: int
    images: list[tuple[str, str]]


@dataclass(frozen=True)
class Vendor:
    """`route` is the emulator's for a streamed answer; `kinds` what some faults are taken for, where that differs."""

    name: str
    id: str
    context_tokens: int
    emulator: Callable[[], Emulator]
    route: str
    settings: Callable[[str], Mapping[str, Any]]
    make: Callable[[Settings, str], LangChainChat]
    sent: Callable[[dict[str, Any]], Sent]
    kinds: Mapping[str, tuple[str, int | None]] = field(default_factory=dict)
    strict_letters: bool = False
    """Answers that are not UTF-8 are refused, and not shown with marks."""

    def configured(self, url: str, **changes: Any) -> Settings:
        values = {"service_key": SERVICE_KEY, "database_url": "postgresql://nowhere", **WAITS, **self.settings(url)}
        return Settings(_env_file=None, **(values | changes))

    def chat(self, url: str, model: str = "", **changes: Any) -> LangChainChat:
        return self.make(self.configured(url, **changes), model or self.id.partition(":")[2])


def prompt(message: str = MESSAGE, history: tuple[Turn, ...] = (), max_output_tokens: int = 500) -> Prompt:
    return Prompt("Be kind.", history, message, "", (), temperature=0.3, max_output_tokens=max_output_tokens)


async def pieces(chat: LangChainChat, asked: Prompt | None = None) -> list[Piece]:
    return [piece async for piece in chat.stream(asked or prompt())]


def text_of(given: list[Piece]) -> str:
    return "".join(piece.text for piece in given)


def _gemini_sent(body: dict[str, Any]) -> Sent:
    contents = body["contents"]
    parts = [part for content in contents for part in content["parts"]]
    config = body["generationConfig"]
    return Sent(
        system="".join(part["text"] for part in body["systemInstruction"]["parts"]),
        turns=[
            (content["role"].replace("model", "assistant"), "".join(part.get("text", "") for part in content["parts"]))
            for content in contents
        ],
        temperature=config["temperature"],
        limit=config["maxOutputTokens"],
        images=[_inline(part["inlineData"]) for part in parts if "inlineData" in part],
    )


def _inline(data: dict[str, str]) -> tuple[str, str]:
    """Google takes field names in either spelling, and base64 in either alphabet."""
    kind = data.get("mimeType") or data["mime_type"]
    return kind, data["data"].replace("-", "+").replace("_", "/")


def _openai_sent(body: dict[str, Any]) -> Sent:
    first, *others = body["messages"]
    parts = [part for message in others if isinstance(message["content"], list) for part in message["content"]]
    addresses = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
    return Sent(
        system=first["content"],
        turns=[(message["role"], _joined(message["content"])) for message in others],
        temperature=body.get("temperature"),
        limit=body.get("max_completion_tokens") or body["max_tokens"],
        images=[(url.removeprefix("data:").split(";")[0], url.partition(",")[2]) for url in addresses],
    )


def _anthropic_sent(body: dict[str, Any]) -> Sent:
    contents = [message["content"] for message in body["messages"]]
    parts = [part for content in contents if isinstance(content, list) for part in content]
    sources = [part["source"] for part in parts if part["type"] == "image"]
    return Sent(
        system=_joined(body["system"]),
        turns=[(message["role"], _joined(message["content"])) for message in body["messages"]],
        temperature=body.get("temperature"),
        limit=body["max_tokens"],
        images=[(source["media_type"], source["data"]) for source in sources],
    )


def _joined(content: str | list[dict[str, Any]]) -> str:
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


def _endpoint_of(settings: Settings) -> Endpoint:
    return settings.openai_endpoints[0]


IN_MID_STREAM: dict[str, tuple[str, int | None]] = {
    "err_first": ("unavailable", None),
    "err_mid": ("unavailable", None),
}

GEMINI = Vendor(
    name="gemini",
    id="google:gemini-2.5-flash",
    context_tokens=1_048_576,
    emulator=lambda: GeminiEmulator(VENDOR_KEY),
    route="streamGenerateContent",
    settings=lambda url: {"google_api_key": VENDOR_KEY, "google_base_url": url},
    make=GeminiChat,
    sent=_gemini_sent,
)
OPENAI = Vendor(
    name="openai",
    id="openai:gpt-4.1-mini",
    context_tokens=1_047_576,
    emulator=lambda: OpenAIEmulator(VENDOR_KEY),
    route="chat",
    settings=lambda url: {"openai_api_key": VENDOR_KEY, "openai_base_url": f"{url}/v1"},
    make=lambda settings, model: OpenAIChat(settings, Server.own(settings), model),
    sent=_openai_sent,
    kinds=IN_MID_STREAM,
)
ENDPOINT = Vendor(
    name="endpoint",
    id="ollama:llama3.2",
    context_tokens=8_192,
    emulator=lambda: OpenAIEmulator(VENDOR_KEY),
    route="chat",
    settings=lambda url: {"openai_endpoints": [{"name": "ollama", "url": f"{url}/v1", "key": VENDOR_KEY}]},
    make=lambda settings, model: OpenAIChat(settings, Server.of(_endpoint_of(settings)), model),
    sent=_openai_sent,
    kinds=IN_MID_STREAM,
)
ANTHROPIC = Vendor(
    name="anthropic",
    id="anthropic:claude-haiku-4-5",
    context_tokens=200_000,
    emulator=lambda: AnthropicEmulator(VENDOR_KEY),
    route="messages",
    settings=lambda url: {"anthropic_api_key": VENDOR_KEY, "anthropic_base_url": url},
    make=AnthropicChat,
    sent=_anthropic_sent,
    kinds=IN_MID_STREAM,
    strict_letters=True,
)
VENDORS = (GEMINI, OPENAI, ENDPOINT, ANTHROPIC)
