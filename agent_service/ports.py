"""What the pipeline needs of the world. A vendor is one file in `providers/` that satisfies one of these."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable
from uuid import UUID

from agent_service.contract import Hit, Image, Passage, StoredVector, Turn, Usage

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


class VectorStore(Protocol):
    """Every call but `namespaces` is confined to one namespace. Ids are upserted: repeating a call changes nothing."""

    async def present(self, namespace: str, ids: Sequence[UUID]) -> set[UUID]: ...

    async def upsert(self, namespace: str, chunks: Sequence[StoredChunk]) -> None: ...

    async def search(self, namespace: str, vector: Vector, limit: int) -> list[Hit]: ...

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
    """What a namespace holds: `languages` most used first, `words` of all its chunks together."""

    key: int
    languages: Sequence[str]
    chunks: int
    words: int


@dataclass(frozen=True, slots=True)
class Ranked:
    """By BM25. `confidence`: the best score as a share of the highest that the question's terms could reach, 0 to 1."""

    hits: list[Hit]
    confidence: float


class LexicalIndex(Protocol):
    """As a VectorStore: confined to a namespace, repeatable."""

    async def present(self, namespace: str, ids: Sequence[UUID]) -> set[UUID]: ...

    async def upsert(self, namespace: str, chunks: Sequence[LexicalChunk]) -> None: ...

    async def lexicon(self, namespace: str) -> Lexicon | None: ...

    async def search(self, lexicon: Lexicon, asked: Sequence[Asked], limit: int) -> Ranked: ...

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
    stream that ends without a finish reason was cut.
    """

    text: str = ""
    finish_reason: str | None = None
    usage: Usage | None = None


class ChatModel(Protocol):
    id: str
    context_tokens: int

    def stream(self, prompt: Prompt) -> AsyncIterator[Piece]: ...


@runtime_checkable
class TokenCounter(Protocol):
    """A chat model whose vendor counts tokens when asked."""

    async def count_tokens(self, prompt: Prompt) -> int: ...
