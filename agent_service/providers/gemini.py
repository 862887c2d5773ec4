"""Gemini over langchain-google-genai: chat and embeddings.

The SDK's own client is replaced by one of ours (`bounded_http`), because its embeddings know no time limit, its
default async client changes with what else is installed, it follows redirects with the key, and a stream that is left
keeps its connection until the garbage collector comes by.
"""

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import httpx
from google import genai
from google.genai.errors import APIError
from google.genai.types import HttpOptions, HttpRetryOptions
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage, SystemMessage
from langchain_google_genai import ChatGoogleGenerativeAI, GoogleGenerativeAIEmbeddings
from langchain_google_genai._common import GoogleGenerativeAIError

from agent_service.contract import Turn, Usage
from agent_service.errors import Detail, EmbeddingInvalid, UpstreamError
from agent_service.pipeline.tokens import estimated_usage
from agent_service.ports import Embedded, Piece, Prompt, Vector
from agent_service.providers.batches import few_at_a_time
from agent_service.providers.bounded_http import Held, bounded_client, holding, trusted_roots
from agent_service.providers.vendor_faults import VendorFault, kind_of, seconds_to_wait
from agent_service.settings import Settings

PROVIDER = "google"
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


class GeminiChat:
    """One try per call; retries and deadlines of the whole call are the pipeline's."""

    def __init__(self, settings: Settings, model: str) -> None:
        self.id = f"{PROVIDER}:{model}"
        self._settings = settings
        self._http = bounded_client(
            connect_seconds=settings.model_connect_seconds,
            read_seconds=max(settings.model_first_byte_seconds, settings.model_idle_seconds),
        )
        self._llm = ChatGoogleGenerativeAI(
            model=model,
            google_api_key=settings.google_api_key,
            vertexai=False,
            client_args=_tls(),
            max_retries=1,
            timeout=settings.model_total_seconds,
        )
        self._llm.client = _client(settings, self._http)
        self.context_tokens = int((self._llm.profile or {}).get("max_input_tokens") or CONTEXT_TOKENS)

    async def stream(self, prompt: Prompt) -> AsyncGenerator[Piece, None]:
        held, ending = Held(), _Ending(self.id)
        chunks = self._llm.astream(
            _messages(prompt), temperature=prompt.temperature, max_output_tokens=prompt.max_output_tokens
        )
        try:
            while chunk := await self._next(chunks, held, ending):
                ending.note(chunk)
                text = str(chunk.text)
                if text:
                    yield Piece(text=text)
            if ending.worth_telling:
                yield Piece(finish_reason=ending.reason, usage=ending.usage)
        finally:
            await held.aclose()

    async def aclose(self) -> None:
        await self._http.aclose()

    async def _next(self, chunks: Any, held: Held, ending: "_Ending") -> AIMessageChunk | None:
        with holding(held), _translated(self.id, self._settings, begun=ending.begun):
            chunk: AIMessageChunk | None = await anext(chunks, None)
            return chunk


class GeminiEmbedder:
    """Texts go in batches, a few at a time. Gemini does not say how many tokens they were: usage is estimated."""

    def __init__(self, settings: Settings, model: str, dimension: int) -> None:
        self.id = f"{PROVIDER}:{model}:{dimension}"
        self.dimension = dimension
        self._model_id = f"{PROVIDER}:{model}"
        self._settings = settings
        self._http = bounded_client(
            connect_seconds=settings.embedding_connect_seconds, read_seconds=settings.embedding_store_seconds
        )
        self._embeddings = GoogleGenerativeAIEmbeddings(
            model=model,
            google_api_key=settings.google_api_key,
            vertexai=False,
            client_args=_tls(),
            output_dimensionality=dimension,
        )
        self._embeddings.client = _client(settings, self._http)

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
        await self._http.aclose()

    async def _embed(self, batch: Sequence[str]) -> list[Vector]:
        """Checks the count here, where a missing vector would shift those of the next batch into its place."""
        with _translated(self.id, self._settings):
            vectors = await self._embeddings.aembed_documents(list(batch))
        if len(vectors) != len(batch):
            counts: dict[str, Detail] = {"wanted": len(batch), "got": len(vectors)}
            raise EmbeddingInvalid(details={"embedding": self.id, "reason": "count", **counts})
        return vectors


class _Ending:
    """What is known about the end of a stream so far."""

    def __init__(self, model_id: str) -> None:
        self._model_id = model_id
        self._input = self._output = 0
        self._counted = False
        self.begun = False
        self.reason: str | None = None

    def note(self, chunk: AIMessageChunk) -> None:
        self.begun = True
        metadata = chunk.response_metadata
        reason = metadata.get("finish_reason")
        if reason is not None:
            self.reason = FINISHED.get(str(reason))
        elif (metadata.get("prompt_feedback") or {}).get("block_reason"):
            self.reason = "safety"
        usage = chunk.usage_metadata
        if usage is not None:
            # The SDK has turned the vendor's running totals into differences, which may well be negative.
            self._counted = True
            self._input += usage["input_tokens"]
            self._output += usage["output_tokens"]

    @property
    def worth_telling(self) -> bool:
        return self.reason is not None or self._counted

    @property
    def usage(self) -> Usage | None:
        """None where the vendor did not say, or said something that cannot be."""
        if not self._counted or self._input < 0 or self._output < 0:
            return None
        model = self._model_id.partition(":")[2]
        return Usage(provider=PROVIDER, model=model, input_tokens=self._input, output_tokens=self._output)


def _client(settings: Settings, http: httpx.AsyncClient) -> genai.Client:
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


def _messages(prompt: Prompt) -> list[BaseMessage]:
    history = [_message(turn) for turn in prompt.history]
    return [SystemMessage(prompt.system), *history, HumanMessage(prompt.message)]


def _message(turn: Turn) -> BaseMessage:
    return HumanMessage(turn.text) if turn.role == "user" else AIMessage(turn.text)


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
