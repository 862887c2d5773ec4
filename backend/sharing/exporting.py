"""A conversation as a file. A source is `[n]` in Markdown, listed below its answer, and `(source: …)` in plain text, at
its place."""

import re
from collections.abc import Callable, Sequence
from typing import Any

from django.utils import timezone

from backend.conversations.models import Answer, Conversation
from backend.sharing import transcripts
from backend.sharing.markup import escaped, link, quoted, without_embeds

_MARKER = re.compile(r"\s?\[(\d{1,3})\]")
GONE = "a document that was deleted since"


def as_markdown(conversation: Conversation) -> str:
    answers = transcripts.read(transcripts.given(conversation))
    head = [f"# {escaped(conversation.title) or 'Conversation'}", escaped(_line_about(conversation))]
    return "\n\n".join([*head, *(_markdown_turn(answer) for answer in answers)]) + "\n"


def as_text(conversation: Conversation) -> str:
    answers = transcripts.read(transcripts.given(conversation))
    head = [_one_line(conversation.title) or "Conversation", _line_about(conversation)]
    return "\n\n".join([*head, *(_text_turn(answer) for answer in answers)]) + "\n"


def _line_about(conversation: Conversation) -> str:
    bot: Any = conversation.bot
    return f"{bot.name + ', ' if bot else ''}{timezone.now():%d %B %Y}"


def _markdown_turn(answer: Answer) -> str:
    listed = [f"- [{citation.marker}] {_markdown_source(citation)}" for citation in _citations(answer)]
    parts = [quoted(answer.message.text), without_embeds(answer.text), "\n".join(listed)]
    return "\n\n".join(part for part in parts if part)


def _markdown_source(citation: Any) -> str:
    if citation.quote is None:
        return GONE
    said = f"{escaped(_name(citation))}: “{escaped(citation.quote)}”"
    address = link(_link(citation))
    return f"{said} {address}" if address else said


def _text_turn(answer: Answer) -> str:
    sources = {citation.marker: _text_source(citation) for citation in _citations(answer)}
    text = _MARKER.sub(_replaced_by(sources), answer.text)
    return f"You: {answer.message.text.strip()}\n\nBot: {text.strip()}"


def _replaced_by(sources: dict[int, str]) -> Callable[["re.Match[str]"], str]:
    return lambda match: f" (source: {sources[int(match[1])]})" if int(match[1]) in sources else match[0]


def _text_source(citation: Any) -> str:
    return GONE if citation.quote is None else _one_line(_link(citation)) or _one_line(_name(citation))


def _citations(answer: Answer) -> Sequence[Any]:
    return list(answer.citations.all())


def _name(citation: Any) -> str:
    """Of an answer across bots with the bot's name."""
    document = citation.version.document
    across = citation.answer.conversation.bot_id is None
    bot = citation.bot["name"] if across and citation.bot else ""
    return ", ".join(part for part in (bot, document.title, citation.label) if part)


def _link(citation: Any) -> str:
    return str(citation.link or citation.version.document.link)


def _one_line(text: str) -> str:
    return " ".join(text.split())
