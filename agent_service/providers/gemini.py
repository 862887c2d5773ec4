"""Gemini over langchain-google-genai: chat and embeddings.

Below it is a wire of ours (`gemini_wire`) in the place of Google's SDK, whose embeddings know no time limit, which
follows redirects with the key, and whose streams, when left, keep their connection until the garbage collector comes
by. The SDK itself only counts tokens, over a client of ours (`bounded_http`).
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import httpx
from google import genai
from google.genai.errors import APIError
from google.genai.types import HttpOptions, HttpRetryOptions
from langchain_core.messages import BaseMessage
from langchain_google_genai import ChatGoogleGenerativeAI, GoogleGenerativeAIEmbeddings
from langchain_google_genai._common import GoogleGenerativeAIError

from agent_service.errors import Detail, EmbeddingInvalid, UpstreamError
from agent_service.pipeline.tokens import estimated_usage
from agent_service.ports import Embedded, Prompt, Vector
from agent_service.providers.batches import few_at_a_time
from agent_service.providers.bounded_http import BoundedTransport, client_over, trusted_roots
from agent_service.providers.gemini_wire import Models
from agent_service.providers.langchain_chat import LangChainChat, messages_of
from agent_service.providers.vendor_faults import VendorFault, kind_of, seconds_to_wait
from agent_service.settings import Settings

PROVIDER = "google"
OWN_URL = "https://generativelanguage.googleapis.com"
CONTEXT_TOKENS = 131_072
"""For models the SDK does not know; every Gemini since 1.5 reads more."""

BATCH_TEXTS = 32
BATCHES_IN_FLIGHT = 4

FINISHED = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "safety",
    "RECITATION": "safety",
    "BLOCKLIST": "safety",
    "PROHIBITED_CONTENT": "safety",
    "SPII": "safety",
}
"""Any other reason is an answer that was not completed: the stream ends without one."""

_UNREADABLE = (ValueError, TypeError, AttributeError, LookupError, httpx.DecodingError)
"""How the SDK fails on an answer that is not JSON, not UTF-8, of another shape, or empty."""

_FAILURES = (APIError, GoogleGenerativeAIError, httpx.HTTPError, TimeoutError, *_UNREADABLE)


_ROLES: Mapping[str, str] = {"user": "user", "assistant": "model"}


class _Gemini(ChatGoogleGenerativeAI):
    """`earlier` are turns as the wire has them: LangChain makes objects of them whose every field is checked, most of
    the CPU between a question in a long conversation and its first word, and the wire takes them apart again."""

    def _prepare_request(
        self, messages: list[BaseMessage], *, earlier: Sequence[Mapping[str, Any]] = (), **options: Any
    ) -> dict[str, Any]:
        request = super()._prepare_request(messages, **options)
        return {**request, "contents": [*earlier, *request["contents"]]}


class GeminiChat(LangChainChat):
    finished = FINISHED

    def __init__(self, settings: Settings, model: str, context_tokens: int | None = None) -> None:
        transport = BoundedTransport(
            connect_seconds=settings.model_connect_seconds,
            read_seconds=max(settings.model_first_byte_seconds, settings.model_idle_seconds),
        )
        llm = _Gemini(
            model=model,
            google_api_key=settings.google_api_key,
            vertexai=False,
            client_args=_tls(),
            max_retries=1,
            timeout=settings.model_total_seconds,
        )
        llm.client = _wire(settings, transport)
        known = context_tokens or (llm.profile or {}).get("max_input_tokens") or CONTEXT_TOKENS
        super().__init__(f"{PROVIDER}:{model}", llm, transport, int(known))
        self._settings = settings
        self._model = model
        self._models = _sdk(settings, client_over(transport)).aio.models

    def told(self, prompt: Prompt) -> tuple[list[BaseMessage], dict[str, Any]]:
        earlier = [{"role": _ROLES[turn.role], "parts": [{"text": turn.text}]} for turn in prompt.history if turn.text]
        return messages_of(replace(prompt, history=())), {**self.arguments(prompt), "earlier": earlier}

    def arguments(self, prompt: Prompt) -> dict[str, Any]:
        return {"temperature": prompt.temperature, "max_output_tokens": prompt.max_output_tokens}

    def translated(self, *, begun: bool = False) -> AbstractContextManager[None]:
        return _translated(self.id, self._settings, begun=begun)

    def blocked(self, metadata: Mapping[str, Any]) -> bool:
        return bool((metadata.get("prompt_feedback") or {}).get("block_reason"))

    async def count_tokens(self, prompt: Prompt) -> int:
        """The vendor's count takes no system instruction: it is counted as a text like the others."""
        texts = [text for text in (prompt.system, *(turn.text for turn in prompt.history), prompt.message) if text]
        with self.translated():
            counted = await self._models.count_tokens(model=self._model, contents=texts)
            if counted.total_tokens is None:
                raise ValueError("an answer without a count")
            return counted.total_tokens


