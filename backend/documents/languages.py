"""Which language a text is in: by its script, and within a script by letters of its own or by its commonest words.

A table instead of a model: it takes no memory worth a word, starts at once, and "unknown" is an answer.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache

SAMPLE_CHARS = 20_000
_PIECES = 40
_LEAST_LETTERS = 20
_LEAST_WORDS = 8  # of the commonest words, before they are believed
_LEAST_SHARE = 0.08  # of all words; running text has 0.25 to 0.5, lists of names have none
_WORD = re.compile(r"[^\W\d_]+")

# First and last code point of the letters of a script.
_SCRIPTS = {
    "latin": ((0x41, 0x5A), (0x61, 0x7A), (0xC0, 0x24F), (0x1E00, 0x1EFF)),
    "greek": ((0x370, 0x3FF), (0x1F00, 0x1FFF)),
    "cyrillic": ((0x400, 0x52F),),
    "armenian": ((0x530, 0x58F),),
    "hebrew": ((0x590, 0x5FF),),
    "arabic": ((0x600, 0x6FF), (0x750, 0x77F)),
    "devanagari": ((0x900, 0x97F),),
    "bengali": ((0x980, 0x9FF),),
    "tamil": ((0xB80, 0xBFF),),
    "thai": ((0xE00, 0xE7F),),
    "georgian": ((0x10A0, 0x10FF),),
    "hangul": ((0x1100, 0x11FF), (0xAC00, 0xD7AF)),
    "kana": ((0x3040, 0x30FF),),
    "han": ((0x3400, 0x4DBF), (0x4E00, 0x9FFF)),
}
_ONE_LANGUAGE = {
    "greek": "el", "armenian": "hy", "hebrew": "he", "devanagari": "hi", "bengali": "bn", "tamil": "ta", "thai": "th",
    "georgian": "ka", "hangul": "ko", "kana": "ja", "han": "zh",
}  # fmt: skip

# Letters that neighbours in the script do not use; the first that is frequent enough decides.
_LETTERS = {
    "arabic": (("ur", "ٹڈڑےں"), ("fa", "پچژگکی")),
    "cyrillic": (("uk", "іїєґ"), ("be", "ў"), ("sr", "јљњћђ"), ("ru", "ыэё")),
}
_OTHERWISE = {"arabic": "ar", "cyrillic": "bg"}
_LEAST_OWN = 0.01

_WORDS = {
    "en": "the of and to in is that it was for on are as with his they at be this from have or by not but what were we",
    "de": "der die und in den von zu das mit sich des auf für ist im dem nicht ein eine als auch es an werden aus er",
    "fr": "de la le et les des en un du une que est pour qui dans par sur il au plus ne pas ce avec sont cette ou aux",
    "es": "de la que el en y a los del se las por un para con no una su al lo como más pero sus le ya o este sí porque",
    "it": "di e il la che in un è per una sono con non si da del le della dei al come più anche ma lo nel alla ha gli",
    "pt": "de a o que e do da em um para é com não uma os no se na por mais as dos como mas foi ao ele das tem à seu",
    "nl": "de van het een en in is dat op te zijn met voor niet aan er om ook als dan maar bij nog uit door naar hij",
    "sv": "och i att det som en på är av för med till den har de inte om ett han men var sig så från vi kan när nu",
    "da": "og i at det er en til af på for med der den de ikke som et har han fra var men sig om vi kan jeg så blev",
    "no": "og i det er en til av på for med som den de ikke et har fra å var men seg om vi kan jeg så ble hun etter",
    "fi": "ja on ei että se oli hän mutta ovat tai kun niin myös sen joka ole kuin jos mitä sitä vain nyt hänen ollut",
    "pl": "w i na z się do nie jest to że o jak po co ale za od przez są tak przy dla czy oraz jego tym który tego ma",
    "cs": "a v se na je že s z do o i to k ve pro za by ale si po jako podle od jsem byl jeho jsou také které není být",
    "ro": "și de la în a cu nu pe este o că din un se mai care pentru au fi ce sau am fost dar lui ale prin sunt acest",
    "hu": "a az és hogy nem is egy ez volt de meg csak már mint még azt van ha vagy el lesz minden akkor aki ami kell",
    "tr": "ve bir bu da de için ile çok olarak daha gibi ne en olan var kadar o sonra ama ki değil her ya mi olduğu",
    "vi": "và của là có không được cho một trong các người với để những đã này khi đến từ như tôi về ra thì lại",
    "id": "yang dan di dengan untuk pada dari ini itu tidak dalam akan adalah ke ada juga atau oleh karena bisa",
}
_VOCABULARY = {code: frozenset(words.split()) for code, words in _WORDS.items()}


def language_of(pages: Sequence[str]) -> str:
    """ISO 639-1 code of the language that most of the text is in; empty where that is not clear."""
    sample = _sample(pages)
    letters = Counter(sample)
    script = _script(letters)
    if script == "latin":
        return _by_words(sample)
    return _by_letters(script, letters) if script in _LETTERS else _ONE_LANGUAGE.get(script, "")


def _sample(pages: Sequence[str]) -> str:
    """From everywhere in the text: the first pages are often a cover or a table of contents."""
    step = max(1, len(pages) // _PIECES)
    chosen = pages[::step]
    chars = SAMPLE_CHARS // max(1, len(chosen))
    starts = (len(page) // 3 if len(page) > 2 * chars else 0 for page in chosen)
    return " ".join(page[start : start + chars] for page, start in zip(chosen, starts, strict=True)).lower()


def _script(letters: Mapping[str, int]) -> str:
    """The one that most letters are of."""
    scripts: Counter[str] = Counter()
    for char, count in letters.items():
        scripts[_script_of(char)] += count
    del scripts[""]
    if scripts.total() < _LEAST_LETTERS:
        return ""
    if scripts["kana"] * 10 > scripts["han"]:  # Japanese is written with both
        scripts["kana"] += scripts.pop("han", 0)
    return scripts.most_common(1)[0][0]


@lru_cache(maxsize=4096)
def _script_of(char: str) -> str:
    code = ord(char)
    for script, ranges in _SCRIPTS.items():
        if any(first <= code <= last for first, last in ranges):
            return script
    return ""


def _by_letters(script: str, letters: Mapping[str, int]) -> str:
    total = sum(count for char, count in letters.items() if _script_of(char) == script)
    for code, own in _LETTERS[script]:
        if sum(letters.get(char, 0) for char in own) > _LEAST_OWN * total:
            return code
    return _OTHERWISE[script]


def _by_words(sample: str) -> str:
    words = Counter(_WORD.findall(sample))
    hits = {code: sum(map(words.__getitem__, filter(words.__contains__, known))) for code, known in _VOCABULARY.items()}
    best = max(hits, key=hits.__getitem__)
    return best if hits[best] >= max(_LEAST_WORDS, _LEAST_SHARE * words.total()) else ""
