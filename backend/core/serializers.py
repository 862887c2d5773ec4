from typing import Any, ClassVar

from rest_framework import serializers


class OnlyKnownFields(serializers.Serializer[Any]):
    """Of what may be left out a name that is written wrong would change nothing, and say so to nobody.

    `passed_over` are names that are no fields and may be sent all the same.
    """

    passed_over: ClassVar[frozenset[str]] = frozenset()

    def to_internal_value(self, data: Any) -> Any:
        unknown = set(data) - set(self.fields) - self.passed_over if isinstance(data, dict) else set()
        if unknown:
            told = {str(name): ["There is no such field."] for name in sorted(unknown)}
            raise serializers.ValidationError(told, code="unknown")
        return super().to_internal_value(data)


class ErrorOutput(serializers.Serializer[Any]):
    """The one error body; for the schema only, `api.error_body` writes it."""

    code = serializers.CharField()
    message = serializers.CharField()
    details = serializers.DictField()
    request_id = serializers.CharField()
