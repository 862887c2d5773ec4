"""From a list of chat messages to a question, what was said before it, and its pictures."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from agent_service.contract import Turn
from backend.conversations.questions.history import newest
from backend.openai_api.errors import Refused, Unsupported

MOST_MESSAGES = 2_000
_ROLES = {"system": "user", "developer": "user", "user": "user", "assistant": "assistant"}
_DATA_URL = "data:"
_PICTURE = "[image]"  # stands in what was said earlier: pictures belong to the newest question alone


@dataclass(frozen=True, slots=True)
class Asked:
    """`before` is oldest first: the newest part of what was said, which is sent along. `pictures` are (media type,
    base64) pairs as they came."""

    question: str
    before: list[Turn]
    pictures: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class _Said:
    role: str
    text: str
    pictures: list[tuple[str, str]]


def read(messages: Sequence[Any]) -> Asked:
    """Raises Refused with the place of the first thing that does not fit.

    A bot answers under its owner's instructions. What a system or developer message says is the asker's, so it is
    passed on as said by the asker and stands below them.
    """
    if not 1 <= len(messages) <= MOST_MESSAGES:
        raise Refused(f"Send 1 to {MOST_MESSAGES} messages.", param="messages")
    last = len(messages) - 1
    if not isinstance(messages[last], dict) or messages[last].get("role") != "user":
        raise Refused("The last message is the question: its role is user.", param=f"messages[{last}].role")
    question = _said(messages[last], f"messages[{last}]")
    _check_question(question.text, f"messages[{last}].content")
    earlier = [_said(message, f"messages[{number}]") for number, message in enumerate(messages[:last])]
    before = newest((), [{"role": said.role, "text": said.text} for said in earlier if said.text])
    return Asked(question.text, before, question.pictures)


def _check_question(text: str, place: str) -> None:
    if not text.strip():
        raise Refused("The question is empty.", param=place)
    limit = settings.MESSAGE_LIMIT_CHARS
    if len(text) > limit:
        raise Refused(f"A question has at most {limit} characters.", param=place, code="string_above_max_length")


def _said(message: Any, place: str) -> _Said:
    if not isinstance(message, dict):
        raise Refused("A message is an object.", param=place)
    role = message.get("role")
    if not isinstance(role, str) or role not in _ROLES:
        if role in ("tool", "function"):
            raise Unsupported("Tools of the caller's are not supported.", param=f"{place}.role")
        raise Refused(f"The role is one of {', '.join(_ROLES)}.", param=f"{place}.role")
    for name in ("tool_calls", "function_call", "audio"):
        if message.get(name):
            raise Unsupported(param=f"{place}.{name}")
    content = message.get("content")
    if content is None and role == "assistant":
        content = message.get("refusal") or ""
    if isinstance(content, str):
        return _Said(_ROLES[role], content, [])
    if not isinstance(content, list):
        raise Refused("The content is a text or a list of parts.", param=f"{place}.content")
    return _of_parts(role, content, f"{place}.content")


def _of_parts(role: str, parts: list[Any], place: str) -> _Said:
    texts: list[str] = []
    pictures: list[tuple[str, str]] = []
    for number, part in enumerate(parts):
        here = f"{place}[{number}]"
        kind = part.get("type") if isinstance(part, dict) else None
        if kind in ("text", "refusal") and isinstance(part.get(kind), str):
            texts.append(part[kind])
        elif kind == "image_url" and role == "user":
            pictures.append(_picture(part.get("image_url"), f"{here}.image_url"))
        elif isinstance(kind, str):
            raise Unsupported("Parts of a message are text, and images in what the user says.", param=f"{here}.type")
        else:
            raise Refused("A part of a message is an object with a type.", param=here)
    return _Said(_ROLES[role], "\n".join(texts) or _PICTURE * bool(pictures), pictures)


def _picture(image: Any, place: str) -> tuple[str, str]:
    """Only what comes along with the request: no address that a caller names is ever fetched for a question."""
    url = image.get("url") if isinstance(image, dict) else None
    if not isinstance(url, str):
        raise Refused("An image has a url.", param=place)
    if not url.lower().startswith(_DATA_URL):
        raise Unsupported("Images are not fetched: send a data: URL.", param=f"{place}.url")
    head, comma, data = url[len(_DATA_URL) :].partition(",")
    media_type, _, encoding = head.partition(";")
    if not comma or encoding.lower() != "base64":
        raise Refused("A data: URL of an image is base64: data:image/png;base64,…", param=f"{place}.url")
    return media_type.lower(), data
