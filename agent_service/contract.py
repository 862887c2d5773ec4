"""The wire between the backend and the agent: frozen pydantic models, and nothing that computes.

Ids are UUIDs. User, bot and namespace travel in the signed token (`Claims`) and never in a body. Offsets count Unicode
code points, `start` inclusive and `end` exclusive. Scores: higher is nearer.
"""

from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal
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
MAX_IMAGES_BYTES = 10 * 1024 * 1024
"""Of all images of a question together."""
IMAGE_TOKENS = 1_600
"""What an image takes of a model's context at most, with the vendors that say (a long edge of about 1,500 points)."""
MAX_FALLBACKS = 2
MAX_SENTENCES = 500
MAX_EVIDENCE = 8
MAX_FOLLOW_UPS = 5
MAX_STOPS = 4
MAX_STOP_CHARS = 200
MAX_HITS = 2000
MAX_DOCUMENTS = 10_000
MAX_TERMS = 4
MAX_RERANKED = 100
MAX_SETS = 16
MAX_NAMESPACES = 50_000

EmbeddingId = Annotated[str, Field(min_length=3, max_length=120, pattern=r"^[a-z0-9_-]+:[A-Za-z0-9._/-]+:[0-9]+$")]
"""`provider:model:dimension`, such as `local:wordllama:256`: vectors with different ids are never compared."""

ModelId = Annotated[str, Field(min_length=3, max_length=120, pattern=r"^[a-z0-9_-]+:[A-Za-z0-9._/:-]+$")]
"""`provider:model`, such as `local:extractive` or `google:gemini-2.5-flash`."""


Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

NamespaceName = Annotated[str, Field(min_length=1, max_length=200)]


AgentId = Annotated[str, Field(min_length=1, max_length=60, pattern=r"^[a-z0-9_-]+$")]
DEFAULT_AGENT = "default"
MAX_TOOLS = 30
MAX_STEPS = 20
MAX_CALLS_PER_STEP = 4
MAX_TOOL_RESULT_CHARS = 40_000


class Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Claims(Wire):
    """What the service token says: one namespace, or by their hash many (see RetrieveAcrossRequest), never both.
    `body` is the sha256 (hex) of the raw request body; `jti` is used once; times are Unix seconds.
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
    namespaces_sha256: Sha256 | None = None
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


Rewriting = Literal["none", "words", "model"]

StopSequence = Annotated[str, Field(min_length=1, max_length=MAX_STOP_CHARS)]

SearchTerm = Annotated[str, Field(min_length=1, max_length=400)]

RerankerId = Annotated[str, Field(max_length=120, pattern=r"^(lexical|[a-z0-9_-]+:[A-Za-z0-9._/:-]+)$")]
"""`lexical`, which needs no model, or the id of a chat model."""


class EmbedRequest(Wire):
    """Texts whose vectors the caller wants to have; nothing is stored."""

    embedding: EmbeddingId
    texts: list[Annotated[str, Field(min_length=1, max_length=40_000)]] = Field(min_length=1, max_length=MAX_CHUNKS)


class EmbedResponse(Wire):
    """Unit vectors in the order of the texts."""

    vectors: list[list[float]]
    usage: Usage


class RetrieveRequest(Wire):
    """`rewriting` makes a question that leans on `history` (oldest first) stand alone before it is searched: "words"
    takes over the words it leans on, "model" asks `model`, once, and does as "words" where that fails. `terms` are
    searched beside the question. `documents` narrows the search to these; None to nothing. `lexical_only` asks neither
    the embedder nor the vector store.
    """

    embedding: EmbeddingId
    query: str = Field(min_length=1, max_length=16_000)
    limit: int = Field(ge=1, le=MAX_HITS)
    history: list["Turn"] = Field(default=[], max_length=40)
    rewriting: Rewriting = "none"
    model: ModelId | None = None
    terms: list[SearchTerm] = Field(default=[], max_length=MAX_TERMS)
    documents: list[UUID] | None = Field(default=None, max_length=MAX_DOCUMENTS)
    lexical_only: bool = False
    agent: AgentId = DEFAULT_AGENT


class Hit(Wire):
    chunk: UUID
    document: UUID
    version: UUID
    score: float


class RetrieveResponse(Wire):
    """Best first, scores 0 to 1: the best of a question has about 1 whatever it is worth. What it is worth says
    `confidence`, 0 to 1: how much of the question's weighted words the best passage has, and a little how near
    the nearest is; 1 where nothing can be said about the words. Milliseconds of each stage in `timings`.

    `query` is what was searched and `terms` what was searched beside it; `rewritten` says by which way, "none" where
    the question stood alone as it was, "words" also where it was misspelt; `rewriting` is what a model took for it.
    `degraded` where the vectors were left out.
    """

    hits: list[Hit]
    confidence: float = Field(default=1.0, ge=0, le=1)
    usage: Usage
    timings: dict[str, float]
    query: str = ""
    terms: list[str] = []
    rewritten: Rewriting = "none"
    rewriting: Usage | None = None
    degraded: bool = False


class NamespaceSet(Wire):
    """Namespaces of one embedding. `sha256` (hex) is of their names in ascending order, joined by line feeds. The names
    may be left out where the agent has been told them before; where it does not remember, it refuses with
    `unknown_namespaces`.
    """

    embedding: EmbeddingId
    sha256: Sha256
    names: list[NamespaceName] | None = Field(default=None, max_length=MAX_NAMESPACES)


class RetrieveAcrossRequest(Wire):
    """As RetrieveRequest, in many namespaces at once; the token's `namespaces_sha256` says which: it is of the sets'
    hashes as they stand in the request, joined by line feeds. A token of one namespace opens none of them.
    """

    sets: list[NamespaceSet] = Field(min_length=1, max_length=MAX_SETS)
    query: str = Field(min_length=1, max_length=16_000)
    limit: int = Field(ge=1, le=MAX_HITS)
    history: list["Turn"] = Field(default=[], max_length=40)
    rewriting: Rewriting = "none"
    model: ModelId | None = None
    terms: list[SearchTerm] = Field(default=[], max_length=MAX_TERMS)
    documents: list[UUID] | None = Field(default=None, max_length=MAX_DOCUMENTS)
    lexical_only: bool = False


class RerankPassage(Wire):
    """`score` is what it has so far, 0 to 1."""

    id: UUID
    title: str = Field(default="", max_length=500)
    text: str = Field(min_length=1, max_length=40_000)
    score: float = 0.0


class RerankRequest(Wire):
    """`passages` as they are ranked so far, best first."""

    reranker: RerankerId
    query: str = Field(min_length=1, max_length=16_000)
    passages: list[RerankPassage] = Field(min_length=1, max_length=MAX_RERANKED)


class Reranked(Wire):
    id: UUID
    score: float


class RerankResponse(Wire):
    """All passages, best first, scores 0 to 1. `failed` where the reranker gave no order that could be used: they are
    then as they came.
    """

    passages: list[Reranked]
    failed: bool = False
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

    Every sentence of the answer is checked against the passages. `check` says what happens to one that states
    something they do not support: "mark" shows it and says so, "withhold" never shows it. `follow_ups` is how many
    further questions are suggested after the answer, at most. The shown text ends before the first of `stop` that
    would stand in it; nothing is generated behind it, and what was said before it is checked as it stands.
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
    check: Literal["mark", "withhold"] = "mark"
    follow_ups: int = Field(default=0, ge=0, le=MAX_FOLLOW_UPS)
    stop: list[StopSequence] = Field(default=[], max_length=MAX_STOPS)
    agent: AgentId = DEFAULT_AGENT


class Citation(Wire):
    """A checked marker: `quote == passage.text[start:end]`; `marker` is the number shown in the answer's text."""

    marker: int = Field(ge=1)
    passage: UUID
    start: int = Field(ge=0)
    end: int = Field(gt=0)
    quote: str = Field(min_length=1)
    score: float


class Evidence(Wire):
    """What supports one sentence: `passage.text[start:end]` of the passage that `marker` names."""

    marker: int = Field(ge=1)
    start: int = Field(ge=0)
    end: int = Field(gt=0)
    score: float = Field(ge=0, le=1)


class Sentence(Wire):
    """`start` and `end` in the shown text (all deltas joined), the sentence's markers included. `markers` are those of
    the passages that support it, or a part of it, best first, whether or not the text carries them; each is in
    `citations` too.
    `evidence` is the best sentence of each, MAX_EVIDENCE at most. A sentence that states nothing (a greeting, a
    heading, a question) has `claim` false: it is neither supported nor unsupported. One with `claim` true and
    `supported` false was not found in the sources; its score is what the nearest passage gives.
    """

    start: int = Field(ge=0)
    end: int = Field(gt=0)
    claim: bool
    supported: bool
    score: float = Field(ge=0, le=1)
    markers: list[int] = []
    evidence: list[Evidence] = []


