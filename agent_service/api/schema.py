"""The OpenAPI document, with the request models that the routes read from raw bytes."""

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema


def document(app: FastAPI, requests: Sequence[type[BaseModel]]) -> dict[str, Any]:
    found = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    _, definitions = models_json_schema(
        [(model, "validation") for model in requests], ref_template="#/components/schemas/{model}"
    )
    found["components"]["schemas"] |= definitions["$defs"]
    return found
