"""What this service can do: its models, embedders and store, by id."""

from collections.abc import Mapping
from dataclasses import dataclass

from agent_service.contract import EmbeddingInfo, ModelInfo, ModelsResponse
from agent_service.errors import UnknownEmbedding, UnknownModel
from agent_service.ports import ChatModel, Embedder, LexicalIndex, VectorStore


@dataclass(frozen=True, slots=True)
class Catalogue:
    chat_models: Mapping[str, ChatModel]
    embedders: Mapping[str, Embedder]
    store: VectorStore
    store_name: str
    default_chat_model: str
    default_embedding: str
    lexical: LexicalIndex | None = None

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

    def listing(self) -> ModelsResponse:
        models = [
            ModelInfo(
                id=model.id,
                name=model.id.partition(":")[2],
                context_tokens=model.context_tokens,
                default=model.id == self.default_chat_model,
            )
            for model in self.chat_models.values()
        ]
        embeddings = [EmbeddingInfo(id=known, default=known == self.default_embedding) for known in self.embedders]
        return ModelsResponse(models=models, embeddings=embeddings)
