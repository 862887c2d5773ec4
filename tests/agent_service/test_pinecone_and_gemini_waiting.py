"""How long a vendor asks us to wait, and what of its failures may be seen."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from pydantic import SecretStr

from agent_service.providers.vendor_faults import VendorFault, kind_of, seconds_to_wait


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7),
        ("0.5", 0.5),
        ("-3", 0),
        ("nan", None),
        ("inf", None),
        ("soon", None),
        ("", None),
        (None, None),
        (7, None),
    ],
)
def test_seconds_to_wait(header: object, seconds: float | None) -> None:
    assert seconds_to_wait(header) == seconds


def test_a_date_to_wait_for() -> None:
    assert seconds_to_wait(format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)) == pytest.approx(
        60, abs=2
    )
    assert seconds_to_wait("Wed, 21 Oct 2015 07:28:00 -0000") == 0


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (301, "garbage"),
        (401, "unauthorised"),
        (404, "rejected"),
        (408, "timeout"),
        (429, "rate_limited"),
        (504, "timeout"),
        (599, "unavailable"),
    ],
)
def test_the_kind_of_a_status(status: int, kind: str) -> None:
    assert kind_of(status) == kind


def test_a_fault_shows_type_and_first_words_without_the_key() -> None:
    fault = VendorFault(ValueError("no s3cret-key here " + "x" * 10_000), [SecretStr("s3cret-key"), SecretStr("")])
    assert str(fault).startswith("builtins.ValueError: no [key] here xxx")
    assert len(str(fault)) < 400
