"""What a question expects to be told: a time, a number, somebody; and whether a sentence has it.

The words that ask are known in the languages most asked in. A question in another one expects nothing in particular.
"""

import re
from typing import Literal

from agent_service.pipeline.claims import names_in
from agent_service.pipeline.figures import figures

Expected = Literal["time", "number", "name"]

_TIME = re.compile(
    r"\b(?:when|(?:what|which) (?:year|date|day|month|century|decade)"
    r"|wann|welche[mns]? (?:jahr|datum|tag|monat|jahrhundert)|quand|quelle (?:année|date)|cuándo|qué (?:año|fecha)"
    r"|quando|che anno|que ano|wanneer|когда)\b"
    r"|в каком году|متى|في أي (?:عام|سنة|يوم)|कब|什么时候|何年|いつ|哪一?年|เมื่อ(?:ไร|ไหร่)",
    re.IGNORECASE,
)
_NUMBER = re.compile(
    r"\b(?:how (?:many|much|old|long|tall|high|large|big|far|often|fast|deep)"
    r"|what (?:percent|percentage|number|amount|share|price|age)"
    r"|wie ?vie(?:l|le|len|ler)|wie (?:alt|lang|hoch|groß|weit|oft|schnell|tief|teuer)|prozent"
    r"|combien|cuánt[oa]s?|quant[oiae]s?|hoeveel|сколько|كم)\b"
    r"|कितन|多少|几|幾|いくつ|いくら|何[人個円歳]|กี่|เท่าไร",
    re.IGNORECASE,
)
_NAME = re.compile(r"\b(?:who|whom|whose|we[rnm]|wessen|qui|quién(?:es)?|chi|quem|кто)\b", re.IGNORECASE)
_WORD = re.compile(r"\w+")
_MONTH_WORDS = (
    "january february march april may june july august september october november december century"
    " januar februar märz mai juni juli oktober dezember jahrhundert"
    " janvier février mars avril juin juillet août septembre octobre novembre décembre siècle"
    " enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre siglo"
    " января февраля марта апреля мая июня июля августа сентября октября ноября декабря"
)
_MONTHS = frozenset(_MONTH_WORDS.split())
_MONTH_WITHIN = re.compile("القرن|يناير|فبراير|مارس|أبريل|مايو|يونيو|يوليو|أغسطس|سبتمبر|أكتوبر|نوفمبر|ديسمبر|世纪|世紀")
"""Where words are written with others before or after them."""


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
    if wanted == "time" and _names_a_month(sentence):
        return True
    own = {reading for figure in figures(question) for reading in figure}
    return any(figure.isdisjoint(own) for figure in figures(sentence))


def _names_a_month(sentence: str) -> bool:
    return not _MONTHS.isdisjoint(_WORD.findall(sentence.lower())) or _MONTH_WITHIN.search(sentence) is not None
