"""Texts and vectors as OpenAI's API writes them."""

import base64
import struct
from collections.abc import Sequence
from typing import Any

from agent_service.contract import MAX_CHUNKS
from backend.gateway.embedding import EmbeddedTexts
from backend.openai_api.errors import Refused, Unsupported

MOST_CHARS = 20_000  # of one text
MOST_CHARS_TOGETHER = 400_000


def texts_of(given: Any) -> list[str]:
    """Raises Refused, Unsupported."""
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not 1 <= len(texts) <= MAX_CHUNKS:
        raise Refused(f"Send a text or a list of 1 to {MAX_CHUNKS} texts.", param="input")
    if any(isinstance(text, int | list) for text in texts):
        raise Unsupported("Send texts: whose tokens these are, this server cannot know.", param="input")
    if not all(isinstance(text, str) and text.strip() for text in texts):
        raise Refused("Every input is a text that is not empty.", param="input")
    if max(map(len, texts)) > MOST_CHARS or sum(map(len, texts)) > MOST_CHARS_TOGETHER:
        raise Refused(
            f"A text has at most {MOST_CHARS} characters, all together {MOST_CHARS_TOGETHER}.",
            param="input",
            code="string_above_max_length",
        )
    return texts


def embeddings_object(embedded: EmbeddedTexts, *, as_base64: bool) -> dict[str, Any]:
    shown = [_base64(vector) if as_base64 else vector for vector in embedded.vectors]
    data = [{"object": "embedding", "index": index, "embedding": vector} for index, vector in enumerate(shown)]
    usage = {"prompt_tokens": embedded.input_tokens, "total_tokens": embedded.input_tokens}
    return {"object": "list", "model": embedded.embedding, "data": data, "usage": usage}


def _base64(vector: Sequence[float]) -> str:
    """Little-endian 32-bit floats, which is what OpenAI's own package asks for."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
