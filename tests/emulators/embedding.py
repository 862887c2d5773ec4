"""Vectors that need no model: hashed words and letter triples, so that texts that share words are near."""

import functools
import re
import unicodedata
import zlib
from collections import Counter

import numpy as np
from numpy.typing import NDArray

WORD = re.compile(r"\w+")
TRIPLE_WEIGHT = 0.35


def embed(text: str, dimension: int) -> NDArray[np.float64]:
    """Unit length; text without a single word has a vector of its own rather than none."""
    words = Counter(WORD.findall(unicodedata.normalize("NFKC", text).lower())) or Counter([text or " "])
    vector = np.zeros(dimension)
    for word, count in words.items():
        places, weights = _features(word, dimension)
        np.add.at(vector, places, weights * (1.0 + np.log(count)))
    return vector / np.linalg.norm(vector)


@functools.lru_cache(maxsize=50_000)
def _features(word: str, dimension: int) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    padded = f"^{word}$"
    triples = [padded[start : start + 3] for start in range(len(padded) - 2)]
    hashes = [
        zlib.crc32(word.encode("utf-8", "replace")),
        *(zlib.crc32(f"#{triple}".encode("utf-8", "replace")) for triple in triples),
    ]
    signs = np.array([1.0 if value & 1 else -1.0 for value in hashes])
    weights = np.array([1.0] + [TRIPLE_WEIGHT] * len(triples))
    return np.array([(value >> 1) % dimension for value in hashes]), signs * weights
