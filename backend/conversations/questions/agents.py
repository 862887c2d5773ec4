"""The agent that a bot is answered by, and what it has to say about the search."""

import copy

from agent_service import contract
from backend.bots.catalogue import catalogue
from backend.bots.models import BotVersion


def agent_of(version: BotVersion) -> contract.AgentInfo:
    return catalogue.agent(version.agent)


def as_told_by(agent: contract.AgentInfo | None, version: BotVersion) -> BotVersion:
    """The same configuration, with the agent's own count of passages and threshold where it has them."""
    told = {"top_k": agent.passages, "threshold": agent.threshold} if agent else {}
    changes = {name: value for name, value in told.items() if value is not None}
    if not changes:
        return version
    changed = copy.copy(version)
    for name, value in changes.items():
        setattr(changed, name, value)
    return changed
