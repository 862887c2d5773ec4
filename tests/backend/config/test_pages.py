import re
from collections.abc import Iterator
from http import HTTPStatus

import pytest
from django.test import Client
from pytest_django import Settings
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from backend import agent_client
from backend.config import pages, readiness
from backend.users.models import User
from tests.serving import serve


@pytest.fixture
def ready_agent(settings: Settings) -> Iterator[None]:
    app = Starlette(routes=[Route("/readyz", lambda _: JSONResponse({"ready": True, "checks": {"store": "ok"}}))])
    with serve(app) as url:
        settings.AGENT_URL = url
        agent_client.breaker.succeeded()
        yield


@pytest.fixture
def no_agent(settings: Settings) -> Iterator[None]:
    settings.AGENT_URL = "http://127.0.0.1:9"
    yield
    agent_client.breaker.succeeded()


@pytest.mark.django_db
def test_the_greeting_leads_to_docs_api_and_admin(client: Client) -> None:
    page = client.get("/")
    links = re.findall(r'href="([^"]+)"', page.content.decode())
    assert {"/api/docs/", "/api/v1/", "/admin/"} <= set(links)
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    for link in links:
        if link != "/readyz":
            response = client.get(link, follow=True)
            assert response.status_code == HTTPStatus.OK, link
            response.close()


@pytest.mark.django_db
def test_no_page_loads_anything_from_elsewhere(client: Client) -> None:
    for path in ("/", "/api/docs/", "/api/v1/", "/admin/login/", "/api/browse/login/"):
        page = client.get(path).content.decode()
        assert not re.search(r"""(?:src|href)=["'](?:https?:)?//""", page), path


def test_health_asks_nobody(client: Client) -> None:
    assert client.get("/health").json() == {"status": "ok"}


@pytest.mark.django_db
def test_readiness_names_what_is_not_ready(client: Client, no_agent: None) -> None:
    response = client.get("/readyz")
    checks = response.json()["checks"]
    assert response.status_code == HTTPStatus.SERVICE_UNAVAILABLE
    assert (checks["database"], checks["agent"], checks["ledger"]) == ("ok", "agent_unavailable", "ok")
    assert "worker" in checks["worker"]


@pytest.mark.django_db
def test_what_is_not_ready_is_said_once_and_is_no_error(
    client: Client, no_agent: None, caplog: pytest.LogCaptureFixture
) -> None:
    client.get("/readyz")
    [said] = [
        (one.levelname, one.getMessage()) for one in caplog.records if one.name.startswith(("django", "backend.config"))
    ]
    assert said[0] == "WARNING"
    assert said[1].startswith("Not ready: agent agent_unavailable; worker")


@pytest.mark.django_db
def test_browsers_find_an_icon(client: Client) -> None:
    icon = client.get("/favicon.ico", follow=True)
    assert icon.headers["Content-Type"] == "image/svg+xml"
    icon.close()


@pytest.mark.django_db
def test_the_agent_is_ready_when_it_says_so(ready_agent: None) -> None:
    assert readiness.checks()["agent"] == "ok"


@pytest.mark.django_db
def test_the_schema_is_served(client: Client) -> None:
    response = client.get("/api/schema/?format=json")
    assert response.json()["openapi"].startswith("3.")


@pytest.mark.django_db
def test_each_operation_says_in_a_line_of_its_own_what_it_does(client: Client) -> None:
    paths = client.get("/api/schema/?format=json").json()["paths"]
    for path, operations in paths.items():
        said = [operation.get("summary", "") for name, operation in operations.items() if name != "parameters"]
        assert all(said), path
        assert len(set(said)) == len(said), path
        assert not any(line.startswith("For ") for line in said), f"{path}: said of a class that others share"


@pytest.mark.django_db
@pytest.mark.parametrize("method", ["get", "post", "delete"])
def test_an_address_without_its_slash_leads_on_with_method_and_body(client: Client, method: str) -> None:
    response = getattr(client, method)("/api/v1/bots?page_size=2")
    assert (response.status_code, response.headers["Location"]) == (308, "/api/v1/bots/?page_size=2")


@pytest.mark.parametrize(
    ("path", "accepted", "shown"),
    [
        ("/nowhere/", "text/html,*/*;q=0.8", "text/html; charset=utf-8"),
        ("/nowhere/", "*/*", "application/json"),
        ("/api/v1/nowhere/", "text/html,*/*;q=0.8", "application/json"),
        ("/v1/nowhere/", "text/html,*/*;q=0.8", "application/json"),
    ],
)
def test_a_browser_is_shown_a_page_where_there_is_nothing_and_a_program_a_code(
    client: Client, path: str, accepted: str, shown: str
) -> None:
    response = client.get(path, headers={"Accept": accepted})
    assert (response.status_code, response.headers["Content-Type"]) == (404, shown)
    assert path != "/nowhere/" or "Accept" in response.headers["Vary"].split(", ")
    assert ("<h1>There is nothing here" in response.content.decode()) == shown.startswith("text/html")


@pytest.mark.django_db
def test_an_administrator_who_may_not_is_shown_a_page(client: Client, owner: User) -> None:
    User.objects.filter(pk=owner.pk).update(is_staff=True)
    client.force_login(User.objects.get(pk=owner.pk))
    response = client.get("/admin/users/user/", headers={"Accept": "text/html"})
    assert (response.status_code, response.headers["Content-Type"]) == (403, "text/html; charset=utf-8")
    assert "You may not do this." in response.content.decode()


@pytest.mark.parametrize(
    ("accepted", "shown"), [("text/html", "text/html; charset=utf-8"), ("*/*", "application/json")]
)
def test_a_failure_of_ours_is_told_without_its_words(
    monkeypatch: pytest.MonkeyPatch, accepted: str, shown: str
) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("the key is hunter2")

    monkeypatch.setattr(pages, "render", fails)
    response = Client(raise_request_exception=False).get("/", headers={"Accept": accepted})
    assert (response.status_code, response.headers["Content-Type"]) == (500, shown)
    assert "Something failed on our side." in response.content.decode()
    assert "hunter2" not in response.content.decode()


@pytest.mark.django_db
def test_only_listed_origins_get_access(client: Client, settings: Settings) -> None:
    settings.CORS_ALLOWED_ORIGINS = ["https://app.example.com"]
    listed = client.get("/api/v1/", headers={"origin": "https://app.example.com"})
    assert listed.headers["Access-Control-Allow-Origin"] == "https://app.example.com"
    for origin in ("https://evil.example.com", "null", "https://app.example.com.evil.com"):
        assert "Access-Control-Allow-Origin" not in client.get("/api/v1/", headers={"origin": origin}).headers
