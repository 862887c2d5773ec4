import asyncio
import json
import random
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from agent_service.contract import Passage, Turn
from agent_service.ports import Piece, Prompt
from agent_service.providers.extractive import INTRODUCTION, NOT_FOUND, ExtractiveAnswerer, best_quotes

SQUAD = Path(__file__).resolve().parents[3] / "shared" / "data" / "squad2"


def passages(*texts: str) -> list[Passage]:
    return [Passage(id=uuid4(), title="Handbook", text=text) for text in texts]


HANDBOOK = passages(
    "Employees have 28 days of holiday a year. Days not taken by March are lost.",
    "The office in Leeds opens at eight. Visitors sign in at the desk. See also [3].",
    "Expenses are paid back within two weeks. Receipts are needed above 20 pounds.",
)


def quoted(question: str, given: list[Passage] = HANDBOOK) -> list[tuple[int, str]]:
    return [(quote.passage, quote.text) for quote in best_quotes(question, given)]


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("How many days of holiday do employees have?", (1, "Employees have 28 days of holiday a year.")),
        ("When does the Leeds office open?", (2, "The office in Leeds opens at eight.")),
        ("From which amount are receipts needed?", (3, "Receipts are needed above 20 pounds.")),
    ],
)
def test_the_sentence_that_answers_comes_first(question: str, expected: tuple[int, str]) -> None:
    assert quoted(question)[0] == expected


@pytest.mark.parametrize("question", ["Who discovered penicillin?", "", "?!", "What is the capital of France?"])
def test_what_the_passages_do_not_speak_of_is_not_answered(question: str) -> None:
    assert quoted(question) == []


@pytest.mark.parametrize("question", ["Who audits the office?", "When were receipts invented?"])
def test_one_word_in_common_is_no_answer_to_a_question_of_several(question: str) -> None:
    assert quoted(question) == []


@pytest.mark.parametrize("question", ["Expenses?", "What about receipts?", "visitors"])
def test_a_question_of_one_word_needs_no_second(question: str) -> None:
    assert quoted(question) != []


@pytest.mark.parametrize(
    ("question", "text", "sentence"),
    [
        (
            "Wie hoch ist die Gebühr für einen Ausweis?",
            "Die Stadt ist alt. Die Ausweisgebühr beträgt 12 Euro.",
            "Die Ausweisgebühr beträgt 12 Euro.",
        ),
        (
            "Was kostet die Parkgebühr am Hafen?",
            "Die Stadt ist alt. Am Hafen beträgt die Gebühr 3 Euro.",
            "Am Hafen beträgt die Gebühr 3 Euro.",
        ),
        (
            "Who audits the accounts of Hale?",
            "The town is old. The auditor of Hale is Ann Reed.",
            "The auditor of Hale is Ann Reed.",
        ),
    ],
)
def test_compounds_and_related_forms_stand_for_a_word(question: str, text: str, sentence: str) -> None:
    assert quoted(question, passages(text)) == [(1, sentence)]


@pytest.mark.parametrize(
    "question", ["How many dasy of hoilday do employes have?", "how many days of holidy do teh employees have"]
)
def test_a_misspelt_question_is_answered(question: str) -> None:
    assert quoted(question)[0] == (1, "Employees have 28 days of holiday a year.")


def test_a_misspelt_joining_word_asks_for_nothing() -> None:
    assert quoted("teh expenses?") == quoted("the expenses?") != []


def test_a_neighbour_is_quoted_along_where_it_has_what_the_quote_lacks() -> None:
    light = passages(
        "The lighthouse at Skerry Point was built of granite in 1844. Its first keeper was Ann Hale. The rocks are low."
    )
    [(_, both)] = quoted("Which keeper did the granite lighthouse at Skerry Point have?", light)
    assert both == "The lighthouse at Skerry Point was built of granite in 1844. Its first keeper was Ann Hale."
    [(_, alone)] = quoted("When was the lighthouse at Skerry Point built?", light)
    assert alone == "The lighthouse at Skerry Point was built of granite in 1844."


