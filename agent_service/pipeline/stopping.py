"""Text that ends before a stop sequence of its asker's.

Cut here and not by the vendors: some models refuse the parameter, some take no white space in it, the keyless answerer
knows none, and what a vendor cuts is its own text, not the one that is shown once markers are written in one form and
sentences are withheld.
"""

from collections.abc import Iterator, Sequence


class StopFilter:
    """Fed a text piece by piece, gives back what may be shown: an end that may still become a stop sequence waits.

    The sequence that is complete first ends the text, however it is cut into pieces; of several that end together, the
    longest does.
    """

    def __init__(self, sequences: Sequence[str]) -> None:
        self.cut = False
        self._sequences = sequences
        self._held = ""
        self._shown: list[str] = []

    @property
    def text(self) -> str:
        """What has been given back; only where there are sequences."""
        return "".join(self._shown)

    def feed(self, text: str) -> str:
        if not self._sequences or not text:
            return text
        if self.cut:
            return ""
        text = self._held + text
        found = min(self._found(text), default=None)
        if found is not None:
            self.cut, self._held = True, ""
            return self._given(text[: found[1]])
        waiting = self._waiting(text)
        self._held = text[len(text) - waiting :]
        return self._given(text[: len(text) - waiting])

    def flush(self) -> str:
        held, self._held = self._held, ""
        return self._given(held)

    def _found(self, text: str) -> Iterator[tuple[int, int]]:
        """End and start of the first of each sequence."""
        for sequence in self._sequences:
            if (start := text.find(sequence)) >= 0:
                yield start + len(sequence), start

    def _waiting(self, text: str) -> int:
        """Characters at the end that begin one of the sequences."""
        longest = min(len(text), max(map(len, self._sequences)) - 1)
        return next((size for size in range(longest, 0, -1) if self._begun(text[-size:])), 0)

    def _begun(self, end: str) -> bool:
        return any(sequence.startswith(end) for sequence in self._sequences)

    def _given(self, text: str) -> str:
        if text:
            self._shown.append(text)
        return text


def before_stop(text: str, sequences: Sequence[str]) -> str:
    """Of a text that is there in one piece."""
    stop = StopFilter(sequences)
    return stop.feed(text) + stop.flush()
