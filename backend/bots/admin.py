from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin, TabularInline

from backend.bots import services
from backend.bots.models import Bot, BotVersion, IndexBuild
from backend.core.admin import DeletedByService, NotEdited, Shown


class BotVersionInline(Shown, TabularInline):
    model = BotVersion
    fields = ["number", "model", "strictness", "temperature", "top_k", "threshold", "chunk_chars", "created_at"]
    ordering = ["-number"]
    extra = 0


class IndexBuildInline(Shown, TabularInline):
    model = IndexBuild
    fields = ["embedding", "generation", "state", "done", "total", "error_code", "obsolete", "created_at", "updated_at"]
    ordering = ["-generation"]
    extra = 0


@admin.register(Bot)
class BotAdmin(DeletedByService, NotEdited, ModelAdmin):
    """What a bot says is its owner's business, and the services keep its history."""

    list_display = ["name", "owner", "visibility", "embedding", "created_at", "deleted_at"]
    list_filter = ["visibility"]
    search_fields = ["name", "owner__email", "id"]
    list_select_related = ["owner"]
    fields = ["id", "name", "description", "owner", "visibility", "embedding", "created_at", "deleted_at"]
    inlines = [BotVersionInline, IndexBuildInline]

    def delete_model(self, request: HttpRequest, obj: Bot) -> None:
        services.delete_bot(bot=obj, requested_by=request.user.pk)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Bot]) -> None:
        for bot in queryset:
            services.delete_bot(bot=bot, requested_by=request.user.pk)
