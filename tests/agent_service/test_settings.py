import pytest
from pydantic import ValidationError

from agent_service.settings import Settings
from tests.agent_service.calls import SERVICE_KEY


def settings(**fields: str) -> Settings:
    usual = {"service_key": SERVICE_KEY, "database_url": "postgresql://backend", "agent_database_url": ""}
    return Settings.model_validate({"_env_file": None, "pinecone_api_key": ""} | usual | fields)


@pytest.mark.parametrize(
    "key",
    [
        "",
        "a short one",
        SERVICE_KEY[:31],
        "insecure-development-key-never-used-in-production",
        "ChangeMe" * 5,
        "default-secret-key-of-the-service",
        "a" * 64,
        "abab" * 16,
    ],
)
def test_a_key_that_is_missing_short_or_known_is_refused(key: str) -> None:
    with pytest.raises(ValidationError, match="must be") as refused:
        settings(service_key=key)
    assert not key or key not in str(refused.value)


def test_vectors_live_beside_the_backend_unless_told() -> None:
    assert settings().vectors_url == "postgresql://backend"
    assert settings(agent_database_url="postgresql://vectors").vectors_url == "postgresql://vectors"


def test_a_database_is_needed_only_for_pgvector() -> None:
    with pytest.raises(ValidationError, match="DATABASE_URL"):
        settings(database_url="")
    assert settings(database_url="", pinecone_api_key="pc-key").vectors_url == ""


def test_secrets_do_not_show_themselves() -> None:
    shown = repr(settings(google_api_key="AIza-canary", pinecone_api_key="pc-canary"))
    assert SERVICE_KEY not in shown
    assert "canary" not in shown
    assert "postgresql" not in shown


def test_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVICE_KEY", SERVICE_KEY)
    monkeypatch.setenv("GOOGLE_CHAT_MODEL", "gemini-next")
    monkeypatch.setenv("MODEL_TOTAL_SECONDS", "33")
    read = Settings(_env_file=None)
    assert (read.google_chat_model, read.model_total_seconds) == ("gemini-next", 33)


@pytest.mark.parametrize(
    "endpoints",
    [
        "[{",
        "7",
        '[{"name": "openai", "url": "http://localhost/v1"}]',
        '[{"name": "ollama", "url": "localhost:11434"}]',
        '[{"name": "ollama", "url": "http://localhost/v1", "colour": "red"}]',
        '[{"name": "ollama", "url": "http://a/v1"}, {"name": "ollama", "url": "http://b/v1"}]',
        '[{"name": "ollama", "url": "http://a/v1", "models": ["with space"]}]',
    ],
    ids=["no json", "no list", "a vendor's name", "no address", "unknown field", "twice", "no model"],
)
def test_an_endpoint_that_is_wrong_is_refused(endpoints: str) -> None:
    with pytest.raises(ValidationError, match="openai_endpoints"):
        settings(openai_endpoints=endpoints)


def test_endpoints_are_read_from_json_and_models_between_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVICE_KEY", SERVICE_KEY)
    monkeypatch.setenv("DATABASE_URL", "postgresql://backend")
    monkeypatch.setenv(
        "OPENAI_ENDPOINTS", '[{"name": "lm-studio", "url": "http://127.0.0.1:1234/v1", "key": "canary"}]'
    )
    monkeypatch.setenv("CHAT_MODELS", "openai:gpt-5, google:gemini-2.5-pro,")
    read = Settings(_env_file=None)
    [endpoint] = read.openai_endpoints
    assert (endpoint.name, endpoint.key.get_secret_value()) == ("lm-studio", "canary")
    assert read.chat_models == ("openai:gpt-5", "google:gemini-2.5-pro")
    assert "canary" not in repr(read)


def test_no_endpoint_is_an_empty_variable() -> None:
    assert settings(openai_endpoints="").openai_endpoints == ()
