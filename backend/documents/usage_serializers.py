from typing import Any

from rest_framework import serializers

from backend.documents.models import Erasure


class QuotaOutput(serializers.Serializer[Any]):
    """`limit` is null where the plan sets none."""

    used = serializers.IntegerField()
    limit = serializers.IntegerField(allow_null=True)


class UploadQuotaOutput(serializers.Serializer[Any]):
    files = QuotaOutput()
    bytes = QuotaOutput()
    pages = QuotaOutput()


class PlanUsageOutput(UploadQuotaOutput):
    """What your bots hold together, and what your plan allows."""

    plan = serializers.CharField()
    bots = QuotaOutput()


class ErasureCountsOutput(serializers.Serializer[Any]):
    """What was deleted; `vectors_remaining` is what the store answered when it was read back afterwards."""

    documents = serializers.IntegerField()
    versions = serializers.IntegerField()
    pages = serializers.IntegerField()
    chunks = serializers.IntegerField()
    files = serializers.IntegerField()
    vectors = serializers.IntegerField()
    vectors_remaining = serializers.IntegerField()


class ErasureOutput(serializers.ModelSerializer[Erasure]):
    """`subject` is a document, a bot or an account; `erased_at` is null while it is under way."""

    counts = ErasureCountsOutput()

    class Meta:
        model = Erasure
        fields = ["id", "subject", "subject_id", "requested_by", "requested_at", "erased_at", "counts"]
        read_only_fields = fields
