import asyncio
import subprocess
import sys
from typing import Any

import pytest
from pydantic import SecretStr

from agent_service.errors import Misconfigured, UnknownEmbedding, UnknownModel
from agent_service.pipeline.catalogue import Catalogue
from agent_service.providers import registry
from agent_service.settings import Endpoint, EndpointEmbedding, Settings

KEYLESS_MODEL, KEYLESS_EMBEDDING, SHORTER = "local:extractive", "local:wordllama:256", "local:wordllama:128"


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
    assert list(found.embedders) == ["google:gemini-embedding-001:768", KEYLESS_EMBEDDING, SHORTER]
    assert [model.default for model in found.listing().models] == [True, False]


def test_with_pinecones_key_vectors_go_there(agent_settings: Settings) -> None:
    assert catalogue(agent_settings, pinecone_api_key="pc-test").store_name == "pinecone"


def test_only_what_pinecones_index_can_hold_is_offered(agent_settings: Settings) -> None:
    keys = {"google_api_key": "AIza-test", "pinecone_api_key": "pc-test"}
    assert list(catalogue(agent_settings, **keys).embedders) == ["google:gemini-embedding-001:768"]
    assert list(catalogue(agent_settings, pinecone_api_key="pc-test").embedders) == [KEYLESS_EMBEDDING]


def test_what_is_not_there_is_named(agent_settings: Settings) -> None:
    found = catalogue(agent_settings)
    with pytest.raises(UnknownModel) as model:
        found.chat_model("google:none")
    with pytest.raises(UnknownEmbedding) as embedding:
        found.embedder("google:none:1")
    assert (model.value.details, embedding.value.details) == ({"model": "google:none"}, {"embedding": "google:none:1"})


def with_changes(settings: Settings, **changes: Any) -> Catalogue:
    async def opened() -> Catalogue:
        async with registry.opened(settings.model_copy(update=changes)) as found:
            return found

    return asyncio.run(opened())


OLLAMA = Endpoint(
    name="ollama",
    url="http://localhost:11434/v1",
    models=("llama3.2:3b", "llava"),
    embeddings=(EndpointEmbedding(model="nomic-embed-text", dimension=768),),
)
KEYS = {name: SecretStr("test-key") for name in ("google_api_key", "openai_api_key", "anthropic_api_key")}


def test_each_vendor_with_a_key_and_each_endpoint_brings_its_models(agent_settings: Settings) -> None:
    found = with_changes(agent_settings, openai_endpoints=(OLLAMA,), **KEYS)
    assert list(found.chat_models) == [
        "google:gemini-2.5-flash",
        "openai:gpt-5-mini",
        "anthropic:claude-sonnet-4-5",
        "ollama:llama3.2:3b",
        "ollama:llava",
        KEYLESS_MODEL,
    ]
    assert list(found.embedders)[:3] == [
        "google:gemini-embedding-001:768",
        "openai:text-embedding-3-small:1536",
        KEYLESS_EMBEDDING,
    ]
    assert list(found.embedders)[-1] == "ollama:nomic-embed-text:768"


def test_an_endpoints_embeddings_are_nobodys_default_unless_named(agent_settings: Settings) -> None:
    assert with_changes(agent_settings, openai_endpoints=(OLLAMA,)).default_embedding == KEYLESS_EMBEDDING
    named = with_changes(
        agent_settings,
        openai_endpoints=(OLLAMA,),
        default_embedding="ollama:nomic-embed-text:768",
        default_chat_model="ollama:llava",
    )
    assert (named.default_embedding, named.default_chat_model) == ("ollama:nomic-embed-text:768", "ollama:llava")
    assert set(named.chat_models) == {"ollama:llava", "ollama:llama3.2:3b", KEYLESS_MODEL}


def test_further_models_of_a_vendor_are_offered_by_name(agent_settings: Settings) -> None:
    found = with_changes(agent_settings, chat_models=("openai:gpt-4.1", "google:gemini-2.5-pro"), **KEYS)
    assert {"openai:gpt-4.1", "google:gemini-2.5-pro"} <= set(found.chat_models)
    model = found.named("openai:gpt-4.1")
    assert (model.context_tokens, model.max_output_tokens, model.title) == (1_047_576, 32_768, "GPT-4.1")
    assert "vision" in model.abilities


@pytest.mark.parametrize(
    ("changes", "setting"),
    [
        ({"default_chat_model": "openai:gpt-5"}, "DEFAULT_CHAT_MODEL"),
        ({"default_embedding": "openai:x:5"}, "DEFAULT_EMBEDDING"),
        ({"chat_models": ("openai:gpt-5",)}, "CHAT_MODELS"),
        ({"chat_models": ("google",)}, "CHAT_MODELS"),
        ({"models_file": "/nowhere/models.toml"}, "/nowhere/models.toml"),
    ],
)
def test_what_is_asked_for_and_not_there_stops_the_start(
    agent_settings: Settings, changes: dict[str, Any], setting: str
) -> None:
    with pytest.raises(Misconfigured, match=setting):
        with_changes(agent_settings, **changes)


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("http://localhost:11434/v1", True),
        ("http://192.168.1.7:8000/v1", True),
        ("http://vllm:8000/v1", True),
        ("https://openrouter.ai/api/v1", False),
        ("http://8.8.8.8/v1", False),
    ],
)
def test_a_provider_is_local_where_its_address_says_so(agent_settings: Settings, url: str, local: bool) -> None:
    found = with_changes(agent_settings, openai_endpoints=(OLLAMA.model_copy(update={"url": url}),))
    provider = next(one for one in found.vendors(lambda _: False).providers if one.id == "ollama")
    assert provider.local is local


def test_only_what_is_set_up_is_imported() -> None:
    script = (
        "import sys\nfrom agent_service.providers import registry\n"
        "print([name for name in sys.modules if name.startswith(('langchain', 'openai', 'anthropic', 'httpx'))])"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
