from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from backend.tools import secrets
from backend.tools.models import Method, Tool, ToolKind

_NAME = r"^[a-z][a-z0-9_]{0,39}$"
_HEADERS = "Sent with each call. Sealed, and never shown again: only their names are."
_PARAMETERS = "A JSON schema of an object: properties that are texts, numbers, truth values or lists of these."


class ToolChanges(serializers.Serializer[Tool]):
    """Whatever is left out stays. `headers` replaces all of them."""

    description = serializers.CharField(max_length=1000, allow_blank=True, required=False)
    method = serializers.ChoiceField(choices=Method.choices, required=False)
    url = serializers.CharField(max_length=2000, required=False, help_text="With {name} for a required parameter.")
    parameters = serializers.DictField(required=False, help_text=_PARAMETERS)
    headers = serializers.DictField(
        child=serializers.CharField(max_length=2000, trim_whitespace=False), required=False, help_text=_HEADERS
    )
    enabled = serializers.BooleanField(required=False)


class ToolInput(ToolChanges):
    kind = serializers.ChoiceField(choices=ToolKind.choices, help_text="An address, or a server that speaks MCP.")
    name = serializers.RegexField(_NAME, help_text="As it is named in `configuration.tools`.")
    url = serializers.CharField(max_length=2000, help_text="With {name} for a required parameter.")


class OfferedOutput(serializers.Serializer[Any]):
    name = serializers.CharField()
    description = serializers.CharField()
    parameters = serializers.DictField()


class ToolOutput(serializers.ModelSerializer[Tool]):
    """`approved` are a server's tools as they were approved; until then it is not called."""

    header_names = serializers.SerializerMethodField()
    approved = OfferedOutput(many=True)
    parameters = serializers.DictField()

    class Meta:
        model = Tool
        fields = [
            "id",
            "bot",
            "kind",
            "name",
            "description",
            "method",
            "url",
            "parameters",
            "header_names",
            "approved",
            "approved_sha256",
            "enabled",
            "created_at",
            "updated_at",
        ]
        read_only_fields = fields

    @extend_schema_field(serializers.ListField(child=serializers.CharField()))
    def get_header_names(self, tool: Tool) -> list[str]:
        return secrets.names_of(tool)


class OfferOutput(serializers.Serializer[Any]):
    """`sha256` approves exactly this list."""

    tools = OfferedOutput(many=True)
    sha256 = serializers.CharField()


class ApprovalInput(serializers.Serializer[Any]):
    sha256 = serializers.RegexField(r"^[0-9a-f]{64}$")


class TrialInput(serializers.Serializer[Any]):
    arguments = serializers.DictField(required=False, default=dict)
    name = serializers.CharField(max_length=60, allow_blank=True, required=False, help_text="Which one of a server's.")


class TrialOutput(serializers.Serializer[Any]):
    content = serializers.CharField()
    milliseconds = serializers.IntegerField()
