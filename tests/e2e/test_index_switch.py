"""Another embedding, on the whole product: questions asked all the while find what they should."""

from tests.promises.whole_product import query
from tests.stack import Stack

EMBEDDINGS = ["local:wordllama:256", "local:wordllama:128"]


def facts(number: int) -> str:
    return "\n\n".join(
        f"Station {number}-{line} of the northern line was opened in the year {1800 + line}. " * 8 for line in range(40)
    )


def test_questions_find_their_answer_before_during_and_after_the_switch(keyless: Stack) -> None:
    person = keyless.person("switching@example.com")
    bot = person.make_bot("Stations", chunk_chars=300, chunk_overlap=0)
    for document in [person.paste(bot, facts(number), title=f"Stations {number}") for number in range(6)]:
        assert person.wait_until_ended(document)["state"] == "ready"
    index = person.get(f"bots/{bot}/index/")
    assert (index["embedding"], [one["id"] for one in index["offered"]]) == (EMBEDDINGS[0], EMBEDDINGS)
    person.post(f"bots/{bot}/index/", {"embedding": EMBEDDINGS[1]})
    asked = 0
    while True:
        shown = person.get(f"bots/{bot}/index/")
        found = person.post(f"bots/{bot}/search/", {"query": "When was station 3-17 opened?", "limit": 5})
        assert any("1817" in passage["text"] for passage in found["passages"]), shown
        asked += 1
        if shown["build"]["state"] != "building":
            break
    assert (shown["build"]["state"], shown["embedding"]) == ("done", EMBEDDINGS[1])
    assert shown["build"]["done"] == shown["build"]["total"] >= 240
    assert asked > 1
    check_one_dimension_in_each_namespace(keyless, bot)


def check_one_dimension_in_each_namespace(stack: Stack, bot: str) -> None:
    prefix = f"bot-{bot.replace('-', '')}"
    rows = query(
        stack,
        "SELECT namespace, array_agg(DISTINCT vector_dims(embedding)), count(*) FROM vectors.vector"  # noqa: S608
        " JOIN vectors.lexicon ON vectors.lexicon.id = vector.lexicon"
        f" WHERE starts_with(namespace, '{prefix}') GROUP BY namespace",
    )
    dimensions = {name: of for name, of, _ in rows}
    assert dimensions == {prefix: [256], f"{prefix}-1": [128]}
    assert len({count for _, _, count in rows}) == 1
