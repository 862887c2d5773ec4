"""Anthropic over langchain-anthropic: chat, and counting tokens.

The SDK's client is one of ours (`bounded_http2`), for the reasons that `gemini` has.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import httpx2
from anthropic import APIConnectionError, APIError, APIStatusError, APITimeoutError, AsyncAnthropic, omit
from langchain_anthropic import ChatAnthropic
from pydantic import SecretStr

from agent_service.errors import Kind, UpstreamError
from agent_service.ports import Prompt
from agent_service.providers.bounded_http2 import bounded_client
from agent_service.providers.langchain_chat import LangChainChat
from agent_service.providers.vendor_faults import VendorFault, kind_of, seconds_to_wait
from agent_service.settings import Settings

PROVIDER = "anthropic"
OWN_URL = "https://api.anthropic.com"
CONTEXT_TOKENS = 200_000
"""For models that LangChain does not know; every Claude since 3 reads as much."""

HOTTEST = 1.0

FINISHED = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "safety",
}

_TOLD: dict[str, Kind] = {
    "invalid_request_error": "rejected",
    "authentication_error": "unauthorised",
    "permission_error": "unauthorised",
    "not_found_error": "rejected",
    "request_too_large": "rejected",
    "rate_limit_error": "rate_limited",
    "timeout_error": "timeout",
}
"""Errors in mid-stream, where the status was a success already; any other says that the vendor is in trouble."""

_UNREADABLE = (ValueError, TypeError, AttributeError, LookupError, RecursionError, httpx2.DecodingError)
_FAILURES = (APIError, httpx2.HTTPError, httpx2.StreamError, TimeoutError, *_UNREADABLE)


class AnthropicChat(LangChainChat):
    finished = FINISHED
    reason_key = "stop_reason"
    asks_for_tools = "tool_use"
    no_more_tools = {"type": "none"}

    def __init__(self, settings: Settings, model: str, context_tokens: int | None = None) -> None:
        http = bounded_client(
            connect_seconds=settings.model_connect_seconds,
            read_seconds=max(settings.model_first_byte_seconds, settings.model_idle_seconds),
        )
        url = settings.anthropic_base_url or OWN_URL
        key = settings.anthropic_api_key
        llm = ChatAnthropic(model=model, api_key=key, base_url=url, max_retries=0)
        self._client = AsyncAnthropic(
            api_key=key.get_secret_value(), auth_token=None, base_url=url, max_retries=0, http_client=http
        )
        vars(llm)["_async_client"] = self._client  # where LangChain would keep the one it makes at its first call
        profile = llm.profile or {}
        known = context_tokens or profile.get("max_input_tokens") or CONTEXT_TOKENS
        super().__init__(f"{PROVIDER}:{model}", llm, http, int(known))
        self._key = key
        self._model = model
        self._sets_temperature = bool(profile.get("temperature", True))

    def arguments(self, prompt: Prompt) -> dict[str, Any]:
        warmth = {"temperature": min(prompt.temperature, HOTTEST)} if self._sets_temperature else {}
        return {**warmth, "max_tokens": prompt.max_output_tokens}

    def translated(self, *, begun: bool = False) -> AbstractContextManager[None]:
        return _translated(self.id, self._key, begun=begun)

    async def count_tokens(self, prompt: Prompt) -> int:
        turns: list[Any] = [{"role": turn.role, "content": turn.text} for turn in prompt.history if turn.text]
        turns.append({"role": "user", "content": prompt.message})
        system: Any = prompt.system or omit
        with self.translated():
            counted = await self._client.messages.count_tokens(model=self._model, messages=turns, system=system)
            return int(counted.input_tokens)


@contextmanager
def _translated(upstream: str, key: SecretStr, *, begun: bool) -> Iterator[None]:
    try:
        yield
    except _FAILURES as error:
        raise _upstream_error(_root(error), upstream, begun=begun) from VendorFault(error, [key])


def _root(error: Exception) -> Exception:
    """What happened to the connection, which the SDK keeps as its error's cause, and LangChain as that one's."""
    while isinstance(error, APIConnectionError) and isinstance(error.__cause__, Exception):
        error = error.__cause__
    return error


def _upstream_error(error: Exception, upstream: str, *, begun: bool) -> UpstreamError:
    if isinstance(error, APIStatusError):
        return _refusal(error, upstream)
    if isinstance(error, TimeoutError | httpx2.TimeoutException | APITimeoutError):
        return UpstreamError("timeout", upstream)
    if isinstance(error, _UNREADABLE):
        return UpstreamError("garbage", upstream)
    return UpstreamError("incomplete" if begun else "unreachable", upstream)


def _refusal(error: APIStatusError, upstream: str) -> UpstreamError:
    if error.status_code < 300:
        body = error.body if isinstance(error.body, dict) else {}
        told = body.get("error")
        kind = str(told.get("type")) if isinstance(told, dict) else ""
        return UpstreamError(_TOLD.get(kind, "unavailable"), upstream)
    wait = seconds_to_wait(error.response.headers.get("retry-after"))
    return UpstreamError(kind_of(error.status_code), upstream, status=error.status_code, retry_after=wait)
