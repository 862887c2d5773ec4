"""What a sentence denies: the words within reach of each of its negations, and the words whose opposite changes what
is said.
"""

import re

from agent_service.pipeline.terms import is_unspaced, stem_of, words_of

_NEGATIONS_WORDS = """
    not no never none nobody nothing nor neither cannot without nicht kein keine keinen keinem keiner keines nie
    niemals niemand nichts ohne pas jamais aucun aucune sans rien nunca sin ningún ninguna ninguno nadie jamás non
    mai senza nessun nessuno nessuna não sem nenhum nenhuma ninguém niet geen nooit zonder inte ikke ingen aldrig
    aldri не нет без никогда ни لا لم لن ليس ليست غير بدون دون न नहीं बिना değil yok nie bez nem nincs nu ei
    """
_NEGATIONS = frozenset(_NEGATIONS_WORDS.split())
_NT = re.compile(r"(\w)n['’]t(?!\w)")
_NAMING_NON = re.compile(r"\b[Nn]on[-\s](?=[A-Z])")
"""The beginning of what something is called ("non-GAAP"), in whatever sentence."""
_CLAUSE = re.compile(r"[,;:()\[\]—–。，、；！？.!?؛،]|\n")
_UNSPACED_NEGATION = re.compile("不|没有|沒有|没|沒|未|无|無|非|ない|ません|なかった|ぬ|ไม่|มิ")
_NOT_ONLY = [[word] for word in ("only", "just", "merely", "nur", "seulement", "sólo", "solo", "apenas", "только")]
_REACH_BACK = 2
_REACH = 4
MOST = 40
"""Negations of one sentence; one with more says nothing that could be compared."""
_UNSPACED_REACH = 4

_OPPOSITES = (
    ("increase increased increases increasing rise rose risen rising rises grow grew grown growth up gain gained",
     "decrease decreased decreases decreasing fall fell fallen falling falls decline declined declines shrank down"),
    ("more higher greater larger above over most highest largest maximum",
     "less lower smaller below under fewer least lowest smallest minimum"),
    ("before earlier until", "after later since"),
    ("first earliest", "last latest final"),
    ("open opens opened opening", "close closes closed closing"),
    ("allow allowed allows permitted may", "forbid forbidden prohibited banned"),
    ("north northern", "south southern"),
    ("east eastern", "west western"),
    ("win won wins", "lose lost loses"),
    ("always", "never"),
    ("include includes included including", "exclude excludes excluded excluding"),
    ("gestiegen steigt stieg zunahme wächst wuchs erhöht", "gesunken sinkt sank abnahme fiel gefallen verringert"),
    ("mehr höher größer über mindestens", "weniger niedriger kleiner unter höchstens"),
    ("vor früher", "nach später"),
    ("öffnet geöffnet", "schließt geschlossen"),
    ("erlaubt", "verboten"),
)  # fmt: skip
_SIDES = [(frozenset(one.split()), frozenset(other.split())) for one, other in _OPPOSITES]
_ALL_SIDES = frozenset().union(*(one | other for one, other in _SIDES))

Denials = list[frozenset[str]]


def spelled_out(text: str) -> str:
    """don't: do not"""
    return _NT.sub(r"\1 not", text)


def denials(text: str) -> Denials:
    """For each negation the terms that it may be about: those next to it in its clause."""
    found: Denials = []
    for clause in _CLAUSE.split(_NAMING_NON.sub("non", spelled_out(text))):
        words = words_of(clause)
        for place, word in enumerate(words):
            if is_unspaced(word):
                found.extend(_unspaced(word))
            elif word in _NEGATIONS and words[place + 1 : place + 2] not in _NOT_ONLY:
                near = [*words[max(0, place - _REACH_BACK) : place], *words[place + 1 : place + 1 + _REACH]]
                found.append(frozenset(stem_of(one) for one in near if len(one) > 1 and one not in _NEGATIONS))
    return list(dict.fromkeys(found))[:MOST]


def _unspaced(run: str) -> Denials:
    found: Denials = []
    for match in _UNSPACED_NEGATION.finditer(run):
        before = run[max(0, match.start() - _UNSPACED_REACH) : match.start()]
        after = run[match.end() : match.end() + _UNSPACED_REACH]
        found.append(frozenset(part[i : i + 2] for part in (before, after) for i in range(len(part) - 1)))
    return found


def contradicts(claim: Denials, claim_terms: frozenset[str], source: Denials, source_terms: frozenset[str]) -> bool:
    """Whether one of the two denies what the other states."""
    return _denied_alone(claim, source_terms, source) or _denied_alone(source, claim_terms, claim)


def _denied_alone(denied: Denials, stated: frozenset[str], others: Denials) -> bool:
    about = [scope & stated for scope in denied]
    return any(words and not any(words & other for other in others) for words in about)


def opposed(claim: frozenset[str], source: frozenset[str]) -> bool:
    """Whether the claim has a word where the source has only its opposite. Both are folded words."""
    if claim.isdisjoint(_ALL_SIDES):
        return False
    for one, other in _SIDES:
        for here, there in ((one, other), (other, one)):
            if claim & here and not claim & there and source & there and not source & here:
                return True
    return False
