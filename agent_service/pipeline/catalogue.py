"""What this service can do: its models, embedders and store, by id."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from agent_service.contract import EmbeddingInfo, ModelInfo, ModelsResponse, ProviderInfo, ProvidersResponse
from agent_service.errors import NoSuchModel, UnknownEmbedding, UnknownModel
from agent_service.pipeline.facts import UNKNOWN, ModelFacts
from agent_service.pipeline.tokens import split_model
from agent_service.ports import ChatModel, Embedder, LexicalIndex, ToolLoop, VectorStore


@dataclass(frozen=True, slots=True)
class Provider:
    """`local`: nothing leaves this machine or its network."""

    name: str
    local: bool = False


@dataclass(frozen=True, slots=True)
class Catalogue:
    chat_models: Mapping[str, ChatModel]
    embedders: Mapping[str, Embedder]
    store: VectorStore
    store_name: str
    default_chat_model: str
    default_embedding: str
    lexical: LexicalIndex | None = None
    facts: Mapping[str, ModelFacts] = field(default_factory=dict)
    providers: Mapping[str, Provider] = field(default_factory=dict)
    tool_loop: ToolLoop | None = None

    def chat_model(self, model_id: str) -> ChatModel:
        """Raises UnknownModel."""
        try:
            return self.chat_models[model_id]
        except KeyError:
            raise UnknownModel(details={"model": model_id}) from None

    def embedder(self, embedding_id: str) -> Embedder:
        """Raises UnknownEmbedding."""
        try:
            return self.embedders[embedding_id]
        except KeyError:
            raise UnknownEmbedding(details={"embedding": embedding_id}) from None

    def facts_of(self, model_id: str) -> ModelFacts:
        return self.facts.get(model_id, UNKNOWN)

    def listing(self) -> ModelsResponse:
        embeddings = [EmbeddingInfo(id=known, default=known == self.default_embedding) for known in self.embedders]
        return ModelsResponse(models=[self._told(model) for model in self.chat_models.values()], embeddings=embeddings)

    def named(self, wanted: str) -> ModelInfo:
        """By id, or by the vendor's name or the title where only one model has it. Raises NoSuchModel."""
        models = self.listing().models
        for found in (
            [model for model in models if model.id == wanted],
            [model for model in models if wanted in (model.name, model.title)],
        ):
            if len(found) == 1:
                return found[0]
        raise NoSuchModel(details={"model": wanted[:200]})

    def vendors(self, resting: Callable[[str], bool]) -> ProvidersResponse:
        """`resting` says whether what has this id is left alone after failures."""
        ids = [*self.chat_models, *self.embedders]
        names = dict.fromkeys(split_model(known)[0] for known in ids)
        return ProvidersResponse(providers=[self._vendor(name, resting) for name in names])

    def _vendor(self, provider: str, resting: Callable[[str], bool]) -> ProviderInfo:
        about = self.providers.get(provider, Provider(provider))
        models = [known for known in self.chat_models if split_model(known)[0] == provider]
        embeddings = [known for known in self.embedders if split_model(known)[0] == provider]
        return ProviderInfo(
            id=provider,
            name=about.name,
            local=about.local,
            state="resting" if any(map(resting, (*models, *embeddings))) else "ok",
            models=models,
            embeddings=embeddings,
        )

    def _told(self, model: ChatModel) -> ModelInfo:
        provider, name = split_model(model.id)
        facts = self.facts_of(model.id)
        return ModelInfo(
            id=model.id,
            name=name,
            context_tokens=model.context_tokens,
            default=model.id == self.default_chat_model,
            provider=provider,
            title=facts.title,
            max_output_tokens=facts.max_output_tokens,
            abilities=list(facts.abilities),
            input_price=facts.input_price,
            output_price=facts.output_price,
            priced_on=facts.priced_on,
        )
