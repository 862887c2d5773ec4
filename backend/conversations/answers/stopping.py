"""Stop sequences in texts that the agent service does not write; in those that it writes it cuts by the same rule."""

from collections.abc import Sequence


def before_stop(text: str, sequences: Sequence[str]) -> str:
    """`text` up to where the sequence begins that is complete first."""
    found = [(start + len(one), start) for one in sequences if (start := text.find(one)) >= 0]
    return text[: min(found)[1]] if found else text
