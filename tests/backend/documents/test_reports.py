"""GET /api/v1/documents/{id}/report/, the owner's go, and what other chunk settings would do."""

from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any

import pytest
from django.core.files.base import ContentFile
from rest_framework.test import APIClient

from backend.documents import previews, reports, services
from backend.documents.extraction import Extraction, RefusedPart
from backend.documents.languages import language_of
from backend.documents.models import Chunk, Document, DocumentVersion, State
from tests.backend.documents.fake_agent import FakeAgent
from tests.backend.documents.fixtures import RunJobs
from tests.backend.documents.samples import pdf

Upload = Callable[..., Document]
TEXT = "The service was good and the rooms were clean. We have stayed there for three nights."


def url_of(document: Document, what: str) -> str:
    return f"/api/v1/documents/{document.pk}/{what}/"


def test_the_report_tells_what_was_read_and_what_is_missing(api: APIClient, ingested: Upload, agent: FakeAgent) -> None:
    report = api.get(url_of(ingested(pdf([TEXT, "", "", TEXT, ""]), "scan.pdf"), "report")).json()
    assert report["characters_per_page"] == [len(TEXT), 0, 0, len(TEXT), 0]
    assert report["empty_pages"] == [{"first": 2, "last": 3}, {"first": 5, "last": 5}]
    assert (report["language"], report["passages"], report["repeated_passages"]) == ("en", 2, 1)
    assert {row["code"]: row["message"] for row in report["findings"]} == {
        "empty_pages": "No text on pages 2 to 3 and 5: scanned?",
        "repeated_passages": "1 passage repeats what an earlier one says.",
    }


def test_only_pages_can_be_scans(api: APIClient, ingested: Upload, agent: FakeAgent) -> None:
    document = ingested(pdf([TEXT, ""]), "a.pdf")
    Document.objects.update(format="pptx")
    report = api.get(url_of(document, "report")).json()
    assert [row["message"] for row in report["findings"]] == ["No text on page 2."]


def test_the_estimate_says_honestly_that_embedding_is_free(api: APIClient, ingested: Upload, agent: FakeAgent) -> None:
    estimate = api.get(url_of(ingested(b"x" * 400), "report")).json()["estimate"]
    assert (estimate["tokens"], estimate["credits"]) == (100, 0)
    assert "not charged" in estimate["message"]


def test_another_document_with_the_same_text_is_named(api: APIClient, ingested: Upload, agent: FakeAgent) -> None:
    first = ingested(TEXT.encode(), "a.txt")
    second = ingested(pdf([TEXT]), "b.pdf")
    report = api.get(url_of(second, "report")).json()
    assert report["same_text"] == [{"id": str(first.pk), "title": "a"}]
    services.delete_document(document=first)
    assert api.get(url_of(second, "report")).json()["same_text"] == []


@pytest.mark.django_db
def test_refused_parts_are_told_with_their_reasons() -> None:
    refused = [RefusedPart(f"Picture {number}", "It is no text.") for number in range(1000)]
    report = reports.build(extraction=Extraction(refused=refused), spans=[])
    assert (report["refused_total"], len(report["refused"])) == (1000, reports.REFUSED_SHOWN)
    assert report["refused"][0] == {"part": "Picture 0", "reason": "It is no text."}


def test_nothing_was_read_yet(api: APIClient, upload: Upload) -> None:
    response = api.get(url_of(upload(b"One."), "report"))
    assert (response.status_code, response.json()["code"]) == (HTTPStatus.CONFLICT, "nothing_read")


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [([], []), ([1], [[1, 1]]), ([1, 2, 3, 7, 9, 10], [[1, 3], [7, 7], [9, 10]])],
    ids=["none", "one", "several"],
)
def test_pages_are_told_as_ranges(numbers: Sequence[int], expected: list[list[int]]) -> None:
    assert reports.ranges(numbers) == expected


