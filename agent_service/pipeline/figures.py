"""The numbers that a text states, so that the same number is the same however it is written: `1,094`, `1.094`, `١٬٠٩٤`,
`5.2 million`, `twelve`, `三百二十`.
"""

import re
from collections.abc import Iterator
from decimal import Decimal

_DIGITS = re.compile(r"\d+(?:[.,٫٬'’\u00a0\u202f]\d+)*")
_SEPARATOR = re.compile(r"[.,٫٬'’\u00a0\u202f]")
_LONGEST = 40
"""Digits of a number that is read as one; longer ones are compared as they stand."""

_MAGNITUDES = {
    **dict.fromkeys(("hundred", "hundert", "cent", "cien"), 100),
    **dict.fromkeys(
        ("thousand", "tausend", "mille", "mil", "k", "тысяч", "тысячи", "ألف", "آلاف", "हज़ार", "千", "พัน"), 1000
    ),
    **dict.fromkeys(("万", "萬", "หมื่น"), 10**4),
    **dict.fromkeys(("lakh", "lakhs", "लाख"), 10**5),
    **dict.fromkeys(
        (
            *("million", "millions", "mio", "mn", "millionen", "millones", "millón", "milioni", "milione", "milhões"),
            *("milhão", "miljoen", "млн", "миллион", "миллиона", "миллионов", "مليون", "ملايين", "ล้าน"),
        ),
        10**6,
    ),
    **dict.fromkeys(("crore", "crores", "करोड़"), 10**7),
    **dict.fromkeys(("亿", "億"), 10**8),
    **dict.fromkeys(
        (
            *("billion", "billions", "bn", "mrd", "milliarde", "milliarden", "milliard", "milliards", "miliardi"),
            *("miljard", "млрд", "миллиард", "миллиарда", "миллиардов", "مليار", "مليارات"),
        ),
        10**9,
    ),
    **dict.fromkeys(("trillion", "trillions", "tn"), 10**12),
}
_MAGNITUDE = re.compile(rf"[\s\-]?({'|'.join(sorted(_MAGNITUDES, key=len, reverse=True))})(?![a-zà-ÿ])", re.IGNORECASE)
_IN_UNITS = re.compile(r"\b(?:in|of) (thousands|millions|billions)\b|\(in (?:Tsd|Mio|Mrd)\.?", re.IGNORECASE)
_UNITS = {"thousands": 10**3, "millions": 10**6, "billions": 10**9}

_WORDS = {
    2: "two zwei deux due dois twee два اثنان दो",
    3: "three drei trois tres tre três drie три ثلاثة तीन",
    4: "four vier quatre cuatro quattro quatro четыре أربعة चार",
    5: "five fünf cinq cinco cinque vijf пять خمسة पांच पाँच",
    6: "six sechs seis zes шесть ستة",
    7: "seven sieben siete sette sete zeven семь سبعة सात",
    8: "eight acht huit ocho otto oito восемь ثمانية आठ",
    9: "nine neun neuf nueve nove negen девять تسعة",
    10: "ten zehn dix diez dieci dez tien десять عشرة",
    11: "eleven elf onze undici одиннадцать",
    12: "twelve zwölf douze doce dodici twaalf двенадцать",
    13: "thirteen dreizehn treize trece",
    14: "fourteen vierzehn quatorze catorce",
    15: "fifteen fünfzehn quinze quince",
    16: "sixteen sechzehn seize",
    17: "seventeen siebzehn",
    18: "eighteen achtzehn",
    19: "nineteen neunzehn",
    20: "twenty zwanzig vingt veinte venti vinte twintig двадцать",
    30: "thirty dreißig trente treinta trenta trinta dertig тридцать",
    40: "forty vierzig quarante cuarenta quaranta quarenta сорок",
    50: "fifty fünfzig cinquante cincuenta cinquanta пятьдесят",
    60: "sixty sechzig soixante sesenta sessanta",
    70: "seventy siebzig setenta settanta",
    80: "eighty achtzig ochenta ottanta oitenta",
    90: "ninety neunzig noventa novanta",
}
_BY_WORD = {word: number for number, words in _WORDS.items() for word in words.split()}
_LONGEST_WORD = max(map(len, _BY_WORD))
_WORD = re.compile(r"[^\W\d_]+")

