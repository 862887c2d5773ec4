"""Embeddings without a key or a network: wordllama's static table, whose weights are inside its wheel. English serves
it best.
"""

import asyncio
import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from agent_service.contract import Usage
from agent_service.pipeline.tokens import estimated_tokens
from agent_service.ports import Embedded, Vector

DIMENSION = 256
EMBEDDING_ID = f"local:wordllama:{DIMENSION}"
LONGEST_TEXT = 8_000
"""Characters of a text that count; a chunk has about a thousand."""
BATCH_BYTES = 16_000
"""Of one batch, each text counted as long as the longest: the rows of all its tokens, a KB each, are in memory at
once, and a rare character is as many tokens as it has bytes.
"""


LETTERS_ONLY = frozenset({"ar", "el", "fa", "hi", "hy", "ta"})
"""Languages of which its vocabulary has letters and hardly a word."""


class WordLlamaEmbedder:
    """Loads its table, about 0.3 s and 70 MB, with the first text; works in a thread of its own, since it is all
    computing.
    """

    id = EMBEDDING_ID
    dimension = DIMENSION

    def __init__(self) -> None:
        self._model: Any = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="wordllama")

    async def embed_documents(self, texts: Sequence[str]) -> Embedded:
        vectors = await asyncio.get_running_loop().run_in_executor(self._thread, self._vectors, list(texts))
        tokens = sum(estimated_tokens(text) for text in texts)
        usage = Usage(provider="local", model="wordllama", input_tokens=tokens, output_tokens=0, estimated=True)
        return Embedded(vectors, usage)

    async def embed_query(self, text: str) -> Embedded:
        return await self.embed_documents([text])

    def lexical_share(self, language: str) -> float:
        return 0.9 if language in LETTERS_ONLY else 0.7

    async def aclose(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _vectors(self, texts: list[str]) -> list[Vector]:
        if self._model is None:
            self._model = _load()
        # The tokenizer refuses lone surrogates.
        readable = [text[:LONGEST_TEXT].encode("utf-8", "replace").decode() for text in texts]
        vectors: list[Vector] = [[]] * len(texts)
        for batch in _batches(readable):
            for place, vector in zip(batch, self._embedded([readable[place] for place in batch]), strict=True):
                vectors[place] = vector if math.isfinite(vector[0]) else _nothing_said()
        return vectors

    def _embedded(self, texts: list[str]) -> list[Vector]:
        with np.errstate(invalid="ignore"):
            found: list[Vector] = self._model.embed(texts, norm=True, batch_size=len(texts)).tolist()
        return found


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
    import wordllama  # here, because it costs 60 MB that a service with another embedder need not spend

    # Left alone, it looks for its tokenizer in a folder its wheel does not have, and then tries to download it.
    return wordllama.WordLlama.load(dim=DIMENSION, cache_dir=Path(wordllama.__file__).parent, disable_download=True)


def _nothing_said() -> Vector:
    """For a text without a token, such as white space, whose mean would be NaN: one fixed direction."""
    return [1.0] + [0.0] * (DIMENSION - 1)
