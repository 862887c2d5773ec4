"""Words by which a question leans on what was said before it, of the languages most asked in."""

from agent_service.pipeline.terms import folded

_POINTING = {
    "en": "it its he him his she her hers they them their theirs this these those",
    "de": "er ihn ihm sein seine seinen seinem seiner seines sie ihnen deren dessen dies dieser diese dieses diesem "
    "diesen dort davon dazu damit darüber darin daran darauf dafür dagegen",
    "fr": "il elle ils elles lui leur leurs celui celle ceux celles cela ça cet cette ces y en son sa ses",
    "es": "él ella ellos ellas lo la los las le les su sus este esta estos estas ese esa esos esas eso esto allí",
    "it": "lui lei loro esso essa essi esse lo la li le gli suo sua suoi sue questo questa questi queste ciò lì",
    "pt": "ele ela eles elas lhe lhes seu sua seus suas dele dela deles delas este esta isso isto esse essa lá",
    "nl": "hij hem zijn zij haar hun hen ze het deze dit die dat daar ervan",
    "ru": "он его ему им нём она её ей ней оно они их им ними это этот эта эти этого этой этих там",
    "ar": "هو هي هم هما هن هذا هذه ذلك تلك هؤلاء فيه فيها منه منها عنه عنها له لها لهم به بها عليه عليها",
}
POINTING = {language: frozenset(folded(word) for word in words.split()) for language, words in _POINTING.items()}

_AMBIGUOUS = {
    "fr": "il la en y son",
    "es": "la lo los las le",
    "it": "la lo le gli",
    "nl": "het zijn die dat",
    "de": "sie sein",
    "ar": "هو هي هم هما هن فيه فيها منه منها عنه عنها له لها لهم به بها عليه عليها",
}
AMBIGUOUS = {language: frozenset(words.split()) for language, words in _AMBIGUOUS.items()}
"""Which also are articles, or a verb, or a polite you, or point at a word of the same question: they lean only in a
question that says nearly nothing else, or end it.
"""

_BEFORE, _AFTER = (
    "is does did was will would can could has",
    "take takes took taken rain rains snow possible true called mean means necessary",
)
EMPTY_BEFORE, EMPTY_AFTER = frozenset(_BEFORE.split()), frozenset(_AFTER.split())
"""Between or before such words "it" stands for nothing: "How long does it take to …?"."""

_OPENING = (
    "and but so then also what_about how_about why_not since_when und aber auch was_ist_mit et mais alors y pero "
    "entonces e ma allora então mas en maar а и но و ف ماذا_عن"
)
OPENING = tuple(tuple(folded(word) for word in phrase.split("_")) for phrase in _OPENING.split())
"""What a question begins with that goes on from another; whole phrases are of several words."""

_UNSPACED = "它 他 她 那个 這個 这个 那 这 其 彼 それ これ あれ その この あの มัน เขา เธอ นั้น นี้"
UNSPACED_POINTING = tuple(_UNSPACED.split())
