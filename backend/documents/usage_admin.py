from typing import Any

from django.contrib import admin
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from backend.core.admin import Shown
from backend.documents.models import Erasure
from backend.users.models import User


@admin.register(Erasure)
class ErasureAdmin(Shown, ModelAdmin):
    """What was deleted, by whom, and what was read back as gone. Nobody changes it."""

    list_display = ["requested_at", "subject", "owner", "by", "erased_at", "subject_id"]
    list_filter = ["subject", ("erased_at", admin.EmptyFieldListFilter)]
    search_fields = ["subject_id", "owner_id", "requested_by"]
    ordering = ["-id"]
    fields = [
        "id",
        "subject",
        "subject_id",
        "owner",
        "owner_id",
        "by",
        "requested_by",
        "requested_at",
        "erased_at",
        "counts",
    ]
    actions = None

    def get_queryset(self, request: HttpRequest) -> QuerySet[Erasure]:
        """With their addresses, for as long as there are accounts of that id: no row here depends on one."""

        def address(of: str) -> Subquery:
            return Subquery(User.objects.filter(pk=OuterRef(of)).values("email"))

        erasures: QuerySet[Erasure] = super().get_queryset(request)
        return erasures.annotate(owner_email=address("owner_id"), by_email=address("requested_by"))

    def owner(self, erasure: Any) -> str:
        return erasure.owner_email or "deleted user"

    def by(self, erasure: Any) -> str:
        return erasure.by_email or ("deleted user" if erasure.requested_by else "-")
