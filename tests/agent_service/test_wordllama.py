import math

import pytest

from agent_service.providers.wordllama import DIMENSION, LONGEST_TEXT, SHORTER, WordLlamaEmbedder


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
