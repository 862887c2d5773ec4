"""What the promises of the whole product look at: the ledger and the answers in the stack's database."""

from dataclasses import dataclass
from typing import Any

import psycopg

from tests.backend.conversations.sse import events
from tests.stack import Person, Stack

TEXT = "The moon is a rock. It orbits the earth every 27 days. Nobody lives there. " * 3
QUESTION = "How often does the moon orbit the earth?"


@dataclass(frozen=True)
class Asker:
    """A person with a bot that knows about the moon."""

    person: Person
    bot: str

    def conversation(self) -> str:
        return self.person.converse(self.bot)

    def stream(self, conversation: str, text: str = QUESTION) -> Any:
        url = f"conversations/{conversation}/messages/"
        return self.person.http.stream("POST", url, json={"text": text}, headers={"accept": "text/event-stream"})

    def events(self, conversation: str, text: str = QUESTION) -> list[tuple[str, dict[str, Any]]]:
        with self.stream(conversation, text) as response:
            return events(response.read().decode())


def asker(stack: Stack, name: str, **configuration: Any) -> Asker:
    person = stack.person(f"{name}@example.com")
    bot = person.make_bot(**configuration)
    document = person.paste(bot, TEXT)
    assert person.wait_until_ended(document)["state"] == "ready"
    return Asker(person, bot)


def query(stack: Stack, sql: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(stack.postgres.url(), connect_timeout=5) as connection:
        return connection.execute(sql).fetchall()


def running_answers(stack: Stack) -> int:
    return int(query(stack, "SELECT count(*) FROM conversations_answer WHERE state = 'streaming'")[0][0])


def wrong_settlements(stack: Stack) -> list[tuple[Any, ...]]:
    """Holds that were not settled exactly once, or for another sum than their answer says."""
    return query(
        stack,
        """
        SELECT hold.reference, count(settle.id), answer.state, answer.charged, sum(settle.spent_delta)
        FROM credits_entry hold
        LEFT JOIN credits_entry settle ON settle.hold_id = hold.id AND settle.kind = 'settle'
        LEFT JOIN conversations_answer answer ON answer.id = hold.reference
        WHERE hold.kind = 'hold'
        GROUP BY hold.reference, answer.state, answer.charged
        HAVING count(settle.id) <> 1 OR answer.charged IS DISTINCT FROM sum(settle.spent_delta)
        """,
    )


def reserved(stack: Stack) -> int:
    return int(query(stack, "SELECT coalesce(sum(reserved), 0) FROM credits_account")[0][0])


def charged(stack: Stack, conversation: str) -> int:
    return int(_newest_answer(stack, conversation)[0])


def state_of(stack: Stack, conversation: str) -> str:
    return str(_newest_answer(stack, conversation)[1])


def _newest_answer(stack: Stack, conversation: str) -> tuple[Any, ...]:
    where = f"conversation_id = '{conversation}' ORDER BY id DESC LIMIT 1"
    return query(stack, f"SELECT charged, state FROM conversations_answer WHERE {where}")[0]  # noqa: S608 - our own id