def test_a_document_for_review_is_read_and_waits_for_the_owners_go(
    api: APIClient, ingested: Upload, run_jobs: RunJobs, agent: FakeAgent
) -> None:
    document = ingested(TEXT.encode(), review=True)
    assert (document.state, agent.embedded.total()) == (State.WAITING, 0)
    report = api.get(url_of(document, "report")).json()
    assert (report["waits_for_your_go"], report["estimate"]["tokens"]) == (True, len(TEXT) // 4 + 1)
    assert api.get(url_of(document, "why")).json()["code"] == "waits_for_your_go"
    assert api.post(url_of(document, "approve")).json()["state"] == "queued"
    run_jobs()
    document.refresh_from_db()
    assert (document.state, document.versions.count(), agent.embedded.total()) == (State.READY, 1, 1)
    again = api.post(url_of(document, "approve"))
    assert (again.status_code, again.json()["code"]) == (HTTPStatus.CONFLICT, "nothing_to_approve")


def test_new_content_replaces_what_waits_for_the_go(
    ingested: Upload, api: APIClient, run_jobs: RunJobs, agent: FakeAgent
) -> None:
    document = ingested(b"First.", review=True)
    assert services.replace_document(document=document, file=ContentFile(b"Second."))
    run_jobs()
    document.refresh_from_db()
    assert document.state == State.WAITING
    services.approve(document=document)
    run_jobs()
    assert set(Chunk.objects.filter(embedded=True).values_list("text", flat=True)) == {"Second."}


@pytest.mark.parametrize("end", ["cancel", "delete"])
def test_what_waits_for_the_go_may_be_given_up(
    api: APIClient, ingested: Upload, run_jobs: RunJobs, agent: FakeAgent, end: str
) -> None:
    document = ingested(TEXT.encode(), review=True)
    if end == "delete":
        assert api.delete(f"/api/v1/documents/{document.pk}/").status_code == HTTPStatus.NO_CONTENT
    else:
        assert api.post(url_of(document, "cancel")).json()["state"] == "cancelled"
    run_jobs()
    assert agent.embedded.total() == 0
    assert not Chunk.objects.exists()
    assert Document.objects.filter(state=State.CANCELLED).exists() is (end == "cancel")


def test_other_chunk_settings_are_tried_without_storing_anything(
    api: APIClient, ingested: Upload, agent: FakeAgent
) -> None:
    document = ingested(" ".join(f"Sentence number {number}." for number in range(500)).encode())
    before = Chunk.objects.count()
    wide, narrow = (
        api.post(url_of(document, "preview"), {"chunk_chars": chars, "chunk_overlap": 0}).json()
        for chars in (2000, 200)
    )
    assert narrow["count"] > 5 * wide["count"]
    assert (narrow["longest"] <= 200, len(narrow["passages"])) == (True, min(narrow["count"], previews.SHOWN))
    page = api.get(url_of(document, "pages/1")).json()["text"]
    assert all(page[row["start"] : row["end"]] == row["text"] for row in narrow["passages"])
    assert (Chunk.objects.count(), DocumentVersion.objects.count()) == (before, 1)


def test_the_preview_is_what_reading_it_with_these_settings_makes(
    api: APIClient, ingested: Upload, agent: FakeAgent
) -> None:
    document = ingested(" ".join(f"Sentence number {number}." for number in range(200)).encode())
    settings = {"chunk_chars": 1000, "chunk_overlap": 150}  # the bot's own
    told = api.post(url_of(document, "preview"), settings).json()
    kept = Chunk.objects.order_by("position").values_list("text", flat=True)
    assert [row["text"] for row in told["passages"]] == list(kept)


@pytest.mark.parametrize(
    "body",
    [{"chunk_chars": 100, "chunk_overlap": 0}, {"chunk_chars": 1000, "chunk_overlap": 600}, {}, {"chunk_chars": "x"}],
    ids=["small", "overlap", "empty", "no-number"],
)
def test_settings_that_a_bot_could_not_have_are_refused(api: APIClient, ingested: Upload, body: Any) -> None:
    response = api.post(url_of(ingested(b"One."), "preview"), body)
    assert (response.status_code, response.json()["code"]) == (HTTPStatus.BAD_REQUEST, "invalid")


def test_of_a_long_text_a_part_is_previewed_and_said_to_be(
    api: APIClient, ingested: Upload, agent: FakeAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(previews, "CHARS", 1000)
    document = ingested(b"Word. " * 1000)
    told = api.post(url_of(document, "preview"), {"chunk_chars": 200, "chunk_overlap": 0}).json()
    assert (told["chars"], told["total_chars"]) == (1000, 6000)
    assert sum(row["end"] - row["start"] for row in told["passages"]) <= 1000


LANGUAGES = {
    "en": TEXT,
    "de": "Die Katze sitzt auf dem Dach und der Hund ist nicht im Haus. Es war ein guter Tag für alle.",
    "fr": "Le chat est sur la table et les enfants jouent dans le jardin avec des amis. Il ne faut pas oublier.",
    "es": "El perro corre por la calle y los niños juegan en el parque con sus amigos. No es lo que se esperaba.",
    "it": "Il gatto è sul tavolo e i bambini giocano nel giardino con gli amici. Non è una cosa da poco.",
    "pt": "O gato está em cima da mesa e os meninos brincam no jardim. Não é o que se esperava, mas foi para todos.",
    "nl": "De kat zit op het dak en de hond is niet in het huis. Het was een mooie dag voor allen.",
    "sv": "Katten sitter på taket och hunden är inte i huset. Det var en fin dag för alla som kom.",
    "da": "Katten sidder på taget, og hunden er ikke i huset. Det var en god dag for alle, der kom fra byen.",
    "pl": "Kot siedzi na dachu, a psa nie ma w domu. To był dobry dzień. Nie jest to jednak tak, jak się o tym mówi.",
    "ru": "Кошка сидит на крыше, а собаки нет в доме. Это был хороший день для всех, кто приехал. Мы были рады.",
    "uk": "Кішка сидить на даху, а собаки немає в будинку. Це був гарний день для всіх.",
    "bg": "Котката седи на покрива, а кучето не е в къщата. Това беше хубав ден за всички, които дойдоха.",
    "el": "Η γάτα κάθεται στη στέγη και ο σκύλος δεν είναι στο σπίτι.",
    "he": "החתול יושב על הגג והכלב לא נמצא עכשיו בתוך הבית.",
    "ar": "القطة على الطاولة والأطفال يلعبون في الحديقة مع أصدقائهم.",
    "fa": "گربه روی میز است و کودکان در باغ بازی می‌کنند.",
    "zh": "猫在桌子上，孩子们和朋友们在花园里玩。这不是我们所期待的。",
    "ja": "猫はテーブルの上にいて、子供たちは庭で友達と遊んでいます。",
    "ko": "고양이는 테이블 위에 있고 아이들은 정원에서 친구들과 놀고 있습니다.",
    "": "12 345 XK-99 / PN 88 AB 7781",
}


@pytest.mark.parametrize("code", LANGUAGES, ids=[code or "unclear" for code in LANGUAGES])
def test_the_language_of_a_text_is_told(code: str) -> None:
    assert language_of([LANGUAGES[code]]) == code
    assert language_of(["", *[LANGUAGES[code]] * 200]) == code


def test_a_cover_in_another_language_does_not_decide() -> None:
    assert language_of([LANGUAGES["de"], *[LANGUAGES["en"]] * 50]) == "en"
