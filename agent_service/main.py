"""The agent service. Nothing is built at import: `create_app` for tests and servers, `app_from_environment` for
uvicorn's factory.
"""

import logging.config
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import cache, partial
from pathlib import Path

from fastapi import FastAPI
from pydantic import ValidationError

from agent_service.api import processing, refusals, routes, schema
from agent_service.api.request_id import RequestIdMiddleware
from agent_service.api.tokens import TokenGate, UsedTokens
from agent_service.errors import Misconfigured
from agent_service.pipeline.agents.registry import FOLDER, read_agents
from agent_service.pipeline.catalogue import Catalogue
from agent_service.pipeline.service import Service
from agent_service.pipeline.tending import tended
from agent_service.providers import registry
from agent_service.settings import Settings

OpenCatalogue = Callable[[Settings], AbstractAsyncContextManager[Catalogue]]


def create_app(settings: Settings, open_catalogue: OpenCatalogue = registry.opened) -> FastAPI:
    """`open_catalogue` gives the models and the store, open for as long as the service runs. Raises Misconfigured where
    an agent's file is not as it should be.
    """
    agents = read_agents(FOLDER, *([Path(settings.agents_folder)] if settings.agents_folder else []))

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_catalogue(settings) as catalogue:
            app.state.service = Service(settings, catalogue, agents)
            app.state.gate = TokenGate(
                key=settings.service_key.get_secret_value(),
                leeway=settings.token_leeway_seconds,
                used=UsedTokens(settings.token_memory),
            )
            await app.state.service.warm()
            async with tended(catalogue.store, settings.graph_seconds):
                yield

    app = FastAPI(
        title="ChatSphere agent service",
        version="1",
        description="Embeds, retrieves and answers for the ChatSphere backend, its only caller.",
        lifespan=lifespan,
        redirect_slashes=False,
        docs_url=None,  # both pages load their scripts from elsewhere
        redoc_url=None,
    )
    app.add_middleware(RequestIdMiddleware)
    refusals.install(app)
    app.include_router(routes.probes)
    app.include_router(routes.router)
    app.include_router(processing.router)
    app.openapi = cache(partial(schema.document, app, routes.REQUESTS))  # type: ignore[method-assign]  # FastAPI's own way
    return app


def app_from_environment() -> FastAPI:
    """Leaves with one sentence where the settings do not allow a start."""
    try:
        settings = Settings()
    except ValidationError as error:
        raise SystemExit(f"The agent service does not start. {_complaint(error)}") from None
    logging.config.dictConfig(_logging(settings.log_level))
    try:
        return create_app(settings)
    except Misconfigured as error:
        raise SystemExit(f"The agent service does not start. {error.message}") from None


def _complaint(error: ValidationError) -> str:
    """Names the variables and never their values."""
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(
        f"{'.'.join(map(str, problem['loc'])).upper()} {problem['msg'].removeprefix('Value error, ')}".strip()
        for problem in problems
    )


def _logging(level: str) -> dict[str, object]:
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"request_id": {"()": "agent_service.api.request_id.RequestIdFilter"}},
        "formatters": {"line": {"format": "%(levelname)-7s %(name)s [%(request_id)s] %(message)s"}},
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["request_id"]}},
        "root": {"handlers": ["console"], "level": level},
        "loggers": {
            "google_genai": {"level": "WARNING"},  # a line for every call
            "httpx": {"level": "WARNING"},
            "httpx2": {"level": "WARNING"},
            "psycopg.pool": {"level": "ERROR"},
            "uvicorn.access": {"level": "WARNING"},
        },
    }
