"""Embeddings without a key or a network: wordllama's static table, whose weights are inside its wheel. English serves
it best.
"""

import asyncio
import math
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent_service.contract import Usage
from agent_service.pipeline.tokens import estimated_tokens
from agent_service.ports import Embedded, Vector

DIMENSION = 256
SHORTER = 128
"""The table is trained so that a vector's first numbers say most of it: half of them take half the room, and find a
little less."""
LONGEST_TEXT = 8_000
"""Characters of a text that count; a chunk has about a thousand."""
BATCH_BYTES = 16_000
"""Of one batch, each text counted as long as the longest: the rows of all its tokens, a KB each, are in memory at
once, and a rare character is as many tokens as it has bytes.
"""


LETTERS_ONLY = frozenset({"ar", "el", "fa", "hi", "hy", "ta"})
"""Languages of which its vocabulary has letters and hardly a word."""


class Table:
    """The weights, loaded with the first text (about 0.3 s and 70 MB), and the thread that works with them, since it is
    all computing; one of each for the embedders of all dimensions."""

    def __init__(self) -> None:
        self._model: Any = None
        self.thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="wordllama")

    def embed(self, texts: list[str]) -> NDArray[np.float32]:
        """One row for each text, of DIMENSION numbers; NaN for a text without a token."""
        if self._model is None:
            self._model = _load()
        with np.errstate(invalid="ignore"):
            found: NDArray[np.float32] = self._model.embed(texts, norm=True, batch_size=len(texts))
        return found


class WordLlamaEmbedder:
    """Vectors of the first `dimension` numbers of the table's."""

    def __init__(self, dimension: int = DIMENSION, table: Table | None = None) -> None:
        self.id = f"local:wordllama:{dimension}"
        self.dimension = dimension
        self.table = table or Table()

    async def embed_documents(self, texts: Sequence[str]) -> Embedded:
        vectors = await asyncio.get_running_loop().run_in_executor(self.table.thread, self._vectors, list(texts))
        tokens = sum(estimated_tokens(text) for text in texts)
        usage = Usage(provider="local", model="wordllama", input_tokens=tokens, output_tokens=0, estimated=True)
        return Embedded(vectors, usage)

    async def embed_query(self, text: str) -> Embedded:
        return await self.embed_documents([text])

    def lexical_share(self, language: str) -> float:
        return 0.9 if language in LETTERS_ONLY else 0.7

    async def aclose(self) -> None:
        self.table.thread.shutdown(wait=False, cancel_futures=True)

    def _vectors(self, texts: list[str]) -> list[Vector]:
        # The tokenizer refuses lone surrogates.
        readable = [text[:LONGEST_TEXT].encode("utf-8", "replace").decode() for text in texts]
        vectors: list[Vector] = [[]] * len(texts)
        for batch in _batches(readable):
            for place, vector in zip(batch, self._embedded([readable[place] for place in batch]), strict=True):
                vectors[place] = vector if math.isfinite(vector[0]) else self._nothing_said()
        return vectors

    def _embedded(self, texts: list[str]) -> list[Vector]:
        found = self.table.embed(texts)[:, : self.dimension]
        unit: list[Vector] = (found / np.linalg.norm(found, axis=1, keepdims=True)).tolist()
        return unit

    def _nothing_said(self) -> Vector:
        """For a text without a token, such as white space, whose mean would be NaN: one fixed direction."""
        return [1.0] + [0.0] * (self.dimension - 1)


def _batches(texts: list[str]) -> Iterator[list[int]]:
    """Places of texts of like length, shortest first."""
    sizes = [len(text.encode()) for text in texts]
    batch: list[int] = []
    for place in sorted(range(len(texts)), key=sizes.__getitem__):
        if batch and (len(batch) + 1) * sizes[place] > BATCH_BYTES:
            yield batch
            batch = []
        batch.append(place)
    yield batch


def _load() -> Any:
    # Its tokenizer would share out every batch over all cores, which costs half as much again of them in all and keeps
    # them from what else is to be done meanwhile.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    import wordllama  # here, because it costs 60 MB that a service with another embedder need not spend

    # Left alone, it looks for its tokenizer in a folder its wheel does not have, and then tries to download it.
    return wordllama.WordLlama.load(dim=DIMENSION, cache_dir=Path(wordllama.__file__).parent, disable_download=True)
