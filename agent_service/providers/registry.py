"""Which vendors this service has, by what is set. A vendor's module is imported only where its key is: the SDKs are
large.

To add a vendor: one file here that satisfies a port, its settings, and one function below.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from agent_service.pipeline.catalogue import Catalogue
from agent_service.ports import ChatModel, Embedder, LexicalIndex, VectorStore
from agent_service.providers.extractive import ExtractiveAnswerer
from agent_service.providers.postgres import Database
from agent_service.providers.postings import NAME as LEXICAL_INDEX
from agent_service.providers.postings import PostingIndex
from agent_service.providers.wordllama import WordLlamaEmbedder
from agent_service.settings import Settings


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Catalogue]:
    """The catalogue for these settings; what it holds open is closed at the end."""
    chat_models = _chat_models(settings)
    embedders = _embedders(settings)
    store_name, store, lexical = _store(settings, embedders[0].dimension)
    async with AsyncExitStack() as stack:
        for part in (*chat_models, *embedders, store, lexical):
            if close := getattr(part, "aclose", None):
                stack.push_async_callback(close)
        yield Catalogue(
            chat_models={model.id: model for model in chat_models},
            embedders={embedder.id: embedder for embedder in embedders},
            store=store,
            store_name=store_name,
            default_chat_model=chat_models[0].id,
            default_embedding=embedders[0].id,
            lexical=lexical,
        )


def _chat_models(settings: Settings) -> list[ChatModel]:
    """The default first. The keyless one is always there, for the bots that were made with it."""
    models: list[ChatModel] = [ExtractiveAnswerer()]
    if settings.google_api_key.get_secret_value():
        from agent_service.providers.gemini import GeminiChat

        models.insert(0, GeminiChat(settings, settings.google_chat_model))
    return models


def _embedders(settings: Settings) -> list[Embedder]:
    """The default first. A bot's vectors stay with the embedder it began with, so the keyless one is always there."""
    embedders: list[Embedder] = [WordLlamaEmbedder()]
    if settings.google_api_key.get_secret_value():
        from agent_service.providers.gemini import GeminiEmbedder

        embedders.insert(
            0, GeminiEmbedder(settings, settings.google_embedding_model, settings.google_embedding_dimension)
        )
    return embedders


def _store(settings: Settings, dimension: int) -> tuple[str, VectorStore, LexicalIndex | None]:
    """`dimension` is of the default embeddings: a Pinecone index that does not exist yet is made for them. The lexical
    index is always in PostgreSQL; beside Pinecone there may be none.
    """
    if settings.pinecone_api_key.get_secret_value():
        from agent_service.providers.pinecone import PineconeStore

        beside = PostingIndex(Database(settings, LEXICAL_INDEX, vectors=False)) if settings.vectors_url else None
        return "pinecone", PineconeStore(settings, dimension), beside
    from agent_service.providers.pgvector import PgvectorStore

    pgvector = PgvectorStore(settings)
    return "pgvector", pgvector, PostingIndex(pgvector.database)