class GeminiEmbedder:
    """Texts go in batches, a few at a time. Gemini does not say how many tokens they were: usage is estimated."""

    def __init__(self, settings: Settings, model: str, dimension: int) -> None:
        self.id = f"{PROVIDER}:{model}:{dimension}"
        self.dimension = dimension
        self._model_id = f"{PROVIDER}:{model}"
        self._settings = settings
        self._transport = BoundedTransport(
            connect_seconds=settings.embedding_connect_seconds, read_seconds=settings.embedding_store_seconds
        )
        self._embeddings = GoogleGenerativeAIEmbeddings(
            model=model,
            google_api_key=settings.google_api_key,
            vertexai=False,
            client_args=_tls(),
            output_dimensionality=dimension,
        )
        self._embeddings.client = _wire(settings, self._transport)

    async def embed_documents(self, texts: Sequence[str]) -> Embedded:
        parts = await few_at_a_time(self._embed, texts, size=BATCH_TEXTS, limit=BATCHES_IN_FLIGHT)
        vectors = [vector for part in parts for vector in part]
        return Embedded(vectors, estimated_usage(self._model_id, "".join(texts)))

    async def embed_query(self, text: str) -> Embedded:
        with _translated(self.id, self._settings):
            vector = await self._embeddings.aembed_query(text)
        return Embedded([vector], estimated_usage(self._model_id, text))

    def lexical_share(self, language: str) -> float:  # noqa: ARG002 - it knows all of them
        return 0.4

    async def aclose(self) -> None:
        await self._transport.aclose()

    async def _embed(self, batch: Sequence[str]) -> list[Vector]:
        """Checks the count here, where a missing vector would shift those of the next batch into its place."""
        with _translated(self.id, self._settings):
            vectors = await self._embeddings.aembed_documents(list(batch))
        if len(vectors) != len(batch):
            counts: dict[str, Detail] = {"wanted": len(batch), "got": len(vectors)}
            raise EmbeddingInvalid(details={"embedding": self.id, "reason": "count", **counts})
        return vectors


def _wire(settings: Settings, transport: BoundedTransport) -> Any:
    """All that LangChain asks of the SDK's client."""
    key = settings.google_api_key.get_secret_value()
    models = Models(transport, settings.google_base_url or OWN_URL, key)
    return SimpleNamespace(aio=SimpleNamespace(models=models))


def _sdk(settings: Settings, http: httpx.AsyncClient) -> genai.Client:
    options = HttpOptions(
        base_url=settings.google_base_url or None,
        httpx_async_client=http,
        client_args=_tls(),
        async_client_args=_tls(),
        retry_options=HttpRetryOptions(attempts=1),
    )
    return genai.Client(vertexai=False, api_key=settings.google_api_key.get_secret_value(), http_options=options)


def _tls() -> dict[str, Any]:
    """Under the names that the SDK's several HTTP clients look for."""
    return {"verify": trusted_roots(), "ssl": trusted_roots()}


@contextmanager
def _translated(upstream: str, settings: Settings, *, begun: bool = False) -> Iterator[None]:
    """Around one call of the SDK. `begun`: parts of the answer have come already."""
    try:
        yield
    except _FAILURES as error:
        fault = VendorFault(error, [settings.google_api_key])
        raise _upstream_error(_root(error), upstream, begun=begun) from fault


def _root(error: Exception) -> Exception:
    """The SDK wraps what happened in errors of its own, which keep it as their cause."""
    while isinstance(error, GoogleGenerativeAIError) and isinstance(error.__cause__, Exception):
        error = error.__cause__
    return error


def _upstream_error(error: Exception, upstream: str, *, begun: bool) -> UpstreamError:
    if isinstance(error, APIError):
        return _refusal(error, upstream)
    if isinstance(error, TimeoutError | httpx.TimeoutException):
        return UpstreamError("timeout", upstream)
    if isinstance(error, _UNREADABLE):
        return UpstreamError("garbage", upstream)
    return UpstreamError("incomplete" if begun else "unreachable", upstream)


def _refusal(error: APIError, upstream: str) -> UpstreamError:
    kind = kind_of(error.code)
    if kind == "rejected" and _detail(error, "reason") == "API_KEY_INVALID":
        kind = "unauthorised"
    return UpstreamError(kind, upstream, status=error.code, retry_after=_retry_after(error))


def _retry_after(error: APIError) -> float | None:
    """From the header, or from the RetryInfo that Google puts into the body (`"retryDelay": "7s"`)."""
    headers = getattr(error.response, "headers", None) or {}
    waited = seconds_to_wait(headers.get("retry-after"))
    delay = _detail(error, "retryDelay")
    return waited if waited is not None else seconds_to_wait(delay.removesuffix("s") if delay else None)


def _detail(error: APIError, name: str) -> str | None:
    """A field of one of the error body's `details`."""
    body: Any = error.details
    error_body = body.get("error") if isinstance(body, dict) else None
    details = error_body.get("details") if isinstance(error_body, dict) else None
    found = (detail.get(name) for detail in details or [] if isinstance(detail, dict))
    return next((value for value in found if isinstance(value, str)), None)
