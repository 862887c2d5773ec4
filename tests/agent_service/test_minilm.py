import asyncio
import math
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tokenizers import Tokenizer

from agent_service.errors import Misconfigured
from agent_service.providers import minilm_weights, registry
from agent_service.providers.minilm import DIMENSION, LONGEST_TEXT, MiniLMEmbedder
from agent_service.providers.minilm_graph import WIDTH
from agent_service.settings import Settings

Floats = NDArray[np.floating]


@pytest.fixture(scope="module")
def embedder() -> Iterator[MiniLMEmbedder]:
    """One for all: it takes seconds to load."""
    opened = MiniLMEmbedder()
    yield opened
    asyncio.run(opened.aclose())


def likeness(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


async def test_texts_that_mean_the_same_lie_close_though_they_share_no_word(embedder: MiniLMEmbedder) -> None:
    texts = ["The physician treats an illness.", "Doctors cure diseases.", "The physician bought an umbrella."]
    physician, doctors, umbrella = (await embedder.embed_documents(texts)).vectors
    assert likeness(physician, doctors) > likeness(physician, umbrella) + 0.1


async def test_a_text_has_the_same_vector_alone_and_beside_others(embedder: MiniLMEmbedder) -> None:
    texts = ["x " * 3_000, "short", " ", "middle " * 50]
    together = (await embedder.embed_documents(texts)).vectors
    assert together == [(await embedder.embed_query(text)).vectors[0] for text in texts]


@pytest.mark.parametrize("text", ["", " ", "\n\t", "\x00", "\ud800", "🙂", "a" * (LONGEST_TEXT * 3)])
async def test_every_text_has_a_vector_of_unit_length(embedder: MiniLMEmbedder, text: str) -> None:
    [vector] = (await embedder.embed_documents([text])).vectors
    assert len(vector) == DIMENSION
    assert math.isclose(likeness(vector, vector), 1, abs_tol=1e-4)


async def test_is_what_the_model_gives_in_full_numbers(embedder: MiniLMEmbedder) -> None:
    [vector] = (await embedder.embed_query("This is a test.")).vectors
    assert likeness(vector, exact("This is a test.")) > 0.98


def exact(text: str) -> list[float]:
    """BERT in numpy, without any rounding."""
    archive = minilm_weights.archive()
    w = minilm_weights.tensors(minilm_weights.read(archive, minilm_weights.WEIGHTS))
    ids = Tokenizer.from_buffer(minilm_weights.read(archive, minilm_weights.TOKENIZER)).encode(text).ids
    ids = [one for one in ids if one]  # without its padding

    def norm(x: Floats, name: str) -> Floats:
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-12)
        return x * w[f"{name}.weight"] + w[f"{name}.bias"]

    def linear(x: Floats, name: str) -> Floats:
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    words, places = w["embeddings.word_embeddings.weight"], w["embeddings.position_embeddings.weight"]
    segment = w["embeddings.token_type_embeddings.weight"][0]
    x = norm(words[ids] + places[: len(ids)] + segment, "embeddings.LayerNorm")
    for layer in range(6):
        name = f"encoder.layer.{layer}"
        q, k, v = (
            linear(x, f"{name}.attention.self.{part}").reshape(-1, 12, 32).transpose(1, 0, 2)
            for part in ("query", "key", "value")
        )
        likely = np.exp(q @ k.transpose(0, 2, 1) / 32**0.5)
        mixed = (likely / likely.sum(-1, keepdims=True) @ v).transpose(1, 0, 2).reshape(-1, WIDTH)
        x = norm(linear(mixed, f"{name}.attention.output.dense") + x, f"{name}.attention.output.LayerNorm")
        wide = linear(x, f"{name}.intermediate.dense")
        wide = wide * 0.5 * (1 + np.vectorize(math.erf)(wide / 2**0.5))
        x = norm(linear(wide, f"{name}.output.dense") + x, f"{name}.output.LayerNorm")
    mean = x.mean(0)
    return [float(one) for one in mean / np.linalg.norm(mean)]


def test_weighs_more_beside_english_words_than_beside_others() -> None:
    embedder = MiniLMEmbedder()
    shares = [embedder.lexical_share(language) for language in ("en", "de", "ar", "")]
    assert shares == sorted(shares)
    assert shares[0] < 0.6 < 0.9 < shares[2]


def test_other_weights_than_the_pinned_ones_are_refused(tmp_path: Path) -> None:
    changed = tmp_path / "model.zip"
    with zipfile.ZipFile(changed, "w") as files:
        files.writestr(minilm_weights.TOKENIZER, "{}")
    with pytest.raises(Misconfigured, match=r"tokenizer.json of model.zip is not the one that is pinned"):
        minilm_weights.read(changed, minilm_weights.TOKENIZER)


async def test_where_it_is_not_installed_the_service_says_how(
    agent_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(minilm_weights, "PACKAGE", "all_minilm_that_is_not_here")
    settings = agent_settings.model_copy(update={"local_neural": True})
    with pytest.raises(Misconfigured, match="make setup-neural"):
        async with registry.opened(settings):
            pass


async def test_is_offered_where_it_is_wanted(agent_settings: Settings) -> None:
    wanted = agent_settings.model_copy(update={"local_neural": True, "default_embedding": MiniLMEmbedder.id})
    async with registry.opened(wanted) as catalogue:
        assert catalogue.default_embedding == "local:minilm:384"
        assert "local:wordllama:256" in catalogue.embedders
    async with registry.opened(agent_settings) as catalogue:
        assert MiniLMEmbedder.id not in catalogue.embedders
