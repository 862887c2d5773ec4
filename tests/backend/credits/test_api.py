"""/api/v1/credits/: the ladder anonymous, missing, someone else's, allowed; and what each endpoint shows."""

import csv
import io
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries, Settings
from rest_framework.test import APIClient

from backend.credits import services, views
from backend.credits.models import Account, Entry
from backend.credits.statement import neutral
from backend.users.models import User

AsUser = Callable[[User], APIClient]
Credit = Callable[[int], Entry]

ROOT = "/api/v1/credits/"
NOBODYS = "01a1fc7d-93d5-7233-9639-cacfe6060470"
PATHS = [ROOT, f"{ROOT}entries/", f"{ROOT}entries.csv", f"{ROOT}entries/{NOBODYS}/", f"{ROOT}prices/"]


@pytest.mark.parametrize("path", PATHS)
def test_without_a_token_nothing_is_shown(db: None, client: Client, path: str) -> None:
    assert client.get(path).status_code == 401


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_nobody_writes_over_rest(owner: User, as_user: AsUser, path: str, method: str) -> None:
    assert getattr(as_user(owner), method)(path, {"amount": 5}).status_code == 405


def test_the_balance_shows_available_reserved_and_spent(owner: User, as_user: AsUser, held: UUID) -> None:
    assert as_user(owner).get(ROOT).json() == {"available": 70, "reserved": 30, "spent": 0}
    services.settle(reference=held, charge=10)
    assert as_user(owner).get(ROOT).json() == {"available": 90, "reserved": 0, "spent": 10}


def test_the_first_look_brings_the_signup_grant(owner: User, as_user: AsUser, settings: Settings) -> None:
    settings.SIGNUP_GRANT = 50
    assert as_user(owner).get(ROOT).json()["available"] == 50


def test_the_history_is_newest_first_and_paged(owner: User, as_user: AsUser, credit: Credit) -> None:
    for amount in (1, 2, 3):
        credit(amount)
    page = as_user(owner).get(f"{ROOT}entries/", {"page_size": 2}).json()
    assert [entry["seq"] for entry in page["results"]] == [3, 2]
    assert [entry["seq"] for entry in as_user(owner).get(page["next"]).json()["results"]] == [1]


def test_the_history_is_ones_own(stranger: User, as_user: AsUser, credit: Credit) -> None:
    entry = credit(5)
    assert as_user(stranger).get(f"{ROOT}entries/").json()["results"] == []
    assert as_user(stranger).get(f"{ROOT}entries.csv").text.count("\n") == 1
    foreign = as_user(stranger).get(f"{ROOT}entries/{entry.pk}/")
    random = as_user(stranger).get(f"{ROOT}entries/{NOBODYS}/")
    assert foreign.status_code == random.status_code == 404
    assert foreign.json() | {"request_id": ""} == random.json() | {"request_id": ""}


def test_an_entry_shows_what_moved_and_for_which_answer(owner: User, as_user: AsUser, held: UUID) -> None:
    entry = services.settle(reference=held, charge=10, input_tokens=400, output_tokens=20)
    shown = as_user(owner).get(f"{ROOT}entries/{entry.pk}/").json()
    assert (shown["kind"], shown["amount"], shown["reference"]) == ("settle", 10, str(held))
    assert (shown["available_delta"], shown["reserved_delta"], shown["spent_delta"]) == (20, -30, 10)
    assert (shown["available_after"], shown["reserved_after"]) == (90, 0)
    assert (shown["input_tokens"], shown["output_tokens"]) == (400, 20)
    assert not {"actor", "key", "request_id"} & shown.keys()


def test_the_history_is_filtered_by_kind(owner: User, as_user: AsUser, held: UUID) -> None:
    def kinds(*wanted: str) -> list[str]:
        page = as_user(owner).get(f"{ROOT}entries/", {"kind": wanted})
        return [entry["kind"] for entry in page.json()["results"]]

    assert kinds("hold") == ["hold"]
    assert kinds("hold", "topup") == ["hold", "topup"]
    assert as_user(owner).get(f"{ROOT}entries/", {"kind": "gift"}).status_code == 400


def test_the_history_is_filtered_by_time(owner: User, as_user: AsUser, credit: Credit) -> None:
    first, second = credit(1), credit(2)

    def seqs(**bounds: str) -> list[int]:
        page = as_user(owner).get(f"{ROOT}entries/", bounds)
        return [entry["seq"] for entry in page.json()["results"]]

    assert seqs(created_at_after=second.created_at.isoformat()) == [second.seq]
    assert seqs(created_at_before=second.created_at.isoformat()) == [first.seq]
    assert seqs(created_at_after=(second.created_at + timedelta(seconds=1)).isoformat()) == []


@pytest.mark.parametrize("query", ["created_at_after=soon", "seq_before=0", "seq_before=9e99", f"seq_before={2**63}"])
def test_a_filter_that_means_nothing_is_a_bad_request(owner: User, as_user: AsUser, query: str) -> None:
    assert as_user(owner).get(f"{ROOT}entries/?{query}").status_code == 400


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_the_history_comes_as_csv_whatever_the_client_accepts(owner: User, as_user: AsUser, held: UUID) -> None:
    response = as_user(owner).get(f"{ROOT}entries.csv", headers={"accept": "text/csv"})
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert response["Content-Disposition"].startswith("attachment")
    assert [(row["kind"], row["available_delta"]) for row in rows(response.text)] == [("hold", "-30"), ("topup", "100")]


def test_a_long_history_comes_in_files_that_follow_each_other(
    owner: User, as_user: AsUser, credit: Credit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "EXPORT_ROWS", 2)
    for amount in (1, 2, 3):
        credit(amount)
    first = as_user(owner).get(f"{ROOT}entries.csv?kind=topup")
    assert [row["seq"] for row in rows(first.text)] == ["3", "2"]
    link = first["Link"].partition(">")[0].removeprefix("<")
    second = as_user(owner).get(link)
    assert [row["seq"] for row in rows(second.text)] == ["1"]
    assert "Link" not in second


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "＝"])
def test_text_in_a_csv_is_never_a_formula(
    owner: User, as_user: AsUser, account: Account, stranger: User, start: str
) -> None:
    reason = f'{start}HYPERLINK("http://example.com")'
    services.topup(account=account, amount=1, actor=stranger, reason=reason, key="k")
    assert rows(as_user(owner).get(f"{ROOT}entries.csv").text)[0]["reason"] == f"'{reason}"


def test_a_nul_is_neutralised_and_plain_text_and_numbers_stay() -> None:
    assert neutral("\0x") == "'\0x"
    assert (neutral("a=b"), neutral(-5), neutral(None)) == ("a=b", -5, None)


def test_the_prices_in_force_are_public_to_every_user(owner: User, as_user: AsUser) -> None:
    services.end_price(price=services.price_for("local:extractive"))
    prices = as_user(owner).get(f"{ROOT}prices/").json()["results"]
    assert {price["model"] for price in prices} == {"*", "google:gemini-2.5-flash", "local:passages"}


def test_a_page_of_the_history_is_one_statement_beside_signing_in(
    owner: User, as_user: AsUser, held: UUID, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    client = APIClient()
    client.force_authenticate(owner)
    with django_assert_num_queries(1):
        client.get(f"{ROOT}entries/")
