"""How a turn ended: from what was said to what is stored and what it costs."""

from http import HTTPStatus

from agent_service import contract
from backend.agent_client import AgentRefused
from backend.bots.models import Strictness
from backend.conversations.answers import quoting, receipts
from backend.conversations.answers.endings import Outcome
from backend.conversations.answers.receipts import Account
from backend.conversations.answers.turns import Turn
from backend.conversations.errors import TurnInterrupted, TurnRestarting
from backend.conversations.models import AnswerState
from backend.conversations.questions.history import estimated_tokens
from backend.core.errors import ChatSphereError
from backend.credits.models import Price

ASKERS_FAULTS = {"image_unsupported", "image_invalid", "image_too_large", "prompt_too_long"}
"""The agent's refusals that the person can do something about."""


def finished(turn: Turn, finish_reason: str) -> Outcome:
    """An answer that came to its end. Its text loses the markers that nothing stands behind."""
    cited = turn.said.cited or contract.CitationsEvent(citations=[], rejected=0)
    spans, rejected = quoting.checked(cited.citations, turn.passages)
    markers = [span.marker for span in spans]
    text = quoting.trimmed(turn.text, keep=markers)
    support = quoting.supported(cited.sentences, text, turn.passages, markers)
    usage = _with_search(turn, turn.said.usage or estimated_usage(turn))
    model = turn.opened.prices.answered_by(usage)
    price = turn.opened.prices.by_model[model]
    free = finish_reason == "not_found" and turn.opened.version.strictness == Strictness.STRICT
    checks = {
        "citations": len(spans),
        "citations_rejected": cited.rejected + rejected,
        "sentences": len(support),
        "supported": sum(sentence["supported"] for sentence in support),
        "unsupported": sum(sentence["claim"] and not sentence["supported"] for sentence in support),
        "withheld": cited.withheld,
    }
    return Outcome(
        state=AnswerState.DONE,
        text=text.text,
        cost=0 if free else price.cost(usage.input_tokens, usage.output_tokens),
        price_id=price.pk,
        answered_by=model,
        finish_reason=finish_reason,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        usage_estimated=usage.estimated,
        citations=spans,
        citations_rejected=cited.rejected + rejected,
        support=support,
        withheld=cited.withheld,
        follow_ups=turn.said.follow_ups,
        same_prompt=_same_prompt(turn, cited.prompt_sha256),
        account=account(turn, prompt_sha256=cited.prompt_sha256, checks=checks),
    )


def halted(turn: Turn) -> Outcome:
    """Stopped, or left by its last reader: what was shown is paid for. Everything else is on the house."""
    if turn.halted_by == "restarting":
        return failed(turn, TurnRestarting())
    if turn.halted_by not in ("stopped", "abandoned"):
        return failed(turn, TurnInterrupted())
    if turn.said.cited:
        return finished(turn, turn.said.finish_reason or "stop")  # only the suggested questions were still to come
    if not turn.text:
        return Outcome(state=AnswerState.STOPPED)
    usage = _with_search(turn, estimated_usage(turn))
    price = cheapest(turn, usage)
    return Outcome(
        state=AnswerState.STOPPED,
        text=turn.text,
        cost=price.cost(usage.input_tokens, usage.output_tokens),
        price_id=price.pk,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        usage_estimated=True,
        citations=quoting.whole_passages(turn.text, turn.passages),
        account=account(turn),
    )


def failed(turn: Turn, error: ChatSphereError) -> Outcome:
    if isinstance(error, AgentRefused):
        error.status = _status_of(error)
    return Outcome(state=AnswerState.FAILED, text=quoting.without_markers(turn.text), error=error)


def account(turn: Turn, *, prompt_sha256: str = "", checks: dict[str, int] | None = None) -> Account:
    turn.passed("total_ms")
    return Account(
        query=turn.query,
        prompt_sha256=prompt_sha256,
        parameters=(receipts.parameters_of(turn.said.request) if turn.said.request else {}) | turn.notes,
        passages=receipts.ranked(turn.passages),
        checks=checks or {},
        timings=turn.timings,
    )


def estimated_usage(turn: Turn) -> contract.Usage:
    opened = turn.opened
    prompt = [opened.version.instructions, opened.question, *(said.text for said in opened.history)]
    prompt += [passage.text for passage in turn.passages]
    images = len(opened.pictures) * contract.IMAGE_TOKENS
    return contract.Usage(
        provider="",
        model=opened.answer.model,
        input_tokens=images + sum(estimated_tokens(text) for text in prompt),
        output_tokens=estimated_tokens(turn.text),
        estimated=True,
    )


def cheapest(turn: Turn, usage: contract.Usage) -> Price:
    """Which of several models spoke is told at the end only: whoever stops it pays the least that it can be."""
    return turn.opened.prices.cheapest(usage.input_tokens, usage.output_tokens)


def _with_search(turn: Turn, usage: contract.Usage) -> contract.Usage:
    """Of the answer and of the models that were asked in the search for its passages."""
    searching = turn.said.searching
    return usage.model_copy(
        update={
            "input_tokens": usage.input_tokens + sum(asked.input_tokens for asked in searching),
            "output_tokens": usage.output_tokens + sum(asked.output_tokens for asked in searching),
            "estimated": usage.estimated or any(asked.estimated for asked in searching),
        }
    )


def _same_prompt(turn: Turn, prompt_sha256: str) -> bool | None:
    replay = turn.opened.replay
    return prompt_sha256 == replay.prompt_sha256 if replay and prompt_sha256 and replay.prompt_sha256 else None


def _status_of(error: AgentRefused) -> int:
    if error.code in ASKERS_FAULTS:
        return HTTPStatus.UNPROCESSABLE_ENTITY
    return HTTPStatus.SERVICE_UNAVAILABLE if error.retryable else error.status
