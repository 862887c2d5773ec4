import asyncio

import pytest
from pydantic import SecretStr

from agent_service.errors import UnknownEmbedding, UnknownModel
from agent_service.pipeline.catalogue import Catalogue
from agent_service.providers import registry
from agent_service.settings import Settings

KEYLESS_MODEL, KEYLESS_EMBEDDING = "local:extractive", "local:wordllama:256"


def catalogue(settings: Settings, **keys: str) -> Catalogue:
    async def opened() -> Catalogue:
        async with registry.opened(
            settings.model_copy(update={name: SecretStr(key) for name, key in keys.items()})
        ) as found:
            return found

    return asyncio.run(opened())


def test_without_keys_everything_is_local(agent_settings: Settings) -> None:
    found = catalogue(agent_settings)
    assert (found.default_chat_model, found.default_embedding) == (KEYLESS_MODEL, KEYLESS_EMBEDDING)
    assert found.store_name == "pgvector"


def test_with_googles_key_gemini_is_the_default_and_the_local_ones_stay(agent_settings: Settings) -> None:
    found = catalogue(agent_settings, google_api_key="AIza-test")
    assert list(found.chat_models) == ["google:gemini-2.5-flash", KEYLESS_MODEL]
    assert list(found.embedders) == ["google:gemini-embedding-001:768", KEYLESS_EMBEDDING]
    assert [model.default for model in found.listing().models] == [True, False]


def test_with_pinecones_key_vectors_go_there(agent_settings: Settings) -> None:
    assert catalogue(agent_settings, pinecone_api_key="pc-test").store_name == "pinecone"


def test_what_is_not_there_is_named(agent_settings: Settings) -> None:
    found = catalogue(agent_settings)
    with pytest.raises(UnknownModel) as model:
        found.chat_model("google:none")
    with pytest.raises(UnknownEmbedding) as embedding:
        found.embedder("google:none:1")
    assert (model.value.details, embedding.value.details) == ({"model": "google:none"}, {"embedding": "google:none:1"})
