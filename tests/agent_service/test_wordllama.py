import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import wordllama
from hypothesis import example, given
from hypothesis import strategies as st

from agent_service.providers.wordllama import DIMENSION, LONGEST_TEXT, SHORTER, Table, Tokens, WordLlamaEmbedder


@pytest.fixture(scope="module", params=[DIMENSION, SHORTER])
def embedder(request: pytest.FixtureRequest) -> WordLlamaEmbedder:
    return WordLlamaEmbedder(request.param)


def likeness(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


async def test_like_texts_lie_close(embedder: WordLlamaEmbedder) -> None:
    texts = ["The cat sits on the mat.", "A cat is sitting on a rug.", "Quarterly revenue fell by 3 %."]
    cat, rug, revenue = (await embedder.embed_documents(texts)).vectors
    assert likeness(cat, rug) > likeness(cat, revenue) + 0.2


async def test_vectors_come_in_the_order_of_the_texts(embedder: WordLlamaEmbedder) -> None:
    texts = ["x " * 30_000, "short", " ", "middle " * 50, "short"] * 20
    together = (await embedder.embed_documents(texts)).vectors
    alone = [(await embedder.embed_query(text)).vectors[0] for text in texts[:5]]
    for place, vector in enumerate(together):
        assert vector == pytest.approx(alone[place % 5], abs=1e-5)


@pytest.mark.parametrize("text", ["", " ", "\n\t", "\x00", "\ud800", "🙂", "a" * (LONGEST_TEXT * 3)])
async def test_every_text_has_a_vector_of_unit_length(embedder: WordLlamaEmbedder, text: str) -> None:
    [vector] = (await embedder.embed_documents([text])).vectors
    assert len(vector) == embedder.dimension
    assert math.isclose(likeness(vector, vector), 1, abs_tol=1e-4)


async def test_usage_is_estimated(embedder: WordLlamaEmbedder) -> None:
    usage = (await embedder.embed_documents(["a" * 40, "b" * 40])).usage
    assert (usage.input_tokens, usage.output_tokens, usage.estimated) == (20, 0, True)


async def test_ends_with_its_service() -> None:
    embedder = WordLlamaEmbedder()
    await embedder.aclose()
    with pytest.raises(RuntimeError):
        await embedder.embed_query("too late")


async def test_the_shorter_vectors_are_the_beginning_of_the_longer_ones() -> None:
    longer = WordLlamaEmbedder()
    shorter = WordLlamaEmbedder(SHORTER, longer.table)
    [whole] = (await longer.embed_query("The cat sits on the mat.")).vectors
    [half] = (await shorter.embed_query("The cat sits on the mat.")).vectors
    norm = math.sqrt(likeness(whole[:SHORTER], whole[:SHORTER]))
    assert half == pytest.approx([number / norm for number in whole[:SHORTER]], abs=1e-6)


@pytest.fixture(scope="module")
def library() -> Any:
    return wordllama.WordLlama.load(dim=DIMENSION, cache_dir=Path(wordllama.__file__).parent, disable_download=True)


@pytest.fixture(scope="module")
def tokens() -> Tokens:
    model = wordllama.WordLlama.load(dim=DIMENSION, cache_dir=Path(wordllama.__file__).parent, disable_download=True)
    return Tokens(model.tokenizer)


_PIECES = [
    "the",
    "unbelievably",
    "'s",
    "é",
    "北京",
    "🙂",
    " ",
    "  ",
    "\n",
    "\t",
    "\r\n",
    "\u2581",
    "<",
    "<s>",
    "</s>",
    "_{",
    "3.5",
    ").",
]


@given(text=st.one_of(st.text(max_size=80), st.lists(st.sampled_from(_PIECES), max_size=30).map("".join)))
@example(text="<s><s>a b</s>")
@example(text="a<unk> b\n\n  c")
def test_the_tokens_are_the_tokenizers(text: str, tokens: Tokens, library: Any) -> None:
    assert tokens.of(text).tolist() == library.tokenizer.encode(text, add_special_tokens=False).ids


def test_no_token_joins_what_is_remembered_apart(library: Any) -> None:
    for token in library.tokenizer.get_vocab():
        assert "\u2581" not in token.lstrip("\u2581")
        assert "\n" not in token


def test_the_vectors_are_the_librarys(library: Any) -> None:
    texts = ["The cat sits on the mat.", "Zwei  Zeilen:\n\n- eine\n- noch eine", "北京大学 🙂", "x" * 3_000]
    expected = library.embed(texts, norm=True)
    found = Table().embed(texts)
    assert np.abs(found / np.linalg.norm(found, axis=1, keepdims=True) - expected).max() < 1e-6


def test_what_is_remembered_is_bounded(tokens: Tokens, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent_service.providers.wordllama.REMEMBERED_UNITS", 100)
    tokens.clear()
    tokens.of(" ".join(map(str, range(350))) + " " + "y" * 10_000)
    assert 0 < len(tokens) <= 100
    assert max(map(len, tokens)) < 50
