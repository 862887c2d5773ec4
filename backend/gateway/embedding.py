"""Vectors of a person's texts: held, made by the agent, settled. Nothing of them is stored."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings

from agent_service.contract import EmbedRequest
from backend.agent_client import AgentError, Scope
from backend.bots.catalogue import catalogue
from backend.bots.errors import EmbeddingUnknown
from backend.conversations.questions.history import CHARS_PER_TOKEN_AT_LEAST
from backend.core.ids import uuid7
from backend.core.throttling import Limit, hit
from backend.credits import services as ledger
from backend.gateway.calling import waited_for
from backend.gateway.errors import DimensionsFixed
from backend.users.models import User


@dataclass(frozen=True, slots=True)
class EmbeddedTexts:
    """Unit vectors in the order of the texts; `charged` in credits."""

    embedding: str
    vectors: list[list[float]]
    input_tokens: int
    charged: int


def embed(*, user: User, embedding: str, texts: Sequence[str], dimensions: int | None = None) -> EmbeddedTexts:
    """Charged by the price of the embedding's id, else the default one, as an answer that reads and writes nothing.

    Raises EmbeddingUnknown, DimensionsFixed, TooManyRequests, NoPrice, NotEnoughCredits and AgentError.
    """
    if not catalogue.offers_embedding(embedding):
        raise EmbeddingUnknown(details={"embedding": embedding})
    if dimensions is not None and str(dimensions) != embedding.rpartition(":")[2]:
        raise DimensionsFixed(details={"embedding": embedding})
    hit(Limit("embeddings", settings.CHAT_LIMIT_PER_MINUTE, timedelta(minutes=1)), str(user.pk))
    price = ledger.price_for(embedding)
    reference = uuid7()
    most_tokens = sum(1 + len(text) // CHARS_PER_TOKEN_AT_LEAST for text in texts)
    ledger.hold(user=user, amount=price.ceiling(most_tokens, 0), reference=reference, price=price)
    request = EmbedRequest(embedding=embedding, texts=list(texts))
    try:
        answer = waited_for(lambda agent: agent.embed(request, scope=Scope(user=user.pk)))
    except AgentError:
        ledger.settle(reference=reference, charge=0)
        raise
    tokens = answer.usage.input_tokens
    entry = ledger.settle(reference=reference, charge=price.cost(tokens, 0), input_tokens=tokens, output_tokens=0)
    return EmbeddedTexts(embedding, answer.vectors, tokens, entry.spent_delta)
