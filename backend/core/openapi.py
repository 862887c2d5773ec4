import re

from drf_spectacular.openapi import AutoSchema

_SENTENCE = re.compile(r"[^.]+(?:\.(?=\S)[^.]*)*")


class DescribedSchema(AutoSchema):
    """The list of operations shows what each does: the first sentence of its description."""

    def get_summary(self) -> str | None:
        sentence = _SENTENCE.match(self.get_description())
        return " ".join(sentence[0].split()) if sentence else None