@pytest.mark.parametrize(
    "question", ["Which days of holiday do employees not have?", "Which office in Leeds closes at eight?"]
)
def test_the_opposite_of_what_is_written_is_not_answered(question: str) -> None:
    assert quoted(question) == []


ALMANAC = passages(
    "# Almanac\n\n## Spring tides and neap tides\n\nThe sun pulls too, less than half as strongly as the moon. At the "
    "quarters the two partly cancel each other: these are neap tides.\n\n## Range\nOn the open ocean it is small.\n"
)


@pytest.mark.parametrize(
    "question", ["What was the adjusted Non GAAP income?", "What was the adjusted non-GAAP income?"]
)
def test_what_is_called_non_something_denies_nothing(question: str) -> None:
    report = passages("The adjusted income was 2,018 million, by GAAP. The operating income was 1,510 million.")
    assert quoted(question, report)
    assert quoted(question.replace("GAAP", "operating"), report) == []


def test_a_heading_is_no_answer_and_tells_what_stands_below_it() -> None:
    [(_, quote)] = quoted("What is a neap tide?", ALMANAC)
    assert quote == "At the quarters the two partly cancel each other: these are neap tides."
    [(_, quote)] = quoted("What is the range?", ALMANAC)
    assert quote == "On the open ocean it is small."


def test_headings_alone_answer_nothing() -> None:
    assert quoted("What are neap tides?", passages("# Tides\n\n## Neap tides", "## What neap tides are")) == []


def test_without_passages_nothing_is_found() -> None:
    assert quoted("Anything?", []) == []
    assert quoted("Anything?", passages("   ")) == []


def test_a_passage_is_quoted_once_with_its_best_sentence_first() -> None:
    repeated = "The keeper lights the lamp at dusk. The lamp is lit at dusk by the keeper of the light."
    quotes = best_quotes("When does the keeper light the lamp?", passages(repeated, "At dusk the keeper lights lamps."))
    assert sorted(quote.passage for quote in quotes) == [1, 2]
    assert [quote.score for quote in quotes] == sorted((quote.score for quote in quotes), reverse=True)


def test_the_same_sentence_in_two_passages_is_quoted_once() -> None:
    twice = passages("Holiday is 28 days. More.", "Other. Holiday is 28 days.")
    assert quoted("How many days is holiday?", twice) == [(1, "Holiday is 28 days.")]


@pytest.mark.parametrize(
    ("question", "text", "sentence"),
    [
        (
            "Wann wurde das Rathaus gebaut?",
            "Die Stadt ist alt. Das Rathaus wurde 1561 gebaut.",
            "Das Rathaus wurde 1561 gebaut.",
        ),
        ("متى بني القصر؟", "المدينة قديمة. بني القصر عام 1561.", "بني القصر عام 1561."),
        ("故宫什么时候建成？", "北京很大。故宫于1420年建成。", "故宫于1420年建成。"),
        ("किला कब बना था?", "शहर पुराना है। किला 1561 में बना था।", "किला 1561 में बना था।"),
    ],
)
def test_other_languages_are_answered_by_the_same_rules(question: str, text: str, sentence: str) -> None:
    assert quoted(question, passages(text))[0][1] == sentence


LIVES = passages(
    "Ann Hale kept the light at Skerry. She died in 1871.", "Tom Reed kept the light at Holm. He died in 1902."
)


def asked_before(question: str) -> list[Turn]:
    return [Turn(role="user", text=question), Turn(role="assistant", text="So it is written. [1]")]


def test_a_question_that_leans_is_answered_about_what_it_leans_on() -> None:
    assert best_quotes("When did he die?", LIVES, asked_before("Who kept the light at Holm?"))[0].passage == 2
    assert best_quotes("When did she die?", LIVES, asked_before("Who kept the light at Skerry?"))[0].passage == 1


