import time

import pytest

from agent_service.pipeline.figures import figures


def readings(text: str) -> set[str]:
    return {reading for figure in figures(text) for reading in figure}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1,094 km", "1094 km"),
        ("1.094 km", "1,094 km"),
        ("١٬٠٩٤", "1094"),
        ("5.2 million", "5,200,000"),
        ("5,2 Millionen", "5200000"),
        ("12 people", "twelve people"),
        ("drei Tage", "3 days"),
        ("三百二十人", "320 people"),
        ("二〇二〇年", "2020"),
        ("3亿", "300 million"),
        ("$5.00", "5 dollars"),
        ("24.12.2020", "December 24, 2020"),
        ("1'000'000", "1,000,000"),
    ],
)
def test_the_same_number_is_the_same_however_it_is_written(one: str, other: str) -> None:
    assert readings(one) & readings(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("5 million", "5 billion"),
        ("1561", "1562"),
        ("two", "three"),
        ("15", "1.5"),
        ("3 days", "30 days"),
        ("三百二十", "三百三十"),
    ],
)
def test_other_numbers_are_other_numbers(one: str, other: str) -> None:
    assert not readings(one) & readings(other)


def test_a_table_says_its_unit_once() -> None:
    assert "17606000000" in readings("Revenue (in millions) 2022: 17,606")


@pytest.mark.parametrize("text", ["one of them", "", "no number", "1" * 200 + ".", "," * 50])
def test_odd_text_is_read(text: str) -> None:
    figures(text)


@pytest.mark.parametrize("evil", ["1", "1,", "1.1", "一", "million ", "1 million", "five"])
def test_no_text_takes_long(evil: str) -> None:
    started = time.process_time()
    figures(evil * (40_000 // len(evil)))
    assert time.process_time() - started < 1
