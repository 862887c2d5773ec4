"""Texts as vectors for whoever asks, without keeping either."""

from collections.abc import Sequence

from agent_service.contract import EmbedResponse
from agent_service.pipeline.embedding import checked
from agent_service.pipeline.storing import Reader


async def encoded(texts: Sequence[str], *, reader: Reader) -> EmbedResponse:
    """Raises UpstreamError, EmbeddingInvalid."""
    embedder = reader.embedder
    embedded = await reader.upstream.call(lambda: embedder.embed_documents(texts), reader.query_limits)
    embedded = checked(embedded, embedding=embedder.id, count=len(texts), dimension=embedder.dimension)
    return EmbedResponse(vectors=embedded.vectors, usage=embedded.usage)
