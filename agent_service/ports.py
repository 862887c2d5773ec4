"""What the pipeline needs of the world. A vendor is one file in `providers/` that satisfies one of these."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable
from uuid import UUID

from agent_service.contract import Image, Passage, StoredVector, ToolSpec, Turn, Usage

Vector = list[float]


@dataclass(frozen=True, slots=True)
class Embedded:
    """Unit vectors in the order of the texts, all of the embedder's dimension, and what they cost."""

    vectors: list[Vector]
    usage: Usage


class Embedder(Protocol):
    id: str
    dimension: int

    async def embed_documents(self, texts: Sequence[str]) -> Embedded: ...

    async def embed_query(self, text: str) -> Embedded: ...

    def lexical_share(self, language: str) -> float:
        """What the lexical ranking weighs beside this one's, 0 to 1, for texts in this language (ISO 639-1, or "")."""
        ...


@dataclass(frozen=True, slots=True)
class StoredChunk:
    id: UUID
    document: UUID
    version: UUID
    vector: Vector


class Found(NamedTuple):
    """A chunk that a search has found. Its ids are their sixteen bytes: a question finds two hundred chunks, of which
    a few are told, and a UUID takes ten times as long to make and to compare."""

    chunk: bytes
    document: bytes
    version: bytes
    score: float


class VectorStore(Protocol):
    """Every call but `namespaces` and `search_many` is confined to one namespace. Ids are upserted: repeating a call
    changes nothing. A search gives as many as it is asked for wherever there are so many, also of a few `documents`.
    `most_namespaces` is how many `search_many` asks, the first ones; None for all. `at_once` is how many calls it works
    on at a time; None where they do not wait for one another.
    """

    most_namespaces: int | None
    at_once: int | None

    async def present(self, namespace: str, ids: Sequence[UUID]) -> set[UUID]: ...

    async def upsert(self, namespace: str, chunks: Sequence[StoredChunk]) -> None: ...

    async def search(
        self, namespace: str, vector: Vector, limit: int, documents: Collection[UUID] | None = None
    ) -> list[Found]: ...

    async def search_many(
        self, namespaces: Sequence[str], vector: Vector, limit: int, documents: Collection[UUID] | None = None
    ) -> list[Found]:
        """The best of all of them together, which are of one embedding; unknown names are skipped."""
        ...

    async def delete(
        self, namespace: str, document: UUID | None, version: UUID | None, keep_version: UUID | None
    ) -> int: ...

    async def count(
        self, namespace: str, document: UUID | None, version: UUID | None, keep_version: UUID | None
    ) -> int: ...

    async def listing(self, namespace: str, after: UUID | None, limit: int) -> list[StoredVector]: ...

    async def namespaces(self, prefix: str) -> list[str]:
        """All that hold anything, in any order."""
        ...

    async def check(self) -> None: ...


@runtime_checkable
class Tended(Protocol):
    """A vector store that has something to do from time to time."""

    async def maintain(self) -> list[str]:
        """May take minutes; of several at once, all but one do nothing. Names what was done."""
        ...


@dataclass(frozen=True, slots=True)
class Indexed:
    """A text as terms, which are numbers: `counts` of each; `length` counts words."""

    language: str
    length: int
    counts: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class LexicalChunk:
    id: UUID
    document: UUID
    version: UUID
    indexed: Indexed


@dataclass(frozen=True, slots=True)
class Asked:
    """One word of a question: `forms` are the terms that it may be, which stand for one another."""

    forms: frozenset[int]
    weight: float


@dataclass(frozen=True, slots=True)
class Lexicon:
    """What a namespace holds, or several together: `languages` most used first, `words` of all chunks together."""

    keys: Sequence[int]
    languages: Sequence[str]
    chunks: int
    words: int


@dataclass(frozen=True, slots=True)
class Ranked:
    """By BM25. `confidence`: the best score as a share of the highest that the question's terms could reach, 0 to 1.
    `missing` are the terms that no chunk has; `namespaces` those of the hits, best first, where many were asked.
    """

    hits: list[Found]
    confidence: float
    missing: frozenset[int] = frozenset()
    namespaces: Sequence[str] = ()


