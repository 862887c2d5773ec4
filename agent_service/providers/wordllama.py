"""Embeddings without a key or a network: wordllama's static table, whose weights are inside its wheel. English serves
it best.
"""

import asyncio
import os
import re
from collections.abc import Sequence
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
REMEMBERED_UNITS = 50_000
LONGEST_REMEMBERED = 40

_BLANK = "\u2581"
"""What the vocabulary writes for a space."""
_UNIT = re.compile(f"{_BLANK}*[^{_BLANK}\n]+|{_BLANK}+|\n+")
_BEGINNING = re.compile(r"(\A|<unk>|<s>|</s>)(?!<unk>|<s>|</s>|\Z)")
"""Where a text begins, to the tokenizer: also after each of its own marks."""

LETTERS_ONLY = frozenset({"ar", "el", "fa", "hi", "hy", "ta"})
"""Languages of which its vocabulary has letters and hardly a word."""


class Tokens(dict[str, bytes]):
    """The tokens of texts, as the model's tokenizer finds them, in a tenth of the time.

    The tokenizer takes a text as one word. But none of its tokens has a blank behind another character, or a line's
    end beside one: what it finds between these does not depend on what is around, and is remembered.
    """

    def __init__(self, tokenizer: Any) -> None:
        from tokenizers.normalizers import Sequence as Steps  # here, as the model itself

        tokenizer.normalizer = Steps([])
        self._tokenizer = tokenizer

    def of(self, text: str) -> NDArray[np.int32]:
        text = _BEGINNING.sub(rf"\1{_BLANK}", text) if "<" in text else text and _BLANK + text
        units = _UNIT.findall(text.replace(" ", _BLANK))
        return np.frombuffer(b"".join(map(self.__getitem__, units)), np.int32)

    def __missing__(self, unit: str) -> bytes:
        tokens = np.array(self._tokenizer.encode(unit, add_special_tokens=False).ids, np.int32).tobytes()
        if len(unit) <= LONGEST_REMEMBERED:
            if len(self) >= REMEMBERED_UNITS:
                self.clear()
            self[unit] = tokens
        return tokens


class Table:
    """The weights, loaded with the first text (about 0.3 s and 70 MB), and the thread that works with them, since it is
    all computing; one of each for the embedders of all dimensions."""

    def __init__(self) -> None:
        self._weights: NDArray[np.float32] | None = None
        self._tokens: Tokens | None = None
        self.thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="wordllama")

    def embed(self, texts: list[str]) -> NDArray[np.float32]:
        """One row for each text, of DIMENSION numbers: the sum of its tokens', which is zero without one."""
        if self._weights is None or self._tokens is None:
            model = _load()
            self._weights, self._tokens = model.embedding, Tokens(model.tokenizer)
        return np.stack([self._weights.take(self._tokens.of(text), axis=0).sum(axis=0) for text in texts])


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
        found = self.table.embed(readable)[:, : self.dimension]
        norms = np.linalg.norm(found, axis=1, keepdims=True)
        found[norms[:, 0] == 0] = self._nothing_said()
        unit: list[Vector] = (found / np.where(norms == 0, 1, norms)).tolist()
        return unit

    def _nothing_said(self) -> Vector:
        """For a text without a token, such as an empty one: one fixed direction."""
        return [1.0] + [0.0] * (self.dimension - 1)


def _load() -> Any:
    # Its tokenizer would share out every batch over all cores, which costs half as much again of them in all and keeps
    # them from what else is to be done meanwhile.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    import wordllama  # here, because it costs 60 MB that a service with another embedder need not spend

    # Left alone, it looks for its tokenizer in a folder its wheel does not have, and then tries to download it.
    return wordllama.WordLlama.load(dim=DIMENSION, cache_dir=Path(wordllama.__file__).parent, disable_download=True)
