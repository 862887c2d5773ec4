import json
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from agent_service.contract import Claims
from agent_service.main import create_app
from agent_service.settings import Settings
from tests.agent_service.calls import Caller
from tests.agent_service.conftest import StartAgent
from tests.serving import PLAIN

ROOT = Path(__file__).resolve().parents[2]


def test_health_needs_no_token(keyless_url: str) -> None:
    response = httpx.get(f"{keyless_url}/health", verify=PLAIN)
    assert (response.status_code, response.json()) == (200, {"status": "ok"})


def test_ready_names_its_parts(keyless_url: str) -> None:
    response = httpx.get(f"{keyless_url}/readyz", verify=PLAIN)
    assert response.status_code == 200
    checks = {"vector_store": "ok", "embedding": "ok", "chat_model": "ok", "lexical_index": "ok"}
    assert response.json() == {"ready": True, "checks": checks}


def test_starts_without_its_database_and_says_so(start_agent: StartAgent) -> None:
    nowhere = SecretStr("postgresql://nobody@127.0.0.1:1/none")
    caller = start_agent(agent_database_url=nowhere, vector_retries=0)
    response = httpx.get(f"{caller.url}/readyz", verify=PLAIN)
    assert response.status_code == 503
    assert response.json()["checks"]["vector_store"] == "pgvector: pgvector cannot be reached."
    refused = caller.post("/vectors/list", {})
    assert (refused.status_code, refused.json()["code"]) == (503, "upstream_unavailable")
    assert "nobody" not in refused.text


def test_models_lists_what_there_is(keyless: Caller) -> None:
    assert keyless.get("/models").json() == {
        "models": [
            {
                "id": "local:extractive",
                "name": "extractive",
                "context_tokens": 1_000_000,
                "default": True,
                "provider": "local",
                "title": "Quotes from the documents",
                "max_output_tokens": None,
                "abilities": [],
                "input_price": "0",
                "output_price": "0",
                "priced_on": "2025-11-01",
            }
        ],
        "embeddings": [
            {"id": "local:wordllama:256", "default": True},
            {"id": "local:wordllama:128", "default": False},
        ],
    }


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "not_found"),
        ("GET", "/docs", 404, "not_found"),
        ("GET", "/chat", 405, "method_not_allowed"),
        ("DELETE", "/health", 405, "method_not_allowed"),
        ("POST", "/models", 405, "method_not_allowed"),
    ],
)
def test_refusals_have_one_body(keyless_url: str, method: str, path: str, status: int, code: str) -> None:
    response = httpx.request(method, keyless_url + path, verify=PLAIN)
    assert response.status_code == status
    assert set(response.json()) == {"code", "message", "retryable", "details", "request_id"}
    assert response.json()["code"] == code


def test_the_schema_describes_requests_and_refusals(keyless_url: str) -> None:
    document = httpx.get(f"{keyless_url}/openapi.json", verify=PLAIN).json()
    chat = document["paths"]["/chat"]["post"]
    assert chat["requestBody"]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/ChatRequest"}
    assert set(chat["responses"]) == {"200", "401", "403", "408", "413", "422", "500", "502", "503", "504"}
    assert set(chat["responses"]["200"]["content"]) == {"application/json", "text/event-stream"}
    references = {part.split('"')[0] for part in json.dumps(document).split("#/components/schemas/")[1:]}
    assert references <= set(document["components"]["schemas"])
    assert document["components"]["securitySchemes"]["APIKeyHeader"]["name"] == "X-Service-Token"
    assert Claims.__name__ not in document["components"]["schemas"]


def test_the_schema_is_made_once(agent_settings: Settings) -> None:
    app = create_app(agent_settings)
    assert app.openapi() is app.openapi()


@pytest.mark.parametrize(
    ("given", "taken"),
    [("abc-123", True), ("a" * 64, True), ("a" * 65, False), ("bad id", False), ("", False), ("é", False)],
)
def test_a_request_id_is_taken_over_where_it_is_well_formed(keyless_url: str, given: str, taken: bool) -> None:
    response = httpx.get(f"{keyless_url}/nothing", headers=[(b"X-Request-ID", given.encode())])
    echoed = response.headers["X-Request-ID"]
    assert (echoed == given) == taken
    assert response.json()["request_id"] == echoed
    assert len(echoed) >= 7


PROBE = """
import logging
from agent_service.api.request_id import RequestIdFilter, current_request_id
record = logging.makeLogRecord({})
assert RequestIdFilter().filter(record) and record.request_id == current_request_id() == "-"
"""


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60
    )


def test_outside_a_request_the_log_has_a_dash() -> None:
    assert run(PROBE).returncode == 0


START = "from agent_service.main import app_from_environment; print(app_from_environment().title)"
KEY = "q8Zt2LmW5xRv9KdB4nHs7JcY1pFg6TuE"


def test_starts_from_its_environment() -> None:
    started = run(START, SERVICE_KEY=KEY, DATABASE_URL="postgresql://x", LOG_LEVEL="WARNING")
    assert started.stdout == "ChatSphere agent service\n"


def test_refuses_to_start_with_one_sentence_that_does_not_tell_the_key() -> None:
    refused = run(START, SERVICE_KEY="insecure-development-key-never-used-in-production", DATABASE_URL="postgresql://x")
    assert refused.returncode == 1
    assert refused.stderr.startswith("The agent service does not start. SERVICE_KEY must be a secret of your own")
    assert "insecure-development" not in refused.stderr


def test_refuses_to_start_without_a_place_for_its_vectors() -> None:
    refused = run(START, SERVICE_KEY=KEY, DATABASE_URL="", AGENT_DATABASE_URL="", PINECONE_API_KEY="")
    assert refused.stderr.startswith("The agent service does not start. DATABASE_URL or AGENT_DATABASE_URL must be set")


def test_importing_it_builds_nothing_and_loads_no_vendor() -> None:
    heavy = "{'wordllama', 'langchain_core', 'langchain_google_genai', 'google.genai', 'pinecone'}"
    code = f"import sys, agent_service.main; print(sorted({heavy} & set(sys.modules)))"
    assert run(code).stdout == "[]\n"
