"""What the agent offers, together with what it costs here."""

from dataclasses import dataclass

from agent_service.contract import EmbeddingInfo, ModelInfo
from backend.bots.catalogue import catalogue
from backend.credits import services as ledger
from backend.credits.models import Price
from backend.gateway.errors import ModelNotOffered


@dataclass(frozen=True, slots=True)
class Offered:
    """A model and the price in force for it, in credits."""

    info: ModelInfo
    price: Price


def models() -> list[Offered]:
    """Raises AgentError, NoPrice."""
    return [_priced(info) for info in catalogue.offer().models]


def embeddings() -> list[EmbeddingInfo]:
    return list(catalogue.offer().embeddings)


def named(wanted: str) -> Offered:
    """By id, or by the name that its vendor gives it. Raises ModelNotOffered, AgentError, NoPrice."""
    offered = catalogue.offer().models
    by_id = [info for info in offered if info.id == wanted]
    found = by_id or [info for info in offered if info.name == wanted]
    if not found:
        raise ModelNotOffered
    return _priced(found[0])


def _priced(info: ModelInfo) -> Offered:
    return Offered(info, ledger.price_for(info.id))
