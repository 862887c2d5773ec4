"""What a question expects to be told: a time, a number, somebody; and whether a sentence has it.

The words that ask are known in the languages most asked in. A question in another one expects nothing in particular.
"""

import re
from typing import Literal

from agent_service.pipeline.claims import names_in
from agent_service.pipeline.figures import figures

Expected = Literal["time", "number", "name"]

_TIME = re.compile(
    r"\bwhen\b|\b(?:what|which) (?:year|date|day|month|century|decade)\b"
    r"|\bwann\b|\bwelche[mns]? (?:jahr|datum|tag|monat|jahrhundert)\b"
    r"|\bquand\b|\bquelle (?:année|date)\b|\bcuándo\b|\bqué (?:año|fecha)\b|\bquando\b|\bche anno\b|\bque ano\b"
    r"|\bwanneer\b|\bкогда\b|в каком году|متى|في أي (?:عام|سنة|يوم)|कब|什么时候|何年|いつ|哪一?年|เมื่อ(?:ไร|ไหร่)",
    re.IGNORECASE,
)
_NUMBER = re.compile(
    r"\bhow (?:many|much|old|long|tall|high|large|big|far|often|fast|deep)\b"
    r"|\bwhat (?:percent|percentage|number|amount|share|price|age)\b"
    r"|\bwie ?vie(?:l|le|len|ler)\b|\bwie (?:alt|lang|hoch|groß|weit|oft|schnell|tief|teuer)\b|\bprozent\b"
    r"|\bcombien\b|\bcuánt[oa]s?\b|\bquant[oiae]s?\b|\bhoeveel\b|\bсколько\b|\bكم\b|कितन|多少|几|幾|いくつ|いくら|何[人個円歳]|กี่|เท่าไร",
    re.IGNORECASE,
)
_NAME = re.compile(
    r"\bwho\b|\bwhom\b|\bwhose\b|\bwe[rnm]\b|\bwessen\b|\bqui\b|\bquién(?:es)?\b|\bchi\b|\bquem\b|\bкто\b",
    re.IGNORECASE,
)
_MONTH = re.compile(
    r"\b(?:january|february|march|april|may|june|july|august|september|october|november|december|century"
    r"|januar|februar|märz|mai|juni|juli|oktober|dezember|jahrhundert|janvier|février|mars|avril|juin|juillet|août"
    r"|septembre|octobre|novembre|décembre|siècle|enero|febrero|marzo|abril|mayo|junio|julio|agosto|septiembre|octubre"
    r"|noviembre|diciembre|siglo|января|февраля|марта|апреля|мая|июня|июля|августа|сентября|октября|ноября|декабря)\b"
    r"|القرن|يناير|فبراير|مارس|أبريل|مايو|يونيو|يوليو|أغسطس|سبتمبر|أكتوبر|نوفمبر|ديسمبر|世纪|世紀",
    re.IGNORECASE,
)


def expected(question: str) -> Expected | None:
    if _TIME.search(question):
        return "time"
    if _NUMBER.search(question):
        return "number"
    return "name" if _NAME.search(question) else None


def meets(sentence: str, wanted: Expected, question: str) -> bool:
    """A number of the question's own is no answer to it. Only scripts with capitals show where a name is."""
    if wanted == "name":
        return not any(map(str.isupper, sentence)) or bool(names_in(sentence))
    if wanted == "time" and _MONTH.search(sentence):
        return True
    own = {reading for figure in figures(question) for reading in figure}
    return any(figure.isdisjoint(own) for figure in figures(sentence))
