"""What supports a sentence, and what must not."""

import time
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_service.contract import Passage
from agent_service.pipeline.phrases import OWN
from agent_service.pipeline.supporting import Sources, Verdict


def sources(*texts: str, title: str = "T", question: str = "") -> Sources:
    return Sources([Passage(id=uuid4(), title=title, text=text) for text in texts], question)


def verdict(sentence: str, *texts: str, title: str = "T", question: str = "") -> Verdict:
    return sources(*texts, title=title, question=question).check(sentence)


ELBE = "Water is wet. The river Elbe is 1,094 km long. It ends in the North Sea."
PORT = "Hamburg has two million people. Its harbour was founded in 1189. Visitors do not pay for the museum."
CROWN = "Ada Wren designed the tower in 1871. Tom Hale built the bridge in 1902."
PEKING = "北京是首都。故宫于1420年建成，有9999间房。上海没有故宫。"

STANDS = [
    ("The Elbe is 1094 km long.", ELBE),
    ("the river Elbe: 1,094 km long", ELBE),
    ("Hamburg's harbour was founded in 1189.", PORT),
    ("Hamburg has 2 million people, and its harbour was founded in 1189.", PORT),
    ("Visitors don't pay for the museum.", PORT),
    ("Tom Hale built the bridge in 1902", CROWN),
    ("1,094 km", ELBE),
    ("Das Rathaus wurde 1561 gebaut.", "Die Stadt ist alt. Das Rathaus wurde im Jahr 1561 gebaut."),
    ("Office hours are not on Sundays.", "On Sundays there are not any office hours."),
    ("بني القصر عام 1561.", "المدينة قديمة. بني القصر عام 1561."),
    ("किला 1561 में बना था।", "शहर पुराना है। किला 1561 में बना था।"),
    ("故宫于1420年建成。", PEKING),
    ("ปราสาทสร้างในปี 1561", "ปราสาทสร้างในปี 1561 เมืองเก่า"),
    ("Замок построен в 1561 году.", "Город старый. Замок был построен в 1561 году."),
]


@pytest.mark.parametrize(("sentence", "text"), STANDS)
def test_what_a_passage_says_is_supported(sentence: str, text: str) -> None:
    found = verdict(sentence, "Nothing of the kind.", text)
    assert found.supported
    assert [support.marker for support in found.by] == [2]
    assert 0.6 <= found.score <= 1


MILLS = (
    "Costs were stable. Wood was cheap, and so was water. Nobody was hired. Revenue of the two paper mills in the "
    "valley rose to 5 million in 2020. Trucks were bought. The owners were content."
)

FALLS = [
    ("The Elbe is 1,095 km long.", ELBE),
    ("The Elbe is 1,094 miles long and poisonous to drink.", ELBE),
    ("The Elbe is not 1,094 km long.", ELBE),
    ("The Rhine is 1,094 km long.", ELBE),
    ("Visitors pay for the museum.", PORT),
    ("Hamburg has three million people.", PORT),
    ("Hamburg has 2 million people, and its harbour was founded in 1190.", PORT),
    ("Berlin's harbour was founded in 1189.", PORT),
    ("Tom Hale designed the tower in 1871.", CROWN),
    ("Ada Wren built the bridge in 1902.", CROWN),
    ("Revenue of the two paper mills in the valley fell to 5 million in 2020.", MILLS),
    ("Revenue rose to 5 billion.", "Revenue rose to 5 million."),
    ("Das Rathaus wurde nicht 1561 gebaut.", "Das Rathaus wurde 1561 gebaut."),
    ("Das Rathaus wurde 1562 gebaut.", "Das Rathaus wurde 1561 gebaut."),
    ("بني القصر عام 1562.", "بني القصر عام 1561."),
    ("لم يبن القصر عام 1561.", "يبن القصر عام 1561."),
    ("किला 1562 में बना था।", "किला 1561 में बना था।"),
    ("故宫于1421年建成。", PEKING),
    ("天坛于1420年建成。", PEKING),
    ("上海有故宫。", PEKING),
    ("北京有三百间房。", "北京有四百间房。"),
    ("Замок построен в 1562 году.", "Замок был построен в 1561 году."),
    ("The capital of Peru is Lima.", ELBE),
]


@pytest.mark.parametrize(("sentence", "text"), FALLS)
def test_what_differs_in_what_matters_is_not(sentence: str, text: str) -> None:
    found = verdict(sentence, text)
    assert found.claim
    assert not found.supported
    assert found.by == ()
    assert found.score < 0.6