class LexicalIndex(Protocol):
    """As a VectorStore: confined to a namespace, or to those of a lexicon, and repeatable."""

    at_once: int | None

    async def present(self, namespace: str, ids: Sequence[UUID]) -> set[UUID]: ...

    async def upsert(self, namespace: str, chunks: Sequence[LexicalChunk]) -> None: ...

    async def lexicon(self, namespace: str) -> Lexicon | None: ...

    async def search(
        self, lexicon: Lexicon, asked: Sequence[Asked], limit: int, documents: Collection[UUID] | None = None
    ) -> Ranked: ...

    async def chunks_with(self, lexicon: Lexicon, terms: Sequence[int]) -> Mapping[int, int]:
        """How many have each of the terms, in a lexicon of one namespace, up to a hundred; those in none are left
        out.
        """
        ...

    async def lexicon_of(self, namespaces: Sequence[str]) -> Lexicon | None:
        """Of all of them together; `search` takes either kind, and ranks as if they were one namespace."""
        ...

    async def delete(
        self, namespace: str, document: UUID | None, version: UUID | None, keep_version: UUID | None
    ) -> int: ...

    async def count(
        self, namespace: str, document: UUID | None, version: UUID | None, keep_version: UUID | None
    ) -> int: ...

    async def listing(self, namespace: str, after: UUID | None, limit: int) -> list[StoredVector]: ...

    async def namespaces(self, prefix: str) -> list[str]:
        """All that hold anything, in any order."""
        ...

    async def check(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Prompt:
    """`system`, then `history`, then `message` (the question with its passages) go to a language model; `question` and
    `passages` are the same, apart, for an answerer that works on them directly.
    """

    system: str
    history: Sequence[Turn]
    message: str
    question: str
    passages: Sequence[Passage]
    temperature: float
    max_output_tokens: int
    images: Sequence[Image] = ()


@dataclass(frozen=True, slots=True)
class Piece:
    """A bit of the answer. The last piece carries `finish_reason` ("stop", "length" or "safety") and `usage`; a
    stream that ends without a finish reason was cut. The last piece of a step with tools also carries the `message`, as
    the loop that asked for it understands it, and "tools" for a reason where it asks for some.
    """

    text: str = ""
    finish_reason: str | None = None
    usage: Usage | None = None
    message: Any = None


class ChatModel(Protocol):
    id: str
    context_tokens: int

    def stream(self, prompt: Prompt) -> AsyncIterator[Piece]: ...


@runtime_checkable
class TokenCounter(Protocol):
    """A chat model whose vendor counts tokens when asked."""

    async def count_tokens(self, prompt: Prompt) -> int: ...


@runtime_checkable
class Suggester(Protocol):
    """A chat model that knows without a second call what might be asked next; `cited` are markers."""

    def suggestions(self, prompt: Prompt, cited: Sequence[int], most: int) -> list[str]: ...


@dataclass(frozen=True, slots=True)
class ToolCall:
    """`unreadable`: the model wrote arguments that are not a JSON object."""

    id: str
    name: str
    arguments: Mapping[str, Any]
    unreadable: bool = False


@runtime_checkable
class ToolUser(Protocol):
    """A chat model that can ask for tools. `dialogue` is everything said so far, the prompt first, in the messages of
    the loop that runs it; a plain text in it is the user's. Not `may_call`: it knows the tools, and must answer
    without them.
    """

    def step(
        self, prompt: Prompt, dialogue: Sequence[Any], tools: Sequence[ToolSpec], *, may_call: bool
    ) -> AsyncIterator[Piece]: ...


class Steps(Protocol):
    """What a loop asks for: the next message of the model, and what a tool gives."""

    async def speak(self, dialogue: Sequence[Any]) -> Any: ...

    async def use(self, call: ToolCall) -> str: ...


class ToolLoop(Protocol):
    """Lets a model speak, gives it what the tools say that it asks for, and so on until it asks for none."""

    async def run(self, prompt: Prompt, steps: Steps) -> None: ...