FinishReason = Literal["stop", "length", "not_found", "safety", "limit"]
"""`not_found`: nothing in the passages answers, said plainly, nothing cited. `limit`: the steps, the time or the tokens
of an agent were used up, and it answered from what it had.
"""


class ChatResponse(Wire):
    text: str
    citations: list[Citation]
    citations_rejected: int
    finish_reason: FinishReason
    usage: Usage
    sentences: list[Sentence] = []
    withheld: int = 0
    prompt_sha256: str = ""
    follow_ups: list[str] = []


class DeltaEvent(Wire):
    """`event: delta`"""

    text: str


class CitationsEvent(Wire):
    """`event: citations`, once, after the last delta. `rejected` counts the markers that name no passage (never shown)
    and those whose passage does not support what carries them (shown, without a citation). `sentences` are in the
    order of the text, the first MAX_SENTENCES of them; `withheld` counts those that were not shown (a note at the end
    of the text says that there were some, or the text says that nothing was found where nothing is left).
    `prompt_sha256` (hex) names what the model was given, "" where none was asked.
    """

    citations: list[Citation]
    rejected: int
    sentences: list[Sentence] = []
    withheld: int = 0
    prompt_sha256: str = ""


class FollowUpsEvent(Wire):
    """`event: follow_ups`, after the citations and before the usage, which includes what they cost; only where some
    were asked for and any were found
    """

    questions: list[str]


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


AgentKind = Literal["rag", "react", "passages"]
"""Finds passages, then answers from them; asks for tools step by step until it can answer; gives the passages as they
are, without asking a model.
"""


class AgentInfo(Wire):
    """`sources` are the kinds of knowledge it reads, none for all; `passages` and `threshold` replace a bot's own where
    they are set; `tools` are those it has where a bot names none. `analysis`: it looks at the question before it
    searches.
    """

    id: AgentId
    title: str
    description: str
    kind: AgentKind
    default: bool
    sources: list[str] = []
    passages: int | None = None
    threshold: float | None = None
    tools: list[str] = []
    analysis: bool = False


class AgentsResponse(Wire):
    agents: list[AgentInfo]


class ToolSpec(Wire):
    """What a model is told of a tool; `parameters` is a JSON schema of an object."""

    name: str = Field(pattern=r"^[a-zA-Z][a-zA-Z0-9_-]{0,59}$")
    description: str = Field(max_length=2000)
    parameters: dict[str, Any]


class ProcessRequest(ChatRequest):
    """The first message on `/agents/process`, for agents of every kind. The token's `body` is the hash of this message.

    The rest is for agents with steps. `step_limit` bounds the calls of the model, each of at most
    `step_output_tokens`; `max_input_tokens` and `max_output_tokens` bound what all of them together may read and write:
    a step that could exceed them is not made. `seconds_limit` is of the whole. `tools` are all that may be called;
    `passages` are known from the beginning, and those of tool results are numbered on from them.
    """

    tools: list[ToolSpec] = Field(default=[], max_length=MAX_TOOLS)
    step_limit: int = Field(default=6, ge=1, le=MAX_STEPS)
    seconds_limit: float = Field(default=60, ge=1, le=100)
    step_output_tokens: int = Field(default=1024, ge=1, le=65_536)
    max_input_tokens: int = Field(default=100_000, ge=1)


class ToolCallEvent(Wire):
    """`event: tool_call`: to be answered with a ToolResult of the same id."""

    id: str = Field(min_length=1, max_length=200)
    step: int = Field(ge=1)
    name: str = Field(max_length=200)
    arguments: dict[str, Any]


class ToolResult(Wire):
    """`event: tool_result`, from the caller. Either `error`, a sentence that the model may read, or `content` and the
    `passages` that were found, which become citable.
    """

    id: str = Field(min_length=1, max_length=200)
    content: str = Field(default="", max_length=MAX_TOOL_RESULT_CHARS)
    passages: list[Passage] = Field(default=[], max_length=20)
    error: str = Field(default="", max_length=1000)


class Frame(Wire):
    """Every message on `/agents/process` after the first, in both directions: the events of `/chat` by their names,
    `tool_call`, `tool_result`, and `heartbeat`. Exactly one `done` or `error` ends it.
    """

    event: str = Field(max_length=40)
    data: dict[str, Any] = {}


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