STATES_NOTHING = [
    "Hello!",
    "Sure, here is what I found:",
    "## The Elbe",
    "**Length**",
    "Is the Elbe long?",
    "The river has these features:",
    "The documents do not mention who built the bridge.",
    "Die Dokumente enthalten dazu keine Angaben.",
    "文档中没有提到这一点。",
    "I hope this helps!",
    "---",
    "1.",
    "你好！",
]


@pytest.mark.parametrize("sentence", STATES_NOTHING)
def test_what_states_nothing_is_no_claim(sentence: str) -> None:
    assert not verdict(sentence, ELBE, question="How long is the Elbe?").claim


@pytest.mark.parametrize("sentence", sorted(OWN))
def test_our_own_phrases_are_no_claims(sentence: str) -> None:
    assert not verdict(sentence, ELBE).claim


SMUGGLED = [
    "## The Elbe is 2,000 km long",
    "The Elbe was dammed by Napoleon:",
    "Did you know that the Elbe was dammed by Napoleon?",
    "The documents say Berlin is not in Prussia.",
    "Sure, the water is poisonous.",
    "The documents do not say it, but the water is poisonous.",
]


@pytest.mark.parametrize("sentence", SMUGGLED)
def test_nothing_is_smuggled_in_as_a_heading_a_question_or_a_greeting(sentence: str) -> None:
    found = verdict(sentence, ELBE, question="How long is the Elbe?")
    assert found.claim
    assert not found.supported


def test_the_own_marker_comes_before_a_better_passage() -> None:
    found = sources("The tower was built in 1871.", "The old tower of the town was built in 1871, they say.").check(
        "The tower was built in 1871.", [2]
    )
    assert [support.marker for support in found.by] == [2]


def test_what_an_answer_adds_has_to_stand_in_the_sentence_itself() -> None:
    text = "Copper was mined here. Visitors walk through the old town hall."
    question = "What do visitors walk through in the old town hall?"
    assert not verdict("Visitors of the old town hall walk through copper.", text, question=question).supported


def test_a_marker_that_names_no_passage_changes_nothing() -> None:
    assert sources(ELBE).check("The Elbe is 1,094 km long.", [0, 7, -1]).supported


def test_whom_a_pronoun_means_is_found_before_it() -> None:
    text = "Ada Wren was born in Leeds. She designed the tower in 1871."
    assert verdict("Ada Wren designed the tower in 1871.", text).supported


def test_what_the_document_is_about_need_not_be_repeated() -> None:
    text = "Revenue was 17,606 million in 2022."
    assert verdict("Adobe's revenue was 17,606 million in 2022.", text, title="ADOBE_2022_10K.pdf").supported
    assert not verdict("Adobe's revenue was 17,606 million in 2022.", text, title="report.pdf").supported


def test_what_only_the_question_names_is_no_support() -> None:
    question = "How many days do employees on Mars have?"
    assert not verdict("Employees on Mars have 28 days.", "Employees have 28 days.", question=question).supported


def test_between_languages_numbers_and_names_have_to_do() -> None:
    english = "The castle of Ada Wren was finished in 1871. Water is wet and the sky is blue above us."
    assert verdict("Le château de Ada Wren est terminé depuis 1871.", english).supported
    assert not verdict("Le château de Ada Wren est terminé depuis 1872.", english).supported


def test_a_sentence_is_checked_in_a_millisecond_or_so() -> None:
    text = " ".join(f"The department of paragraph {n} has {n * 7} people and keeps records." for n in range(16))
    known = sources(*(text.replace("department", f"department {n}") for n in range(10)))
    known.check("Warm up.")
    started = time.process_time()
    for n in range(100):
        known.check(f"The department {n % 10} of paragraph {n % 16} has {n} people and keeps other records.", [1, 2])
    assert (time.process_time() - started) / 100 < 0.01


@given(st.text(max_size=200), st.text(min_size=1, max_size=200))
def test_any_sentence_can_be_checked_against_any_text(sentence: str, text: str) -> None:
    found = verdict(sentence, text)
    assert 0 <= found.score <= 1
    for support in found.by:
        assert text[support.start : support.end]


@pytest.mark.parametrize("evil", ["not ", "a,", "A ", "1 ", "“", "and ", "(", "not A 1,", "不", "a.b"])
def test_no_sentence_takes_long(evil: str) -> None:
    started = time.process_time()
    sources(evil * (20_000 // len(evil))).check(evil * (4_000 // len(evil)))
    assert time.process_time() - started < 3
