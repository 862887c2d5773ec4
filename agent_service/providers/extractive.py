"""The answerer without a key: it quotes the sentences of the passages that fit the question best, and says that it
quotes.

Sentences are ranked by BM25 over the sentences of all passages, with their neighbours and the rest of their passage as
context, and by whether they have what the question expects to be told. A question of whose weighted terms too few are
found, or one alone of several, or that denies what the best sentence states, is answered with a plain no.
"""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from typing import TypeGuard

from agent_service.contract import Passage, Turn
from agent_service.pipeline.citing import without_markers
from agent_service.pipeline.expecting import Expected, expected, meets
from agent_service.pipeline.languages import STOPS, language_of
from agent_service.pipeline.lexical import LONGEST_STEMMED, stem
from agent_service.pipeline.phrases import ENGLISH, phrases_for
from agent_service.pipeline.polarity import denials, opposed
from agent_service.pipeline.question_words import QUESTION_WORDS, UNSPACED_QUESTION_WORDS
from agent_service.pipeline.rewriting import taken_over
from agent_service.pipeline.sentences import sentence_spans
from agent_service.pipeline.spelling import joining_meant, word_meant
from agent_service.pipeline.suggesting import headings
from agent_service.pipeline.terms import idf, is_unspaced, pairs_of, words_of
from agent_service.pipeline.tokens import estimated_usage
from agent_service.ports import Piece, Prompt

MODEL_ID = "local:extractive"
INTRODUCTION = ENGLISH.quoting
NOT_FOUND = ENGLISH.not_answered

MOST_QUOTES = 3
SECOND_SHARE = 0.75
"""A further sentence is quoted where it scores at least this share of the best one."""
NEIGHBOUR_SHARE, NEIGHBOUR_ADDS = 0.5, 0.1
"""The sentence before or after a quote is quoted with it from this share of the best score on, where it has at least so
much of the question's weighted terms that the quote has not.
"""
LEAST_COVERAGE = 0.25
"""Of the question's weighted terms; found in the sentence counts whole, next to it half, elsewhere in its passage a
quarter.
"""
LEAST_MET = 2
"""Of a question's terms, in the sentence or next to it: one alone of several is a word in common and no answer."""
RELATED, SHORTEST_RELATED = 0.8, 4
"""What a longer or shorter word counts beside the question's own that it begins or ends with, of so many letters or
more: compounds, and forms that a stemmer does not bring together.
"""
TAKEN_OVER = 0.2
"""What a word counts that a question leans on ("When did he die?") beside one of its own: with what was said before it
the passages were found, and in them the answer is where the question's own words are.
"""
NEAR_COVERS, FAR_COVERS = 0.5, 0.25
NEAR_SCORES, FAR_SCORES = 0.6, 0.3
PAIR_SCORES = 0.3
"""Of neighbouring words of the question that stand together in the sentence as well."""
EXPECTED = 0.15
"""What a sentence gains that has what the question expects, and loses that has not."""
FIRST_PASSAGE = 0.3
"""What the first passage gains by its place, the second half of it, and so on."""
K1, B = 1.2, 0.2
_HEADING = re.compile(r"#{1,6} [^\n]*(?:\n\s*+|\Z)")
CACHED_LENGTH = 4_000
CACHED_TEXTS = 512


@dataclass(frozen=True, slots=True)
class Quote:
    """`passage` is the 1-based place, as in the marker; `place` the sentence's in its passage; `terms` those of the
    question that it has; `met` is how many are in it or next to it.
    """

    passage: int
    place: int
    text: str
    score: float
    coverage: float
    terms: frozenset[str]
    met: int


@dataclass(frozen=True, slots=True)
class _Sentence:
    """`under`: the terms of the heading above it. A heading only names what is told below: it is no answer."""

    text: str
    terms: Counter[str]
    pairs: frozenset[tuple[str, str]]
    under: frozenset[str]
    is_heading: bool


@dataclass(frozen=True, slots=True)
class _Read:
    language: str
    sentences: Sequence[_Sentence]
    terms: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Asked:
    """`weights` of the question's terms and of those it leans on; `mean` length of all sentences."""

    question: str
    weights: dict[str, float]
    pairs: frozenset[tuple[str, str]]
    expected: Expected | None
    mean: float


