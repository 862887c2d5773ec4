from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from backend.webhooks.models import Delivery, Endpoint, Event

_ONCE = "Signs what is sent. It is shown this once: null where a request is repeated with its Idempotency-Key."


class EndpointInput(serializers.Serializer[Endpoint]):
    url = serializers.CharField(max_length=2000)
    events = serializers.ListField(
        child=serializers.ChoiceField(choices=Event.choices), allow_empty=False, max_length=20
    )
    description = serializers.CharField(max_length=200, allow_blank=True, required=False)


class EndpointChanges(EndpointInput):
    """Whatever is left out stays. Switched off, what waits is given up."""

    enabled = serializers.BooleanField()


class EndpointOutput(serializers.ModelSerializer[Endpoint]):
    """`disabled_by` says who switched it off: `owner`, `gone` (it answered 410), `failing` (nothing came through for
    days). `failing_since` is the first failed try after the last one that came through."""

    events = serializers.ListField(child=serializers.ChoiceField(choices=Event.choices))

    class Meta:
        model = Endpoint
        fields = [
            "id",
            "url",
            "events",
            "description",
            "enabled",
            "disabled_by",
            "disabled_at",
            "failing_since",
            "created_at",
            "updated_at",
        ]
        read_only_fields = fields


class SecretOutput(serializers.Serializer[Endpoint]):
    secret = serializers.CharField(allow_null=True, help_text=_ONCE)


class NewEndpointOutput(EndpointOutput):
    secret = serializers.CharField(allow_null=True, help_text=_ONCE)

    class Meta(EndpointOutput.Meta):
        fields = [*EndpointOutput.Meta.fields, "secret"]
        read_only_fields = fields


class DeliveryOutput(serializers.ModelSerializer[Delivery]):
    """`id` is the header `webhook-id`. `failed` means that another try follows at `next_at`."""

    next_at = serializers.SerializerMethodField(help_text="When it is tried (again); null where it is not.")

    class Meta:
        model = Delivery
        fields = [
            "id",
            "endpoint",
            "event",
            "data",
            "state",
            "tries",
            "next_at",
            "last_status",
            "last_code",
            "last_milliseconds",
            "last_at",
            "created_at",
        ]
        read_only_fields = fields

    @extend_schema_field(serializers.DateTimeField(allow_null=True))
    def get_next_at(self, delivery: Delivery) -> str | None:
        return serializers.DateTimeField().to_representation(delivery.next_at) if delivery.is_open else None
