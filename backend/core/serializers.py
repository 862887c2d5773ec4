from typing import Any

from rest_framework import serializers


class ErrorOutput(serializers.Serializer[Any]):
    """The one error body; for the schema only, `api.error_body` writes it."""

    code = serializers.CharField()
    message = serializers.CharField()
    details = serializers.DictField()
    request_id = serializers.CharField()
