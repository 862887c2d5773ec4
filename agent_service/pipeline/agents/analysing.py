"""What a domain's agent sees in a question before the search: terms to search beside it, documents that probably
answer, and whether it asks for a contract or a test.

A model may be asked, once; without one, and wherever it gives nothing usable, the words of the agent's file decide.
"""

import logging
import re
from collections.abc import Iterable, Sequence

from agent_service.contract import MAX_TERMS, RetrieveRequest, Turn, Usage
from agent_service.errors import UpstreamError
from agent_service.pipeline import brief
from agent_service.pipeline.agents import search_plan
from agent_service.pipeline.agents.registry import Agent
from agent_service.pipeline.agents.search_plan import MOST_RESOURCES, SearchPlan
from agent_service.pipeline.answering import Speaker
from agent_service.ports import ToolUser

log = logging.getLogger(__name__)

_WORD = re.compile(r"[^\W_]+(?:[_:'-]+[^\W_]+)*")


def by_words(agent: Agent, question: str) -> SearchPlan:
    """By the words of the agent's file alone."""
    rules = agent.analysis
    if rules is None:
        return SearchPlan()
    said = f" {' '.join(_WORD.findall(question.casefold()))} "
    topics = [topic for topic in rules.topics if _among(topic.words, said)]
    resources = dict.fromkeys(name for topic in topics for name in topic.resources)
    return SearchPlan(
        terms=list(dict.fromkeys(term for topic in topics for term in topic.terms))[: 2 * MAX_TERMS],
        resources=[rules.resources[name] for name in resources][:MOST_RESOURCES],
        contract=_among(rules.contract_words, said),
        test=_among(rules.test_words, said),
    )


async def looked_at(
    request: RetrieveRequest, *, agent: Agent, speaker: Speaker | None
) -> tuple[RetrieveRequest, Usage | None]:
    """The request with what its agent sees in the question, and what a model took for that. A model that is asked for
    this is not asked to rewrite the question as well. A request with terms is one that was looked at before.
    """
    if agent.analysis is None or request.terms:
        return request, None
    seen = await analysed(agent, request.query, request.history, speaker)
    changes: dict[str, object] = {"terms": seen.searched}
    if seen.usage:
        changes["rewriting"] = "words"
    return request.model_copy(update=changes), seen.usage


async def analysed(agent: Agent, question: str, history: Sequence[Turn], speaker: Speaker | None) -> SearchPlan:
    """By a model where there is one to ask, and by the agent's words where there is not."""
    plain = by_words(agent, question)
    rules = agent.analysis
    if rules is None or speaker is None or not rules.by_model or not isinstance(speaker.model, ToolUser):
        return plain
    system = search_plan.system_prompt(rules.resources)
    if agent.compiled.query:
        system = agent.compiled.query.told(system)
    message = search_plan.conversation(question, history)
    prompt = brief.asking(system, message, speaker=speaker, most=search_plan.REPLY_TOKENS)
    try:
        said, usage = await brief.said(prompt, speaker)
    except UpstreamError as error:
        log.warning("%s did not look at the question: %s", error.upstream, error.kind)
        return plain
    told = search_plan.read(said, rules.resources) or plain
    return SearchPlan(
        terms=told.terms or plain.terms,
        resources=told.resources or plain.resources,
        contract=told.contract or plain.contract,
        test=told.test or plain.test,
        usage=usage,
    )


def templates_for(agent: Agent, question: str) -> list[str]:
    """What the agent adds to a bot's instructions for this question."""
    seen = by_words(agent, question)
    templates = agent.templates
    wanted = [agent.prompt, templates.prompt, templates.contract * seen.contract, templates.test * seen.test]
    return [text.strip() for text in wanted if text.strip()]


def _among(words: Iterable[str], said: str) -> bool:
    return any(f" {' '.join(_WORD.findall(word.casefold()))} " in said for word in words)
