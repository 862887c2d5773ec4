"""S2: twenty tenants with nearly the same text; no question brings up another's."""

import random
import uuid

import pytest

from tests.e2e.conftest import keyless
from tests.stack import Person, Stack

__all__ = ["keyless"]

TENANTS = 20
TEXT = (
    "The vault of branch {number} is opened with the word {canary}. The branch keeps its records in the vault. "
    "Nobody but the manager of the branch knows it."
)
QUESTIONS = ["Which word opens the vault?", "Who knows the word of branch {other}?", "vault of branch {other}"]


@pytest.mark.parametrize("questions", [60, pytest.param(1000, marks=pytest.mark.long)])
def test_no_answer_holds_a_foreign_canary(keyless: Stack, questions: int) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    person = keyless.person(f"s2-{questions}@example.com")
    canaries, conversations = [], []
    for number in range(TENANTS):
        owner = keyless.person(f"s2-{questions}-{number}@example.com") if number else person
        canary = f"canary{uuid.uuid4().hex[:10]}"
        bot = owner.make_bot(f"Branch {number}")
        owner.wait_until_ended(owner.paste(bot, TEXT.format(number=number, canary=canary)))
        canaries.append(canary)
        conversations.append((owner, owner.converse(bot)))
    found = 0
    for turn in range(questions):
        number, other = chance.sample(range(TENANTS), 2)
        asker, conversation = conversations[number]
        said = answer(asker, conversation, QUESTIONS[turn % len(QUESTIONS)].format(other=other))
        foreign = [canary for index, canary in enumerate(canaries) if index != number and canary in said]
        assert not foreign
        found += canaries[number] in said
        if turn % 4 == 0:
            shown = searched(asker, chance.choice(QUESTIONS).format(other=other))
            assert not [canary for index, canary in enumerate(canaries) if index != number and canary in shown]
            assert canaries[number] in shown
    print(f"{found} of {questions} answers held the tenant's own canary, 0 a foreign one")
    assert found > questions // 6  # a third of the questions asks for it, the others name another branch


def searched(person: Person, question: str) -> str:
    """All passages of all bots that they may see, which are their own."""
    return str(person.post("search/", {"query": question, "limit": 20}))


def answer(person: Person, conversation: str, question: str) -> str:
    response = person.ask(conversation, question)
    if response.status_code == 403 and response.json()["code"] == "not_enough_credits":
        pytest.fail("the grant of the stack is too small for this many questions")
    return response.text