class ExtractiveAnswerer:
    id = MODEL_ID
    context_tokens = 1_000_000

    async def stream(self, prompt: Prompt) -> AsyncIterator[Piece]:
        quotes = await asyncio.to_thread(best_quotes, prompt.question, prompt.passages, prompt.history)
        usage = estimated_usage(self.id, prompt.message)
        if not quotes:
            yield Piece(text=phrases_for(prompt.question).not_answered)
            yield Piece(finish_reason="not_found", usage=usage)
            return
        written = _written(quotes, phrases_for(prompt.question).quoting)
        for word in re.findall(r"\s+\S*|\S+", written.rstrip()):
            yield Piece(text=word)
        yield Piece(finish_reason="stop", usage=estimated_usage(self.id, prompt.message, written))

    def suggestions(self, prompt: Prompt, cited: Sequence[int], most: int) -> list[str]:
        """About the headings of passages that were found and not quoted; often none."""
        about = phrases_for(prompt.question).about
        return [about.format(what=heading) for heading in headings(prompt.passages, cited, most)]


def best_quotes(question: str, passages: Sequence[Passage], history: Sequence[Turn] = ()) -> list[Quote]:
    """Up to MOST_QUOTES, best first, each from another passage; none where nothing fits well enough."""
    read = [_read(passage.text) for passage in passages]
    asked = _asked(question, taken_over(question, history), read)
    if asked is None:
        return []
    titles = [frozenset(_terms(passage.title, text.language)) for passage, text in zip(passages, read, strict=True)]
    quotes = (
        quote
        for number, (text, title) in enumerate(zip(read, titles, strict=True), start=1)
        for quote in _scored(number, text, title, asked)
    )
    ranked = sorted(_unique(quotes), key=lambda quote: -quote.score)
    if not ranked or not _fits(ranked[0], asked) or _denies(question, ranked[0].text):
        return []
    return list(_one_a_passage(ranked, asked.weights))[:MOST_QUOTES]


def _fits(best: Quote, asked: _Asked) -> bool:
    return best.coverage >= LEAST_COVERAGE and best.met >= min(LEAST_MET, len(asked.weights))


def _denies(question: str, sentence: str) -> bool:
    """Whether the question asks for what is not so, or for the opposite, and the sentence only tells what is."""
    if denials(question) and not denials(sentence):
        return True
    return opposed(frozenset(words_of(question)), frozenset(words_of(sentence)))


def _one_a_passage(ranked: Sequence[Quote], weights: Mapping[str, float]) -> Iterator[Quote]:
    """The best quote of each passage with those of its neighbours that are as good or add to it, as they stand there: a
    marker stands for one quote, and must not stand under another as well.
    """
    good = [quote for quote in ranked if quote.score >= SECOND_SHARE * ranked[0].score]
    seen: set[int] = set()
    for best in good:
        if best.passage in seen:
            continue
        seen.add(best.passage)
        places = {quote.place: quote for quote in good if quote.passage == best.passage}
        first = last = best.place
        while first - 1 in places:
            first -= 1
        while last + 1 in places:
            last += 1
        said = [places[place] for place in range(first, last + 1)]
        beside = {quote.place: quote for quote in ranked if quote.passage == best.passage}
        least = NEIGHBOUR_SHARE * ranked[0].score
        if _adds(following := beside.get(last + 1), said, least, weights):
            said = [*said, following]
        if _adds(preceding := beside.get(first - 1), said, least, weights):
            said = [preceding, *said]
        yield replace(best, text=" ".join(quote.text for quote in said))


def _adds(
    neighbour: Quote | None, said: Iterable[Quote], least: float, weights: Mapping[str, float]
) -> TypeGuard[Quote]:
    if neighbour is None or neighbour.score < least:
        return False
    new = neighbour.terms.difference(*(quote.terms for quote in said))
    return sum(weights[term] for term in new) >= NEIGHBOUR_ADDS * sum(weights.values())


def _asked(question: str, taken: Sequence[str], read: Sequence[_Read]) -> _Asked | None:
    """None where nothing is asked, or there is nothing to look at. In the language of most passages."""
    sentences = [sentence for text in read for sentence in text.sentences]
    if not sentences:
        return None
    [(language, _)] = Counter(text.language for text in read).most_common(1)
    words = words_of(UNSPACED_QUESTION_WORDS.sub(" ", question))
    content = [word for word in words if word not in QUESTION_WORDS]
    frequency = Counter(term for sentence in sentences for term in sentence.terms)
    own = _meant(_stemmed(content, language), frequency, language)
    before = _stemmed([part for word in taken for part in words_of(word)], language)
    terms = own + before or _stemmed(words, "")
    if not terms:
        return None
    weights = {term: idf(len(sentences), frequency[term]) for term in terms}
    weights |= {term: TAKEN_OVER * weights[term] for term in set(before).difference(own)}
    mean = sum(sentence.terms.total() for sentence in sentences) / len(sentences)
    return _Asked(question, weights, frozenset(pairwise(own)), expected(question), mean or 1.0)


