"""What is ingested: the same bytes in every run."""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.backend.documents.samples import assembled
from tests.real_data import FOLDER, lines

SMALL_FILES = 200
POSTS = 10_000
TEXT_BYTES = 5_000_000
PDF_PAGES = 300
_LINE_WORDS = 14
_PAGE_LINES = 45


@dataclass(frozen=True)
class Corpus:
    """`files` by name."""

    name: str
    files: dict[str, bytes]

    @property
    def megabytes(self) -> float:
        return sum(map(len, self.files.values())) / 1e6


def corpora() -> Iterator[Corpus]:
    luck = random.Random(3)
    words = _words()
    yield Corpus(f"PDF of {PDF_PAGES} pages", {"pages.pdf": _pdf(luck, words)})
    if (real := FOLDER / "financebench" / "pdf" / "ADOBE_2022_10K.pdf").is_file():
        yield Corpus("a real 10-K (PDF)", {real.name: real.read_bytes()})
    yield Corpus(f"{SMALL_FILES} small files", dict(_small(luck, words)))
    yield Corpus("5 MB of text", {"long.txt": _text(luck, words, TEXT_BYTES).encode()})
    yield Corpus(f"{POSTS:,} posts", {"result.json": _export(luck, words)})


def _words() -> list[str]:
    """Of real English where it is at hand, so that terms and tokens are as many as they are in life."""
    if (FOLDER / "squad2" / "paragraphs.jsonl").is_file():
        return " ".join(row["text"] for row in lines("squad2/paragraphs.jsonl")).split()
    luck = random.Random(1)
    letters = "etaoinshrdlucmfwypvbgkjqxz"
    vocabulary = ["".join(luck.choices(letters, k=luck.randint(2, 9))) for _ in range(8_000)]
    return luck.choices(vocabulary, weights=[1 / rank for rank in range(1, 8_001)], k=50_000)


def _passage(luck: random.Random, words: list[str], count: int) -> str:
    start = luck.randrange(len(words) - count)
    return " ".join(words[start : start + count])


def _text(luck: random.Random, words: list[str], size: int) -> str:
    parts: list[str] = []
    while size > 0:
        parts.append(_passage(luck, words, luck.randint(40, 160)))
        size -= len(parts[-1].encode()) + 2
    return "\n\n".join(parts)


def _small(luck: random.Random, words: list[str]) -> Iterator[tuple[str, bytes]]:
    for number in range(SMALL_FILES):
        text = _text(luck, words, luck.randint(500, 4_000))
        if number % 4 == 0:
            yield f"{number}.html", f"<html><body><h1>{number}</h1><p>{text}</p></body></html>".encode()
        elif number % 4 == 1:
            yield f"{number}.md", f"# Number {number}\n\n{text}".encode()
        else:
            yield f"{number}.txt", f"Number {number}. {text}".encode()


def _export(luck: random.Random, words: list[str]) -> bytes:
    """As Telegram Desktop writes a public channel."""
    messages = [
        {
            "id": number,
            "type": "message",
            "date": f"2026-01-{1 + number * 28 // POSTS:02}T12:00:00",
            "date_unixtime": str(1_767_268_800 + number * 240),
            "from": "News",
            "from_id": "channel1",
            "text": _passage(luck, words, luck.randint(15, 60)),
            "text_entities": [],
        }
        for number in range(1, POSTS + 1)
    ]
    return json.dumps({"name": "News", "type": "public_channel", "id": 1, "messages": messages}).encode()


def _pdf(luck: random.Random, words: list[str]) -> bytes:
    kids = " ".join(f"{4 + 2 * page} 0 R" for page in range(PDF_PAGES))
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        f"<</Type/Pages/Kids[{kids}]/Count {PDF_PAGES}>>".encode(),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    for page in range(PDF_PAGES):
        written = " ".join(f"({_escaped(_passage(luck, words, _LINE_WORDS))}) Tj 0 -15 Td" for _ in range(_PAGE_LINES))
        stream = f"BT /F1 10 Tf 50 760 Td {written} ET".encode("ascii", "replace")
        objects.append(
            f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents {5 + 2 * page} 0 R"
            f"/Resources<</Font<</F1 3 0 R>>>>>>".encode()
        )
        objects.append(b"<</Length %d>>stream\n%s\nendstream" % (len(stream), stream))
    return assembled(objects, b"")


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")


def saved(corpus: Corpus, folder: Path) -> list[Path]:
    paths = [folder / name for name in corpus.files]
    for path, content in zip(paths, corpus.files.values(), strict=True):
        path.write_bytes(content)
    return paths
