"""What of a conversation goes into the prompt, and the most that a prompt may hold."""

from collections.abc import Iterable

from agent_service.contract import Turn

CHARS_PER_TOKEN = 4  # the usual estimate for European text
CHARS_PER_TOKEN_AT_LEAST = 2  # for the ceiling: dense scripts and figures take more tokens


def estimated_tokens(text: str) -> int:
    return -(-len(text) // CHARS_PER_TOKEN)


def within_budget(pairs: Iterable[tuple[str, str]], budget: int) -> list[Turn]:
    """The newest exchanges that fit into `budget` tokens, whole ones only, oldest first. `pairs` come newest first."""
    kept: list[Turn] = []
    for question, answer in pairs:
        budget -= estimated_tokens(question) + estimated_tokens(answer)
        if budget < 0:
            break
        kept[:0] = [Turn(role="user", text=question), Turn(role="assistant", text=answer)]
    return kept


def ceiling_tokens(*, question: str, instructions: str, history_budget: int, passages: int, passage_chars: int) -> int:
    """The most tokens that a prompt of these parts may have."""
    chars = len(question) + len(instructions) + passages * passage_chars + history_budget * CHARS_PER_TOKEN
    return 500 + -(-chars // CHARS_PER_TOKEN_AT_LEAST)