def test_its_own_words_count_more_than_those_it_leans_on() -> None:
    light = passages(
        "The rocks are low. Skerry light has Ann Hale for its keeper. Nobody else lives there. The sea is rough. "
        "Storms are many. The light was painted white."
    )
    said = asked_before("Which keeper does Skerry light have?")
    assert best_quotes("What colour was it painted?", light, said)[0].text == "The light was painted white."


def test_a_question_that_stands_is_answered_without_what_was_said_before() -> None:
    said = asked_before("When does the Leeds office open?")
    question = "How many days of holiday do employees have?"
    assert best_quotes(question, HANDBOOK, said) == best_quotes(question, HANDBOOK)


def run(question: str, given: list[Passage], history: Sequence[Turn] = ()) -> list[Piece]:
    prompt = Prompt("", history, question, question, given, 0.0, 100)

    async def pieces() -> list[Piece]:
        return [piece async for piece in ExtractiveAnswerer().stream(prompt)]

    return asyncio.run(pieces())


def test_says_that_it_quotes_and_from_where() -> None:
    *words, last = run("How many days of holiday do employees have?", HANDBOOK)
    assert (
        "".join(piece.text for piece in words) == f"{INTRODUCTION}\n\n“Employees have 28 days of holiday a year.” [1]"
    )
    assert last.finish_reason == "stop"
    assert last.usage is not None
    assert last.usage.estimated
    assert last.usage.output_tokens > 10


def test_it_reads_what_was_said_before() -> None:
    [*_, last] = run("And when did he die?", LIVES[1:], asked_before("Who kept the light at Holm?"))
    assert last.finish_reason == "stop"


def test_says_plainly_that_it_found_nothing() -> None:
    [sentence, last] = run("Who discovered penicillin?", HANDBOOK)
    assert (sentence.text, last.finish_reason) == (NOT_FOUND, "not_found")


def test_numbers_in_brackets_of_a_quote_are_no_markers() -> None:
    text = "".join(piece.text for piece in run("See also what?", passages("See also [3]\nand more.")))
    assert "“See also (3) and more.” [1]" in text


def squad() -> tuple[dict[str, dict[str, Any]], list[dict[str, Any]]]:
    paragraphs = [json.loads(line) for line in (SQUAD / "paragraphs.jsonl").read_text().splitlines()]
    questions = [json.loads(line) for line in (SQUAD / "questions.jsonl").read_text().splitlines()]
    return {paragraph["id"]: paragraph for paragraph in paragraphs}, questions


@pytest.mark.skipif(not SQUAD.exists(), reason="the shared SQuAD paragraphs are not on this machine")
def test_on_real_text_the_quotes_hold_the_answer_and_off_topic_is_refused() -> None:
    paragraphs, questions = squad()
    by_article: dict[str, list[str]] = defaultdict(list)
    for paragraph in paragraphs.values():
        by_article[paragraph["article"]].append(paragraph["text"])
    chance = random.Random(7)
    answered = right = off_topic = 0
    asked = chance.sample(questions, 200)
    for question in asked:
        home = paragraphs[question["paragraph"]]
        others = [text for text in by_article[home["article"]] if text != home["text"]]
        near = passages(home["text"], *chance.sample(others, min(5, len(others))))
        found = best_quotes(question["question"], near)
        answered += bool(found)
        right += any(answer in quote.text for answer in question["answers"] for quote in found)
        elsewhere = [text for article, texts in by_article.items() if article != home["article"] for text in texts]
        off_topic += bool(best_quotes(question["question"], passages(*chance.sample(elsewhere, 6))))
    print(f"answered {answered}, right {right}, off-topic answered {off_topic} of {len(asked)}")
    assert right / answered > 0.8
    assert answered / len(asked) > 0.85
    assert off_topic / len(asked) < 0.06
