from rest_framework import serializers

from backend.credits.models import Account, Entry, Price


class BalanceOutput(serializers.ModelSerializer[Account]):
    """Credits that can be used, that running answers hold, and that answers have cost so far."""

    class Meta:
        model = Account
        fields = ["available", "reserved", "spent"]
        read_only_fields = fields


class LowBalanceInput(serializers.Serializer[Account]):
    below = serializers.IntegerField(
        min_value=0, max_value=10**15, allow_null=True, help_text="Null: what this deployment says; 0: never."
    )


class LowBalanceOutput(serializers.Serializer[Account]):
    """What is available and what running answers hold is counted together."""

    below = serializers.IntegerField(source="low_balance_in_force")
    own = serializers.BooleanField(source="has_own_low_balance", help_text="False: it is what this deployment says.")


class EntryOutput(serializers.ModelSerializer[Entry]):
    """`reference` is the answer that is paid for; `hold` the entry that a settlement settles."""

    class Meta:
        model = Entry
        fields = [
            "id",
            "seq",
            "kind",
            "amount",
            "available_delta",
            "reserved_delta",
            "spent_delta",
            "available_after",
            "reserved_after",
            "reference",
            "hold",
            "price",
            "input_tokens",
            "output_tokens",
            "reason",
            "created_at",
        ]
        read_only_fields = fields


class PriceOutput(serializers.ModelSerializer[Price]):
    """What an answer of `model` costs: `per_answer`, and for each 1000 tokens read and written, rounded up."""

    class Meta:
        model = Price
        fields = ["id", "model", "per_answer", "input_per_1k", "output_per_1k", "valid_from", "valid_to"]
        read_only_fields = fields
