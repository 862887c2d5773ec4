from typing import Any

from django.conf import settings
from rest_framework import serializers

from backend.conversations.rest.serializers import ImageInput

MOST_INSTRUCTIONS = 20_000
MOST_TURNS = 200
SPEAKERS = ["user", "assistant"]
STATES = ["ok", "resting"]
MOST_TOKENS = 10**9
MODEL = "A model's id, or the name that its vendor gives it."


class ProviderOutput(serializers.Serializer[Any]):
    """`local`: nothing leaves the deployment. `state` "resting": it has failed lately and is left alone for a while."""

    id = serializers.CharField()
    name = serializers.CharField()
    local = serializers.BooleanField()
    state = serializers.ChoiceField(choices=STATES)
    models = serializers.ListField(child=serializers.CharField())
    embeddings = serializers.ListField(child=serializers.CharField())


class ProvidersOutput(serializers.Serializer[Any]):
    providers = ProviderOutput(many=True)


class CreditsOutput(serializers.Serializer[Any]):
    """What an answer costs here, in credits: its price, and of each thousand tokens read and written."""

    per_answer = serializers.IntegerField()
    input_per_1k = serializers.IntegerField()
    output_per_1k = serializers.IntegerField()


class GatewayModelOutput(serializers.Serializer[Any]):
    """`input_price` and `output_price` are US dollars for a million tokens as the vendor published them on
    `priced_on`, null where nobody told them."""

    id = serializers.CharField(source="info.id")
    name = serializers.CharField(source="info.name")
    title = serializers.CharField(source="info.title")
    provider = serializers.CharField(source="info.provider")
    default = serializers.BooleanField(source="info.default")
    context_tokens = serializers.IntegerField(source="info.context_tokens")
    max_output_tokens = serializers.IntegerField(source="info.max_output_tokens", allow_null=True)
    abilities = serializers.ListField(child=serializers.CharField(), source="info.abilities")
    input_price = serializers.DecimalField(None, None, source="info.input_price", allow_null=True)
    output_price = serializers.DecimalField(None, None, source="info.output_price", allow_null=True)
    priced_on = serializers.DateField(source="info.priced_on", allow_null=True)
    credits = CreditsOutput(source="price")


class GatewayEmbeddingOutput(serializers.Serializer[Any]):
    id = serializers.CharField()
    default = serializers.BooleanField()


class GatewayModelsOutput(serializers.Serializer[Any]):
    models = GatewayModelOutput(many=True)
    embeddings = GatewayEmbeddingOutput(many=True)


class SaidInput(serializers.Serializer[Any]):
    role = serializers.ChoiceField(choices=SPEAKERS)
    text = serializers.CharField(max_length=200_000, trim_whitespace=False)


class CountTokensInput(serializers.Serializer[Any]):
    model = serializers.CharField(max_length=120, help_text=MODEL)
    text = serializers.CharField(max_length=500_000, trim_whitespace=False)
    instructions = serializers.CharField(max_length=MOST_INSTRUCTIONS, allow_blank=True, default="")
    history = serializers.ListField(child=SaidInput(), required=False, max_length=MOST_TURNS)


class CountTokensOutput(serializers.Serializer[Any]):
    model = serializers.CharField()
    input_tokens = serializers.IntegerField()
    estimated = serializers.BooleanField(help_text="The vendor has no count, or did not give it.")


class EstimateCostInput(serializers.Serializer[Any]):
    model = serializers.CharField(max_length=120, help_text=MODEL)
    input_tokens = serializers.IntegerField(min_value=0, max_value=MOST_TOKENS)
    output_tokens = serializers.IntegerField(min_value=0, max_value=MOST_TOKENS)


class DollarsOutput(serializers.Serializer[Any]):
    input_cost = serializers.DecimalField(None, None)
    output_cost = serializers.DecimalField(None, None)
    total = serializers.DecimalField(None, None)
    priced_on = serializers.DateField()


class EstimateCostOutput(serializers.Serializer[Any]):
    """`credits` is what an answer of that size is charged here; `dollars` what the vendor would charge, null where its
    prices are not known."""

    model = serializers.CharField(source="offered.info.id")
    credits = serializers.IntegerField()
    dollars = DollarsOutput(allow_null=True)


class GatewayChatInput(serializers.Serializer[Any]):
    """`history` is oldest first and without the question; of a long one the newest part is sent."""

    model = serializers.CharField(max_length=120, help_text=MODEL)
    text = serializers.CharField(trim_whitespace=False)
    instructions = serializers.CharField(max_length=MOST_INSTRUCTIONS, allow_blank=True, default="")
    history = serializers.ListField(child=SaidInput(), required=False, max_length=MOST_TURNS)
    images = serializers.ListField(child=ImageInput(), required=False, max_length=20)
    temperature = serializers.FloatField(min_value=0, max_value=2, default=0.2)
    max_output_tokens = serializers.IntegerField(min_value=1, required=False)

    def validate_text(self, text: str) -> str:
        limit = settings.MESSAGE_LIMIT_CHARS
        if not text.strip():
            raise serializers.ValidationError("Say something.", code="blank")
        if len(text) > limit:
            raise serializers.ValidationError(f"At most {limit} characters.", code="max_length")
        return text
