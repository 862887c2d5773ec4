"""The answerer without a key: it quotes the sentences of the passages that fit the question best, and says that it
quotes.

Sentences are ranked by BM25 over the sentences of all passages, with their neighbours as context; a question of whose
weighted terms too few are found is answered with a plain no.
"""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, replace

from agent_service.contract import Passage
from agent_service.pipeline.citing import without_markers
from agent_service.pipeline.sentences import Span, sentence_spans
from agent_service.pipeline.terms import asked_terms, idf, terms_of
from agent_service.pipeline.tokens import estimated_usage
from agent_service.ports import Piece, Prompt

MODEL_ID = "local:extractive"
INTRODUCTION = "From the documents:"
NOT_FOUND = "I could not find an answer to this in the documents."

MOST_QUOTES = 3
SECOND_SHARE = 0.75
"""A further sentence is quoted where it scores at least this share of the best one."""
LEAST_COVERAGE = 0.33
"""Of the question's weighted terms; found in the sentence counts whole, in its neighbourhood half."""
NEIGHBOUR_WEIGHT = 0.35
K1, B = 1.2, 0.4


@dataclass(frozen=True, slots=True)
class Quote:
    """`passage` is the 1-based place, as in the marker; `place` the sentence's in its passage."""

    passage: int
    place: int
    text: str
    score: float
    coverage: float


@dataclass(frozen=True, slots=True)
class _Sentence:
    passage: int
    place: int
    span: Span
    text: str
    terms: Counter[str]
    around: frozenset[str]


class ExtractiveAnswerer:
    id = MODEL_ID
    context_tokens = 1_000_000

    async def stream(self, prompt: Prompt) -> AsyncIterator[Piece]:
        quotes = await asyncio.to_thread(best_quotes, prompt.question, prompt.passages)
        usage = estimated_usage(self.id, prompt.message)
        if not quotes:
            yield Piece(text=NOT_FOUND)
            yield Piece(finish_reason="not_found", usage=usage)
            return
        written = _written(quotes)
        for word in re.findall(r"\s+\S*|\S+", written.rstrip()):
            yield Piece(text=word)
        yield Piece(finish_reason="stop", usage=estimated_usage(self.id, prompt.message, written))


def best_quotes(question: str, passages: Sequence[Passage]) -> list[Quote]:
    """Up to MOST_QUOTES, best first, each from another passage; none where nothing fits well enough."""
    sentences = list(_unique(_sentences(passages)))
    asked = asked_terms(question)
    if not sentences or not asked:
        return []
    weight = _weights(asked, sentences)
    mean = sum(sentence.terms.total() for sentence in sentences) / len(sentences)
    ranked = sorted((_scored(sentence, weight, mean) for sentence in sentences), key=lambda quote: -quote.score)
    best = ranked[0]
    if best.coverage < LEAST_COVERAGE:
        return []
    good = [quote for quote in ranked if quote.score >= SECOND_SHARE * best.score]
    return list(_one_a_passage(good))[:MOST_QUOTES]


def _one_a_passage(quotes: Sequence[Quote]) -> Iterator[Quote]:
    """The best quote of each passage with those of its neighbours that are as good, as they stand there: a marker
    stands for one quote, and must not stand under another as well.
    """
    seen: set[int] = set()
    for best in quotes:
        if best.passage in seen:
            continue
        seen.add(best.passage)
        places = {quote.place: quote for quote in quotes if quote.passage == best.passage}
        first = last = best.place
        while first - 1 in places:
            first -= 1
        while last + 1 in places:
            last += 1
        text = " ".join(places[place].text for place in range(first, last + 1))
        yield replace(best, text=text)


def _sentences(passages: Sequence[Passage]) -> Iterator[_Sentence]:
    for place, passage in enumerate(passages, start=1):
        spans = sentence_spans(passage.text)
        terms = [Counter(terms_of(passage.text[start:end])) for start, end in spans]
        title = frozenset(terms_of(passage.title))
        for i, (start, end) in enumerate(spans):
            around = title.union(*terms[max(0, i - 2) : i], *terms[i + 1 : i + 2])
            yield _Sentence(place, i, (start, end), passage.text[start:end], terms[i], around)


def _unique(sentences: Iterator[_Sentence]) -> Iterator[_Sentence]:
    """Passages may overlap; the first of equal sentences stays."""
    seen: set[str] = set()
    for sentence in sentences:
        if sentence.text not in seen:
            seen.add(sentence.text)
            yield sentence


def _weights(asked: Sequence[str], sentences: Sequence[_Sentence]) -> dict[str, float]:
    frequency = Counter(term for sentence in sentences for term in sentence.terms)
    return {term: idf(len(sentences), frequency[term]) for term in asked}


def _scored(sentence: _Sentence, weight: dict[str, float], mean: float) -> Quote:
    length = K1 * (1 - B + B * sentence.terms.total() / mean)
    score = found = 0.0
    for term, value in weight.items():
        count = sentence.terms[term]
        if count:
            score += value * count * (K1 + 1) / (count + length)
            found += value
        elif term in sentence.around:
            score += NEIGHBOUR_WEIGHT * value
            found += value / 2
    return Quote(sentence.passage, sentence.place, sentence.text, score, found / sum(weight.values()))


def _written(quotes: Sequence[Quote]) -> str:
    lines = (f"“{without_markers(' '.join(quote.text.split()))}” [{quote.passage}]" for quote in quotes)
    return "\n\n".join((INTRODUCTION, *lines))
