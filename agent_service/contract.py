"""The wire between the backend and the agent: frozen pydantic models, and nothing that computes.

Ids are UUIDs. User, bot and namespace travel in the signed token (`Claims`) and never in a body. Offsets count Unicode
code points, `start` inclusive and `end` exclusive. Scores: higher is nearer.
"""

from datetime import date
from decimal import Decimal
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

TOKEN_HEADER = "X-Service-Token"  # noqa: S105 - a header's name
REQUEST_ID_HEADER = "X-Request-ID"
TOKEN_ISSUER = "chatsphere-backend"  # noqa: S105
TOKEN_AUDIENCE = "chatsphere-agent"  # noqa: S105
TOKEN_MAX_SECONDS = 60

MAX_CHUNKS = 256
MAX_PASSAGES = 50
MAX_IMAGES = 4
MAX_IMAGE_BYTES = 5 * 1024 * 1024
MAX_FALLBACKS = 2

EmbeddingId = Annotated[str, Field(min_length=3, max_length=120, pattern=r"^[a-z0-9_-]+:[A-Za-z0-9._/-]+:[0-9]+$")]
"""`provider:model:dimension`, such as `local:wordllama:256`: vectors with different ids are never compared."""

ModelId = Annotated[str, Field(min_length=3, max_length=120, pattern=r"^[a-z0-9_-]+:[A-Za-z0-9._/:-]+$")]
"""`provider:model`, such as `local:extractive` or `google:gemini-2.5-flash`."""


class Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Claims(Wire):
    """What the service token says. `body` is the sha256 (hex) of the raw request body; `jti` is used once; times are
    Unix seconds.
    """

    iss: Literal["chatsphere-backend"]
    aud: Literal["chatsphere-agent"]
    iat: int
    exp: int
    jti: str = Field(min_length=16, max_length=64)
    method: str
    path: str
    body: str = Field(min_length=64, max_length=64)
    user: UUID | None = None
    bot: UUID | None = None
    namespace: str | None = Field(default=None, min_length=1, max_length=200)
    max_output_tokens: int | None = Field(default=None, ge=1)


class Usage(Wire):
    """Tokens of one call; `estimated` where the vendor did not say."""

    provider: str
    model: str
    input_tokens: int = Field(ge=0)
    output_tokens: int = Field(ge=0)
    estimated: bool = False


class Chunk(Wire):
    """`text` is stored nowhere by the agent; the id is deterministic in document, version and position, so it also
    names the text. `heading` says what the text is part of, such as the document's title, and is found with it.
    """

    id: UUID
    document: UUID
    version: UUID
    text: str = Field(min_length=1, max_length=40_000)
    heading: str = Field(default="", max_length=500)


class EmbedAndStoreRequest(Wire):
    """The chunks may be of several documents."""

    embedding: EmbeddingId
    chunks: list[Chunk] = Field(min_length=1, max_length=MAX_CHUNKS)


class EmbedAndStoreResponse(Wire):
    """`stored` were embedded now, `present` were there already and cost nothing; together every chunk of the
    request.
    """

    stored: int
    present: int
    usage: Usage


class RetrieveRequest(Wire):
    embedding: EmbeddingId
    query: str = Field(min_length=1, max_length=16_000)
    limit: int = Field(ge=1, le=200)


class Hit(Wire):
    chunk: UUID
    document: UUID
    version: UUID
    score: float


class RetrieveResponse(Wire):
    """Best first, scores 0 to 1: the best of a question has about 1 whatever it is worth. What it is worth says
    `confidence`, 0 to 1: how much of the question's weighted words the best passage has, and a little how near
    the nearest is; 1 where nothing can be said about the words. Milliseconds of each stage in `timings`.
    """

    hits: list[Hit]
    confidence: float = Field(default=1.0, ge=0, le=1)
    usage: Usage
    timings: dict[str, float]


class Passage(Wire):
    """What the model may quote; marker `[n]` is its 1-based place in the request."""

    id: UUID
    title: str = Field(max_length=500)
    page: int | None = None
    text: str = Field(min_length=1, max_length=40_000)


class Turn(Wire):
    role: Literal["user", "assistant"]
    text: str = Field(max_length=200_000)


