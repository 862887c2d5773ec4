"""The agent's settings, read from the environment once, in the order of .env.example. Nothing else reads the
environment.
"""

import json
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

ROOT = Path(__file__).resolve().parents[1]

MIN_KEY_LENGTH = 32
VENDORS = ("local", "google", "openai", "anthropic")
_TELLTALES = ("insecure", "changeme", "change-me", "change_me", "default", "example")


class EndpointEmbedding(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field(pattern=r"^[A-Za-z0-9._/-]+$", max_length=80)
    dimension: int = Field(ge=1, le=4000)


class Endpoint(BaseModel):
    """A server that speaks OpenAI's protocol. `name` is its models' provider: `ollama` makes `ollama:llama3.2`."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: str = Field(pattern=r"^[a-z0-9_-]{2,30}$")
    url: str = Field(pattern=r"^https?://[^\s?#]+$")
    key: SecretStr = SecretStr("")
    models: tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9._/:-]+$", max_length=80)], ...] = ()
    embeddings: tuple[EndpointEmbedding, ...] = ()

    @field_validator("name")
    @classmethod
    def _free_name(cls, value: str) -> str:
        if value in VENDORS:
            raise ValueError(f"must not be one of {', '.join(VENDORS)}")
        return value


class Settings(BaseSettings):
    """Field names in capitals are the variables' names. Seconds are of the whole call unless a name says otherwise."""

    model_config = SettingsConfigDict(
        env_file=ROOT / ".env", env_file_encoding="utf-8", extra="ignore", hide_input_in_errors=True, frozen=True
    )

    # Deployment
    log_level: str = "INFO"

    # Secrets
    service_key: SecretStr = SecretStr("")

    # Database: the vectors' one, which may be the backend's
    database_url: SecretStr = SecretStr("")
    agent_database_url: SecretStr = SecretStr("")
    vector_pool_size: int = Field(default=8, ge=1)
    graph_passages: int = Field(default=8_000, ge=0)
    graph_passages_all: int = Field(default=200_000, ge=0)
    graph_memory_mb: int = Field(default=1024, ge=64)
    graph_seconds: float = Field(default=60.0, gt=0)

    # The small neural embedder
    local_neural: bool = False

    # Google
    google_api_key: SecretStr = SecretStr("")
    google_base_url: str = ""
    google_chat_model: str = "gemini-2.5-flash"
    google_embedding_model: str = "gemini-embedding-001"
    google_embedding_dimension: int = Field(default=768, ge=1, le=4000)

    # OpenAI, and servers that speak its protocol
    openai_api_key: SecretStr = SecretStr("")
    openai_base_url: str = ""
    openai_chat_model: str = "gpt-5-mini"
    openai_embedding_model: str = "text-embedding-3-small"
    openai_embedding_dimension: int = Field(default=1536, ge=1, le=4000)
    openai_endpoints: Annotated[tuple[Endpoint, ...], NoDecode] = ()

    # Anthropic
    anthropic_api_key: SecretStr = SecretStr("")
    anthropic_base_url: str = ""
    anthropic_chat_model: str = "claude-sonnet-4-5"

    # Which models there are, and which new bots get
    chat_models: Annotated[tuple[str, ...], NoDecode] = ()
    default_chat_model: str = ""
    default_embedding: str = ""
    models_file: str = ""

    # Agents: a folder with files of your own, beside agent_service/agents
    agents_folder: str = ""

    # Pinecone
    pinecone_api_key: SecretStr = SecretStr("")
    pinecone_control_url: str = ""
    pinecone_index: str = "chatsphere"
    pinecone_host: str = ""
    pinecone_cloud: str = "aws"
    pinecone_region: str = "us-east-1"

    # Requests to the agent
    request_limit_bytes: int = Field(default=16 * 1024 * 1024, ge=1024)
    request_body_seconds: float = Field(default=30.0, gt=0)
    token_leeway_seconds: int = Field(default=5, ge=0, le=60)
    token_memory: int = Field(default=100_000, ge=1)
    agent_heartbeat_seconds: float = Field(default=10.0, gt=0, le=15)
    agent_reader_seconds: float = Field(default=30.0, gt=0)

    # Time limits: the chat model
    model_connect_seconds: float = Field(default=3.0, gt=0)
    model_first_byte_seconds: float = Field(default=20.0, gt=0)
    model_idle_seconds: float = Field(default=15.0, gt=0)
    model_total_seconds: float = Field(default=100.0, gt=0)
    model_retries: int = Field(default=2, ge=0, le=2)
    model_concurrency: int = Field(default=256, ge=1)
    model_rewrite_seconds: float = Field(default=4.0, gt=0)
    model_rerank_seconds: float = Field(default=6.0, gt=0)

    # Time limits: embeddings, for a question and for storing
    embedding_connect_seconds: float = Field(default=3.0, gt=0)
    embedding_query_seconds: float = Field(default=10.0, gt=0)
    embedding_query_retries: int = Field(default=2, ge=0)
    embedding_store_seconds: float = Field(default=60.0, gt=0)
    embedding_store_retries: int = Field(default=5, ge=0)

    # Time limits: the vector store
    vector_connect_seconds: float = Field(default=2.0, gt=0)
    vector_seconds: float = Field(default=5.0, gt=0)
    vector_delete_seconds: float = Field(default=12.0, gt=0)
    vector_retries: int = Field(default=1, ge=0)

    # Retries and circuit breakers, per upstream
    retry_delay_seconds: float = Field(default=0.5, ge=0)
    retry_budget_ratio: float = Field(default=0.1, ge=0, le=1)
    retry_budget_burst: int = Field(default=10, ge=0)
    breaker_failures: int = Field(default=5, ge=1)
    breaker_seconds: float = Field(default=5.0, gt=0)

    @field_validator("service_key")
    @classmethod
    def _secret(cls, value: SecretStr) -> SecretStr:
        key = value.get_secret_value()
        if len(key) < MIN_KEY_LENGTH:
            raise ValueError(f"must be set to a secret of at least {MIN_KEY_LENGTH} characters")
        if any(word in key.lower() for word in _TELLTALES) or len(set(key)) < 8:
            raise ValueError("must be a secret of your own, not a well-known or a repeated one")
        return value

    @field_validator("chat_models", mode="before")
    @classmethod
    def _separated(cls, value: object) -> object:
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value

    @field_validator("openai_endpoints", mode="before")
    @classmethod
    def _decoded(cls, value: object) -> object:
        try:
            return json.loads(value or "[]") if isinstance(value, str) else value
        except ValueError:
            raise ValueError("must be a list in JSON") from None

    @field_validator("openai_endpoints")
    @classmethod
    def _distinct(cls, value: tuple[Endpoint, ...]) -> tuple[Endpoint, ...]:
        if len({endpoint.name for endpoint in value}) < len(value):
            raise ValueError("must have a name of its own for each")
        return value

    @model_validator(mode="after")
    def _database(self) -> Self:
        if not self.pinecone_api_key.get_secret_value() and not self.vectors_url:
            raise ValueError("DATABASE_URL or AGENT_DATABASE_URL must be set: it is where the vectors live")
        return self

    @property
    def vectors_url(self) -> str:
        return self.agent_database_url.get_secret_value() or self.database_url.get_secret_value()