def _meant(terms: Sequence[str], known: Mapping[str, int], language: str) -> list[str]:
    """With those that no passage has, nor anything like it, as they were probably meant; joining words left out."""
    have = frozenset(known)
    meant: list[str] = []
    for term in terms:
        if _related(term, have):
            meant.append(term)
        elif not joining_meant(term, language):
            meant.append(word_meant(term, have, language))
    return meant


def _scored(number: int, read: _Read, title: frozenset[str], asked: _Asked) -> Iterator[Quote]:
    all_terms = read.terms | title
    related = {term: _related(term, all_terms) for term in asked.weights}
    for place, sentence in enumerate(read.sentences):
        if sentence.is_heading:
            continue
        around = read.sentences[max(0, place - 2) : place + 2]
        near = title.union(sentence.under, *(one.terms for one in around if not one.is_heading))
        length = K1 * (1 - B + B * sentence.terms.total() / asked.mean)
        score = found = 0.0
        own, met = set(), 0
        for term, weight in asked.weights.items():
            count = float(sentence.terms[term]) or RELATED * (not related[term].isdisjoint(sentence.terms))
            if count:
                score += weight * count * (K1 + 1) / (count + length)
                found += weight * min(1.0, count)
                own.add(term)
            elif not related[term].isdisjoint(near):
                score += weight * NEAR_SCORES
                found += weight * NEAR_COVERS
                met += 1
            elif related[term]:
                score += weight * FAR_SCORES
                found += weight * FAR_COVERS
        together = asked.pairs & sentence.pairs
        score += PAIR_SCORES * sum((asked.weights[one] + asked.weights[other]) / 2 for one, other in together)
        score *= 1 + FIRST_PASSAGE / number
        if asked.expected and score:
            score *= 1 + (EXPECTED if meets(sentence.text, asked.expected, asked.question) else -EXPECTED)
        coverage = found / sum(asked.weights.values())
        yield Quote(number, place, sentence.text, score, coverage, frozenset(own), len(own) + met)


def _related(term: str, terms: frozenset[str]) -> frozenset[str]:
    """Those of `terms` that are the term, or begin or end with it, or it with them."""
    if len(term) < SHORTEST_RELATED:
        return terms.intersection((term,))
    sizes = range(SHORTEST_RELATED, len(term) + 1)
    shorter = terms.intersection([part for size in sizes for part in (term[:size], term[-size:])])
    return shorter.union([one for one in terms if term in one and (one.startswith(term) or one.endswith(term))])


def _unique(quotes: Iterator[Quote]) -> Iterator[Quote]:
    """Passages may overlap; the first of equal sentences stays."""
    seen: set[str] = set()
    for quote in quotes:
        if quote.text not in seen:
            seen.add(quote.text)
            yield quote


def _read(text: str) -> _Read:
    return _read_and_kept(text) if len(text) <= CACHED_LENGTH else _read_anew(text)


def _read_anew(text: str) -> _Read:
    language = language_of(words_of(text))
    sentences = []
    under: frozenset[str] = frozenset()
    for start, end, is_heading in _parts(text):
        terms = _terms(text[start:end], language)
        under = frozenset(terms) if is_heading else under
        sentences.append(_Sentence(text[start:end], Counter(terms), frozenset(pairwise(terms)), under, is_heading))
    return _Read(language, sentences, frozenset().union(*(sentence.terms for sentence in sentences)))


def _parts(text: str) -> Iterator[tuple[int, int, bool]]:
    """Sentences, and headings apart from those that begin in the next line."""
    for start, end in sentence_spans(text):
        while start < end and (heading := _HEADING.match(text, start, end)):
            yield start, heading.end(), True
            start = heading.end()
        if start < end:
            yield start, end, False


_read_and_kept = lru_cache(CACHED_TEXTS)(_read_anew)
"""Good passages are found for many questions."""


def _terms(text: str, language: str) -> list[str]:
    return _stemmed(words_of(text), language)


def _stemmed(words: Sequence[str], language: str) -> list[str]:
    """Words that say something, as their stems."""
    silent = STOPS.get(language, frozenset())
    found: list[str] = []
    for word in words:
        if is_unspaced(word):
            found.extend(pairs_of(word))
        elif word not in silent:
            found.append(stem(word, language) if len(word) <= LONGEST_STEMMED else word)
    return found


def _written(quotes: Sequence[Quote], introduction: str) -> str:
    lines = (f"“{without_markers(' '.join(quote.text.split()))}” [{quote.passage}]" for quote in quotes)
    return "\n\n".join((introduction, *lines))
