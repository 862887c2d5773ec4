"""Embeddings by a small neural model on this machine, without a key or a network: all-MiniLM-L6-v2 in bytes, run by
ONNX Runtime. It knows what English words mean beside each other, which wordllama does not; of other languages it knows
little, and the words weigh accordingly more. Some 4 ms a question and 30 ms a passage on one core.
"""

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from agent_service.contract import Usage
from agent_service.pipeline.tokens import estimated_tokens
from agent_service.ports import Embedded, Vector
from agent_service.providers import minilm_weights

DIMENSION = 384
MOST_TOKENS = 256
"""What it was trained with; a chunk has about so many."""
LONGEST_TEXT = 8_000
"""Characters of a text that are looked at."""
ENGLISH = "en"
LATIN = frozenset({"cs", "da", "de", "es", "fi", "fr", "hu", "id", "it", "nl", "no", "pl", "pt", "ro", "sv", "tr"})


class MiniLMEmbedder:
    id = f"local:minilm:{DIMENSION}"
    dimension = DIMENSION

    def __init__(self) -> None:
        """Raises Misconfigured where the model is not installed. It is loaded with the first text (some 2 s)."""
        self._archive = minilm_weights.archive()
        self._loading = threading.Lock()
        self._tokenizer: Any = None
        self._session: Any = None
        self._questions = ThreadPoolExecutor(max_workers=1, thread_name_prefix="minilm-question")
        self._passages = ThreadPoolExecutor(max_workers=1, thread_name_prefix="minilm-passages")

    async def embed_documents(self, texts: Sequence[str]) -> Embedded:
        return await self._embedded(texts, self._passages)

    async def embed_query(self, text: str) -> Embedded:
        """Beside the passages that are embedded meanwhile, a hundred of which take seconds."""
        return await self._embedded([text], self._questions)

    def lexical_share(self, language: str) -> float:
        if language == ENGLISH:
            return 0.5
        return 0.8 if language in LATIN else 0.95

    async def aclose(self) -> None:
        for threads in (self._questions, self._passages):
            threads.shutdown(wait=False, cancel_futures=True)

    async def _embedded(self, texts: Sequence[str], threads: ThreadPoolExecutor) -> Embedded:
        loop = asyncio.get_running_loop()
        vectors = [await loop.run_in_executor(threads, self._vector, text) for text in texts]
        tokens = sum(estimated_tokens(text) for text in texts)
        return Embedded(
            vectors, Usage(provider="local", model="minilm", input_tokens=tokens, output_tokens=0, estimated=True)
        )

    def _vector(self, text: str) -> Vector:
        """Of a text without a word too: its first and last token are always there."""
        self._load()
        # The tokenizer refuses lone surrogates.
        readable = text[:LONGEST_TEXT].encode("utf-8", "replace").decode()
        ids = np.array([self._tokenizer.encode(readable).ids], dtype=np.int64)
        [vector] = self._session.run(None, {"ids": ids})[0]
        unit: Vector = (vector / np.linalg.norm(vector)).tolist()
        return unit

    def _load(self) -> None:
        with self._loading:
            if self._session is not None:
                return
            self._tokenizer = _tokenizer(minilm_weights.read(self._archive, minilm_weights.TOKENIZER))
            self._session = _session(minilm_weights.read(self._archive, minilm_weights.WEIGHTS))


def _tokenizer(content: bytes) -> Any:
    from tokenizers import Tokenizer  # here, as below: only a service with this embedder has them

    tokenizer = Tokenizer.from_buffer(content)
    tokenizer.no_padding()
    tokenizer.enable_truncation(MOST_TOKENS)
    return tokenizer


def _session(content: bytes) -> Any:
    import onnxruntime

    from agent_service.providers.minilm_graph import built

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    model = built(minilm_weights.tensors(content)).SerializeToString()
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
