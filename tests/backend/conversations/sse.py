import json
from typing import Any


def events(stream: str) -> list[tuple[str, dict[str, Any]]]:
    """`(event, data)` of every frame, comments left out, split as the standard says."""
    found = []
    for frame in stream.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in frame.split("\n") if line and not line.startswith(":"))
        if fields:
            found.append((fields["event"], json.loads(fields["data"])))
    return found
