import math
from typing import Any

from rest_framework import serializers


class FiniteFloatField(serializers.FloatField):
    """DRF's own takes "nan", which no bound refuses and JSON cannot carry back."""

    default_error_messages = {"finite": "A finite number is required."}

    def to_internal_value(self, data: Any) -> float:
        value = super().to_internal_value(data)
        if not math.isfinite(value):
            self.fail("finite")
        return value
