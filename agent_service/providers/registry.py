"""Which vendors this service has, by what is set. A vendor's module is imported only where its key is: the SDKs are
large.

To add a vendor: one file here that satisfies a port, its settings, and one function below.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Protocol, TypeVar
from urllib.parse import urlsplit

from agent_service.errors import Misconfigured
from agent_service.pipeline.catalogue import Catalogue, Provider
from agent_service.pipeline.facts import SEED, UNKNOWN, ModelFacts, read_facts
from agent_service.pipeline.tokens import split_model
from agent_service.ports import ChatModel, Embedder, LexicalIndex, ToolLoop, ToolUser, VectorStore
from agent_service.providers.extractive import ExtractiveAnswerer
from agent_service.providers.postgres import Database
from agent_service.providers.postings import NAME as LEXICAL_INDEX
from agent_service.providers.postings import PostingIndex
from agent_service.providers.wordllama import SHORTER, Table, WordLlamaEmbedder
from agent_service.settings import Settings


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Catalogue]:
    """The catalogue for these settings; what it holds open is closed at the end. Raises Misconfigured."""
    facts = read_facts(SEED, *([Path(settings.models_file)] if settings.models_file else []))
    chat_models = _defaults_first(_chat_models(settings, facts), settings.default_chat_model, "DEFAULT_CHAT_MODEL")
    embedders = _defaults_first(_embedders(settings), settings.default_embedding, "DEFAULT_EMBEDDING")
    if settings.pinecone_api_key.get_secret_value():
        # All vectors of a Pinecone index are of one dimension.
        embedders = [embedder for embedder in embedders if embedder.dimension == embedders[0].dimension]
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
            facts=facts,
            providers=_providers(settings),
            tool_loop=_tool_loop(chat_models),
        )


def _tool_loop(chat_models: Sequence[ChatModel]) -> ToolLoop | None:
    """Only where a model can ask for tools: the library is large."""
    if not any(isinstance(model, ToolUser) for model in chat_models):
        return None
    from agent_service.providers.tool_loop import LangGraphLoop

    return LangGraphLoop()


class _Named(Protocol):
    id: str


N = TypeVar("N", bound=_Named)


def _defaults_first(found: list[N], wanted: str, setting: str) -> list[N]:
    """In the order of the vendors, but for the one that is wanted as the default."""
    if wanted and wanted not in {one.id for one in found}:
        raise Misconfigured(f"{setting} names {wanted}, which is not offered: {', '.join(one.id for one in found)} are")
    return sorted(found, key=lambda one: one.id != wanted) if wanted else found


def _chat_models(settings: Settings, facts: Mapping[str, ModelFacts]) -> list[ChatModel]:
    """By vendor. The keyless one is always there, for the bots that were made with it."""
    makers = _chat_makers(settings)
    wanted = [f"{provider}:{model}" for provider, (_, models) in makers.items() for model in models]
    models: list[ChatModel] = []
    for model_id in dict.fromkeys([*wanted, *settings.chat_models]):
        provider, model = split_model(model_id)
        if not model or provider not in makers:
            raise Misconfigured(f"CHAT_MODELS names {model_id}, whose provider is not set up")
        models.append(makers[provider][0](model, facts.get(model_id, UNKNOWN).context_tokens))
    return [*models, ExtractiveAnswerer()]


Maker = Callable[[str, int | None], ChatModel]


def _chat_makers(settings: Settings) -> dict[str, tuple[Maker, Sequence[str]]]:
    """For each provider that is set up: what makes a chat model of its name, and the names it has in any case."""
    makers: dict[str, tuple[Maker, Sequence[str]]] = {}
    if settings.google_api_key.get_secret_value():
        from agent_service.providers.gemini import GeminiChat

        makers["google"] = (partial(GeminiChat, settings), [settings.google_chat_model])
    if settings.openai_api_key.get_secret_value():
        from agent_service.providers.openai import OpenAIChat, Server

        makers["openai"] = (partial(OpenAIChat, settings, Server.own(settings)), [settings.openai_chat_model])
    if settings.anthropic_api_key.get_secret_value():
        from agent_service.providers.anthropic import AnthropicChat

        makers["anthropic"] = (partial(AnthropicChat, settings), [settings.anthropic_chat_model])
    for endpoint in settings.openai_endpoints:
        from agent_service.providers.openai import OpenAIChat, Server

        makers[endpoint.name] = (partial(OpenAIChat, settings, Server.of(endpoint)), endpoint.models)
    return makers


def _embedders(settings: Settings) -> list[Embedder]:
    """By vendor. A bot's vectors stay with the embedder it began with, so the keyless ones are always there. Those of
    an endpoint come last: they are nobody's default unless they are named.
    """
    table = Table()
    embedders: list[Embedder] = []
    if settings.google_api_key.get_secret_value():
        from agent_service.providers.gemini import GeminiEmbedder

        model, dimension = settings.google_embedding_model, settings.google_embedding_dimension
        embedders.append(GeminiEmbedder(settings, model, dimension))
    if settings.openai_api_key.get_secret_value():
        from agent_service.providers.openai import OpenAIEmbedder, Server

        model, dimension = settings.openai_embedding_model, settings.openai_embedding_dimension
        embedders.append(OpenAIEmbedder(settings, Server.own(settings), model, dimension))
    embedders += [WordLlamaEmbedder(table=table), WordLlamaEmbedder(SHORTER, table)]
    if settings.local_neural:
        from agent_service.providers.minilm import MiniLMEmbedder

        embedders.append(MiniLMEmbedder())
    for endpoint in settings.openai_endpoints:
        from agent_service.providers.openai import OpenAIEmbedder, Server

        server = Server.of(endpoint)
        embedders += [OpenAIEmbedder(settings, server, one.model, one.dimension) for one in endpoint.embeddings]
    return embedders


def _providers(settings: Settings) -> dict[str, Provider]:
    return {
        "local": Provider("This service", local=True),
        "google": Provider("Google Gemini"),
        "openai": Provider("OpenAI"),
        "anthropic": Provider("Anthropic"),
        **{
            endpoint.name: Provider(endpoint.name, local=_nearby(endpoint.url))
            for endpoint in settings.openai_endpoints
        },
    }


def _nearby(url: str) -> bool:
    """Whether an address says by itself that it is in this machine or network."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_private
    except ValueError:
        return "." not in host or host.endswith((".local", ".internal", ".localhost"))


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
