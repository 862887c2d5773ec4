"""What an answer says about itself, from the real agent: its receipt, and the same answer once more."""

import base64
from typing import Any

import pytest

from tests.stack import Person

TEXT = "The lighthouse of Alta was built in 1877. It is 26 metres high. Its light can be seen for 19 miles."


@pytest.fixture(scope="module")
def bot(person: Person) -> str:
    bot = person.make_bot("Lighthouse")
    assert person.wait_until_ended(person.paste(bot, TEXT, "Alta"))["state"] == "ready"
    return bot


@pytest.fixture(scope="module")
def answer(person: Person, bot: str) -> Any:
    shown = person.ask(person.converse(bot), "When was the lighthouse of Alta built?").json()
    assert shown["state"] == "done", shown
    return shown


def test_the_receipt_has_the_prompts_hash_and_the_time_of_the_first_word(person: Person, answer: Any) -> None:
    receipt = person.get(f"answers/{answer['id']}/receipt/")
    assert len(receipt["prompt_sha256"]) == 64
    assert 0 < receipt["timings"]["first_word_ms"] <= receipt["timings"]["total_ms"]
    assert receipt["passages"][0]["rank"] == 1


def test_every_sentence_is_supported_or_marked(answer: Any) -> None:
    claims = [sentence for sentence in answer["support"] if sentence["claim"]]
    assert claims
    assert all(sentence["supported"] and sentence["evidence"] for sentence in claims)
    assert all(answer["text"][one["start"] : one["end"]].strip() for one in answer["support"])


def test_a_replay_gives_the_model_the_same_prompt_and_tells_the_same(person: Person, answer: Any) -> None:
    again = person.http.post(f"answers/{answer['id']}/replay/").json()
    assert (again["same_prompt"], again["text"]) == (True, answer["text"])
    assert [one["quote"] for one in again["citations"]] == [one["quote"] for one in answer["citations"]]


def test_the_keyless_model_sees_nothing_and_says_so(person: Person, bot: str) -> None:
    picture = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(64)).decode()
    body = {"text": "What is this?", "images": [{"media_type": "image/png", "data": picture}]}
    conversation = person.converse(bot)
    response = person.http.post(f"conversations/{conversation}/messages/", json=body)
    assert (response.status_code, response.json()["code"]) == (422, "image_unsupported")


def test_the_context_is_what_the_answer_was_given(person: Person, answer: Any) -> None:
    url = f"conversations/{answer['conversation']}/context/?question=How high is the lighthouse of Alta?"
    context = person.get(url)
    assert [said["text"] for said in context["history"]][1] == answer["text"]
    assert TEXT in [passage["text"] for passage in context["passages"]]
