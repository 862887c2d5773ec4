"""The agent service's `/chat` as an engine of DSPy's language model: which vendor, how long, how often is its business.

What a request cannot say in DSPy's words (passages, strictness) goes in its extensions, so that it is a part of what
DSPy records and caches.
"""

from typing import Any

import dspy
import httpx
from dspy import lm15
from pydantic import ValidationError

from agent_service.contract import ChatRequest, ChatResponse, Turn
from programs.service import AgentService, Refused

_ENDED = {"length": "length", "limit": "length", "safety": "content_filter"}
_REFUSED = {
    401: lm15.AuthError,
    403: lm15.AuthError,
    408: lm15.TimeoutError,
    429: lm15.RateLimitError,
    504: lm15.TimeoutError,
}


class Engine:
    """Of dspy.clients.engines.base, for one answer in one piece."""

    def __init__(self, service: AgentService) -> None:
        self._service = service

    def complete(self, request: lm15.Request) -> lm15.Response:
        try:
            return _response(self._service.chat(_chat_request(request, self._service)))
        except Refused as refused:
            kind = _REFUSED.get(refused.status, lm15.ServerError if refused.status >= 500 else lm15.InvalidRequestError)
            raise kind(str(refused), status=refused.status, provider_code=refused.body.code) from refused
        except ValidationError as error:
            raise lm15.InvalidRequestError(str(error)) from error
        except httpx.TransportError as error:
            raise lm15.TransportError(str(error)) from error


def language_model(service: AgentService) -> dspy.LM:
    """The bot's model, for all that DSPy asks. The service tries again by itself."""
    bot = service.bot
    return dspy.LM(
        bot.model,
        engine=Engine(service),
        cache=False,
        num_retries=0,
        temperature=bot.temperature,
        max_tokens=bot.max_output_tokens,
    )


def lm_request(request: ChatRequest) -> lm15.Request:
    """In DSPy's words, to be read back by the engine."""
    speak = {"user": lm15.Message.user, "assistant": lm15.Message.assistant}
    extensions = request.model_dump(mode="json", include={"strictness", "passages"})
    return lm15.Request(
        model=request.model,
        system=request.instructions or None,
        messages=[*(speak[turn.role](turn.text) for turn in request.history), lm15.Message.user(request.question)],
        config=lm15.Config(
            temperature=request.temperature, max_tokens=request.max_output_tokens, extensions=extensions
        ),
    )


def _chat_request(request: lm15.Request, service: AgentService) -> ChatRequest:
    """Without extensions it is a bare question to the model, as optimisers ask them."""
    texts = [_text(message.parts) for message in request.messages]
    told = {"strictness": "free", **(request.config.extensions or {})}
    temperature = request.config.temperature
    if request.tools:
        raise lm15.UnsupportedFeatureError("The agent service's /chat takes no tools.")
    return ChatRequest(
        model=request.model,
        temperature=service.bot.temperature if temperature is None else temperature,
        instructions=request.system if isinstance(request.system, str) else _text(request.system or ()),
        history=[
            Turn(role=message.role, text=text) for message, text in zip(request.messages[:-1], texts[:-1], strict=True)
        ],
        question=texts[-1],
        max_output_tokens=request.config.max_tokens or service.bot.max_output_tokens,
        **told,
    )


def _text(parts: Any) -> str:
    if not all(isinstance(part, lm15.TextPart) for part in parts):
        raise lm15.UnsupportedFeatureError("The agent service's /chat takes text only.")
    return "".join(part.text for part in parts)


def _response(answer: ChatResponse) -> lm15.Response:
    usage = answer.usage
    return lm15.Response(
        id=None,
        model=f"{usage.provider}:{usage.model}",
        message=lm15.Message.assistant(answer.text),
        finish_reason=_ENDED.get(answer.finish_reason, "stop"),
        usage=lm15.Usage(input_tokens=usage.input_tokens, output_tokens=usage.output_tokens),
    )