_HAN_DIGITS = {character: value for value, character in enumerate("〇一二三四五六七八九")} | {"零": 0, "两": 2, "兩": 2}
_HAN_UNITS = {"十": 10, "百": 100, "千": 1000}
_HAN_GROUPS = {"万": 10**4, "萬": 10**4, "亿": 10**8, "億": 10**8}
_HAN_SET = "〇零一二两兩三四五六七八九十百千万萬亿億"
_HAN = re.compile(
    rf"[{_HAN_SET}]{{2,20}}|[二两兩三四五六七八九十百千](?=[年月日个個人名岁歲天次位座条條只種种回冊本歳時分秒倍])"
)

Figure = frozenset[str]
"""All that one written number may mean: `1.094` is a thousand in one country and one point something in another."""


def figures(text: str) -> list[Figure]:
    """In no particular order."""
    unit = _unit_of(text)
    found = [_scaled(match, text, unit) for match in _DIGITS.finditer(text)]
    found.extend(
        frozenset([_plain(_named(match, text))])
        for match in _WORD.finditer(text)
        if len(match.group()) <= _LONGEST_WORD and match.group().lower() in _BY_WORD
    )
    if not text.isascii():
        found.extend(frozenset([_plain(Decimal(_han(match.group())))]) for match in _HAN.finditer(text))
    return found


def _unit_of(text: str) -> int:
    """Tables say once that all their figures are in millions."""
    match = _IN_UNITS.search(text)
    return _UNITS.get((match[1] or "").lower(), 1) if match else 1


def _scaled(match: re.Match[str], text: str, unit: int) -> Figure:
    readings = [Decimal(reading) for reading in _readings(match.group())] if len(match.group()) <= _LONGEST else []
    if not readings:
        return frozenset([match.group()])
    magnitude = _MAGNITUDE.match(text, match.end())
    if magnitude:
        times = _MAGNITUDES[magnitude[1].lower()]
        return frozenset(_plain(reading * times) for reading in readings)
    return frozenset(_plain(reading * times) for reading in readings for times in {1, unit})


def _readings(written: str) -> Iterator[str]:
    parts = _SEPARATOR.split(written)
    parts = ["".join(str(int(digit)) for digit in part) for part in parts]
    separators = _SEPARATOR.findall(written)
    if not separators:
        yield parts[0]
        return
    grouped = all(len(part) == 3 for part in parts[1:]) and len(parts[0]) <= 3
    if grouped and len(set(separators)) == 1:
        yield "".join(parts)
    decimal_mark = separators[-1] in ".,٫"
    if decimal_mark and (len(separators) == 1 or separators[-1] not in separators[:-1]):
        yield f"{''.join(parts[:-1])}.{parts[-1]}"
    elif not grouped:
        yield from parts  # a date or a version: 24.12.2020


def _named(match: re.Match[str], text: str) -> Decimal:
    magnitude = _MAGNITUDE.match(text, match.end())
    return Decimal(_BY_WORD[match.group().lower()] * (_MAGNITUDES[magnitude[1].lower()] if magnitude else 1))


def _han(numeral: str) -> int:
    if not any(character in _HAN_UNITS or character in _HAN_GROUPS for character in numeral):
        return int("".join(str(_HAN_DIGITS[character]) for character in numeral))  # a year: 二〇二〇
    whole = group = digit = 0
    for character in numeral:
        if character in _HAN_DIGITS:
            digit = _HAN_DIGITS[character]
        elif character in _HAN_UNITS:
            group += (digit or 1) * _HAN_UNITS[character]
            digit = 0
        else:
            whole = (whole + group + digit) * _HAN_GROUPS[character]
            group = digit = 0
    return whole + group + digit


def _plain(number: Decimal) -> str:
    """Without an exponent and without zeros that say nothing: 5.00 is 5."""
    written = f"{number:f}"
    return written.rstrip("0").rstrip(".") if "." in written else written
