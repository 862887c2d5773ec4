from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema


class CredentialScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # its own hook has no types
    """Registers itself by being imported; see `UsersConfig.ready`."""

    target_class = "backend.users.authentication.CredentialAuthentication"
    name = ["accessToken", "apiKey"]

    def get_security_requirement(self, auto_schema: AutoSchema) -> list[dict[str, list[Any]]]:  # noqa: ARG002
        return [{name: []} for name in self.name]  # a list: either will do

    def get_security_definition(self, auto_schema: AutoSchema) -> list[dict[str, Any]]:  # noqa: ARG002 - its signature
        bearer = {"type": "http", "scheme": "bearer", "description": "An access token, or an API key"}
        return [bearer, {"type": "apiKey", "in": "header", "name": "X-API-Key"}]