class Image(Wire):
    """A picture that belongs to the question: `data` is base64 of at most MAX_IMAGE_BYTES, in the format that
    `media_type` says. Never an address: nothing is fetched for a question.
    """

    media_type: Literal["image/png", "image/jpeg", "image/webp", "image/gif"]
    data: str = Field(min_length=16, max_length=MAX_IMAGE_BYTES * 4 // 3 + 4)


class ChatRequest(Wire):
    """`history` is oldest first and without the question. The token's `max_output_tokens` caps `max_output_tokens`.
    `fallbacks` are asked in their order where the model fails before its first word; the answer's usage names the
    model that gave it. Images go to models that can see; where none of those named can, the question is refused.
    """

    model: ModelId
    fallbacks: list[ModelId] = Field(default=[], max_length=MAX_FALLBACKS)
    temperature: float = Field(ge=0, le=2)
    instructions: str = Field(default="", max_length=20_000)
    strictness: Literal["strict", "prefer", "free"]
    question: str = Field(min_length=1, max_length=16_000)
    history: list[Turn] = Field(default=[], max_length=200)
    images: list[Image] = Field(default=[], max_length=MAX_IMAGES)
    passages: list[Passage] = Field(default=[], max_length=MAX_PASSAGES)
    max_output_tokens: int = Field(ge=1, le=65_536)
    stream: bool = False


class Citation(Wire):
    """A checked marker: `quote == passage.text[start:end]`; `marker` is the number shown in the answer's text."""

    marker: int = Field(ge=1)
    passage: UUID
    start: int = Field(ge=0)
    end: int = Field(gt=0)
    quote: str = Field(min_length=1)
    score: float


FinishReason = Literal["stop", "length", "not_found", "safety"]
"""`not_found`: nothing in the passages answers, said plainly, nothing cited."""


class ChatResponse(Wire):
    text: str
    citations: list[Citation]
    citations_rejected: int
    finish_reason: FinishReason
    usage: Usage


class DeltaEvent(Wire):
    """`event: delta`"""

    text: str


class CitationsEvent(Wire):
    """`event: citations`, once, after the last delta"""

    citations: list[Citation]
    rejected: int


class UsageEvent(Usage):
    """`event: usage`, once, before `done`; before an `error` where tokens are known"""


class DoneEvent(Wire):
    """`event: done`, last; excludes `error`"""

    finish_reason: FinishReason


class ErrorBody(Wire):
    """The body of every refusal, and `event: error`, last; excludes `done`"""

    code: str
    message: str
    retryable: bool = False
    details: dict[str, str | int | float | bool | None] = {}
    request_id: str = "-"


class DeleteVectorsRequest(Wire):
    """Without `document` the whole namespace; with `version` only that version; with `keep_version` every other one."""

    document: UUID | None = None
    version: UUID | None = None
    keep_version: UUID | None = None


class DeleteVectorsResponse(Wire):
    """`remaining` was read back from the store after the deletion: 0 proves it."""

    deleted: int
    remaining: int


class ListVectorsRequest(Wire):
    after: UUID | None = None
    limit: int = Field(default=1000, ge=1, le=1000)


class StoredVector(Wire):
    """`complete`: in the vector store and in the lexical index; storing the chunk again adds what is missing."""

    chunk: UUID
    document: UUID
    version: UUID
    complete: bool = True


class ListVectorsResponse(Wire):
    """One page of a namespace's vectors by ascending chunk id; `next` goes into `after`, None at the end."""

    vectors: list[StoredVector]
    next: UUID | None


class ListNamespacesRequest(Wire):
    """Of the whole store, whoever they belong to, or of those whose names begin with `prefix`: for the operator's
    reconciling, never for a person's request."""

    prefix: str = Field(default="", max_length=200)
    after: str = Field(default="", max_length=200)
    limit: int = Field(default=10_000, ge=1, le=10_000)


class ListNamespacesResponse(Wire):
    """One page of the names of namespaces that hold anything, in ascending order of their characters; `next` goes into
    `after`, None at the end."""

    namespaces: list[str]
    next: str | None


Ability = Literal["vision", "tools", "structured_output"]


class ModelInfo(Wire):
    """`name` is the vendor's own and may be asked for as well as the id. Prices are US dollars for a million tokens as
    the vendor published them on `priced_on`; None where nobody told us. What an answer costs in credits is the
    backend's affair.
    """

    id: ModelId
    name: str
    context_tokens: int
    default: bool
    provider: str = ""
    title: str = ""
    max_output_tokens: int | None = None
    abilities: list[Ability] = []
    input_price: Decimal | None = None
    output_price: Decimal | None = None
    priced_on: date | None = None


class EmbeddingInfo(Wire):
    id: EmbeddingId
    default: bool


class ModelsResponse(Wire):
    models: list[ModelInfo]
    embeddings: list[EmbeddingInfo]


class ProviderInfo(Wire):
    """`local`: nothing leaves this machine or network. `state`: "ok", or "resting" while a model of it is left alone
    after failures.
    """

    id: str
    name: str
    local: bool
    state: Literal["ok", "resting"]
    models: list[ModelId]
    embeddings: list[EmbeddingId]


class ProvidersResponse(Wire):
    providers: list[ProviderInfo]


class CountTokensRequest(Wire):
    """What a question would send: instructions, the turns before, the question with whatever belongs to it."""

    model: ModelId
    instructions: str = Field(default="", max_length=20_000)
    history: list[Turn] = Field(default=[], max_length=200)
    text: str = Field(min_length=1, max_length=2_000_000)


class CountTokensResponse(Wire):
    """`estimated` where the vendor has no count, or did not give it."""

    model: ModelId
    input_tokens: int = Field(ge=0)
    estimated: bool


class EstimateCostRequest(Wire):
    model: ModelId
    input_tokens: int = Field(ge=0, le=10**9)
    output_tokens: int = Field(ge=0, le=10**9)


class EstimateCostResponse(Wire):
    """US dollars by the prices of `priced_on`; `total` is the sum of the other two."""

    model: ModelId
    currency: Literal["USD"] = "USD"
    input_cost: Decimal
    output_cost: Decimal
    total: Decimal
    priced_on: date


class ReadyResponse(Wire):
    """`checks` names each part: "ok", or what is wrong with it."""

    ready: bool
    checks: dict[str, str]
