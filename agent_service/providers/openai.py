"""OpenAI, and every server that speaks its protocol (Ollama, vLLM, LM Studio), over langchain-openai: chat and
embeddings.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import SecretStr

from agent_service.contract import Usage
from agent_service.errors import Detail, EmbeddingInvalid, UpstreamError
from agent_service.pipeline.tokens import estimated_usage, split_model
from agent_service.ports import Embedded, Prompt, Vector
from agent_service.providers.batches import few_at_a_time
from agent_service.providers.bounded_http2 import BoundedTransport
from agent_service.providers.langchain_chat import LangChainChat
from agent_service.providers.openai_wire import Completions, Embeddings, Refused, Wire, told_tokens
from agent_service.providers.vendor_faults import VendorFault, kind_of, seconds_to_wait
from agent_service.settings import Endpoint, Settings

PROVIDER = "openai"
OWN_URL = "https://api.openai.com/v1"
CONTEXT_TOKENS = 8_192
"""For models that LangChain does not know and the catalogue does not describe: what a local server often has."""

BATCH_TEXTS = 64
BATCHES_IN_FLIGHT = 4
SHORTENED = "text-embedding-3"
"""The models whose vectors can be asked for in any dimension."""

_UNREADABLE = (ValueError, TypeError, AttributeError, LookupError, RecursionError, httpx2.DecodingError)
_FAILURES = (Refused, httpx2.HTTPError, httpx2.StreamError, TimeoutError, *_UNREADABLE)


@dataclass(frozen=True, slots=True)
class Server:
    """Where to call and with what. `relative`: not OpenAI's own service."""

    provider: str
    url: str
    key: SecretStr
    relative: bool

    @classmethod
    def own(cls, settings: Settings) -> "Server":
        return cls(PROVIDER, settings.openai_base_url or OWN_URL, settings.openai_api_key, relative=False)

    @classmethod
    def of(cls, endpoint: Endpoint) -> "Server":
        return cls(endpoint.name, endpoint.url, endpoint.key, relative=True)


class OpenAIChat(LangChainChat):
    finished = {"stop": "stop", "length": "length", "content_filter": "safety"}

    def __init__(self, settings: Settings, server: Server, model: str, context_tokens: int | None = None) -> None:
        http = BoundedTransport(
            connect_seconds=settings.model_connect_seconds,
            read_seconds=max(settings.model_first_byte_seconds, settings.model_idle_seconds),
        )
        wire = Wire(http, server.url, server.key.get_secret_value(), relative=server.relative)
        llm = ChatOpenAI(
            model=model,
            api_key=SecretStr("in the wire"),
            base_url=server.url,
            client=object(),  # the synchronous one, which is never called
            async_client=Completions(wire),
            use_responses_api=False,
            stream_usage=True,
            stream_chunk_timeout=None,
            max_retries=0,
        )
        profile = llm.profile or {}
        known = context_tokens or profile.get("max_input_tokens") or CONTEXT_TOKENS
        super().__init__(f"{server.provider}:{model}", llm, http, int(known))
        self._key = server.key
        self._sets_temperature = bool(profile.get("temperature", True))

    def arguments(self, prompt: Prompt) -> dict[str, Any]:
        """Models that think first refuse a temperature."""
        warmth = {"temperature": prompt.temperature} if self._sets_temperature else {}
        return {**warmth, "max_tokens": prompt.max_output_tokens}

    def translated(self, *, begun: bool = False) -> AbstractContextManager[None]:
        return _translated(self.id, self._key, begun=begun)


class OpenAIEmbedder:
    """Texts go in batches, a few at a time."""

    def __init__(self, settings: Settings, server: Server, model: str, dimension: int) -> None:
        self.id = f"{server.provider}:{model}:{dimension}"
        self.dimension = dimension
        self._model_id = f"{server.provider}:{model}"
        self._key = server.key
        self._http = BoundedTransport(
            connect_seconds=settings.embedding_connect_seconds, read_seconds=settings.embedding_store_seconds
        )
        wire = Wire(self._http, server.url, server.key.get_secret_value(), relative=server.relative)
        self._embeddings = OpenAIEmbeddings(
            model=model,
            dimensions=dimension if model.startswith(SHORTENED) else None,
            openai_api_key=SecretStr("in the wire"),
            openai_api_base=server.url,
            client=object(),
            async_client=Embeddings(wire),
            check_embedding_ctx_length=False,  # it would download a tokenizer, and send numbers that only OpenAI knows
            chunk_size=BATCH_TEXTS,
        )

    async def embed_documents(self, texts: Sequence[str]) -> Embedded:
        parts = await few_at_a_time(self._embed, texts, size=BATCH_TEXTS, limit=BATCHES_IN_FLIGHT)
        vectors = [vector for part, _ in parts for vector in part]
        return Embedded(vectors, self._usage([told for _, told in parts], texts))

    async def embed_query(self, text: str) -> Embedded:
        return await self.embed_documents([text])

    def lexical_share(self, language: str) -> float:  # noqa: ARG002 - OpenAI's know all of them, others we cannot know
        return 0.4

    async def aclose(self) -> None:
        await self._http.aclose()

    async def _embed(self, batch: Sequence[str]) -> tuple[list[Vector], int | None]:
        """Checks the count here, where a missing vector would shift those of the next batch into its place."""
        told: list[int] = []
        told_tokens.set(told)  # each batch runs in a task, and so in a context, of its own
        with _translated(self.id, self._key):
            vectors = await self._embeddings.aembed_documents(list(batch))
        if len(vectors) != len(batch):
            counts: dict[str, Detail] = {"wanted": len(batch), "got": len(vectors)}
            raise EmbeddingInvalid(details={"embedding": self.id, "reason": "count", **counts})
        return vectors, told[0] if told else None

    def _usage(self, told: Sequence[int | None], texts: Sequence[str]) -> Usage:
        counted = [tokens for tokens in told if tokens is not None]
        if not counted or len(counted) < len(told):
            return estimated_usage(self._model_id, "".join(texts))
        provider, model = split_model(self._model_id)
        return Usage(provider=provider, model=model, input_tokens=sum(counted), output_tokens=0)


@contextmanager
def _translated(upstream: str, key: SecretStr, *, begun: bool = False) -> Iterator[None]:
    try:
        yield
    except _FAILURES as error:
        raise _upstream_error(error, upstream, begun=begun) from VendorFault(error, [key])


def _upstream_error(error: Exception, upstream: str, *, begun: bool) -> UpstreamError:
    if isinstance(error, Refused):
        wait = seconds_to_wait(error.retry_after)
        return UpstreamError(kind_of(error.status), upstream, status=error.shown, retry_after=wait)
    if isinstance(error, TimeoutError | httpx2.TimeoutException):
        return UpstreamError("timeout", upstream)
    if isinstance(error, _UNREADABLE):
        return UpstreamError("garbage", upstream)
    return UpstreamError("incomplete" if begun else "unreachable", upstream)
