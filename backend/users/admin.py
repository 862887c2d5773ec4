from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from unfold.admin import ModelAdmin, TabularInline
from unfold.forms import UserCreationForm

from backend.core.admin import DeletedByService, Shown
from backend.users import services
from backend.users.models import ApiKey, Session, User, normalise_email

RIGHTS = ["is_staff", "is_superuser", "user_permissions"]


class NewUserForm(UserCreationForm):
    class Meta:
        model = User
        fields = ["email", "name"]

    def clean_email(self) -> str:
        return normalise_email(self.cleaned_data["email"])


class CredentialInline(Shown, TabularInline):
    """Read only: credentials are made by their owner and ended by what is done to the account."""

    ordering = ["-id"]
    extra = 0


class SessionInline(CredentialInline):
    model = Session
    fields = readonly_fields = ["user_agent", "created_at", "last_used_at", "expires_at", "revoked_at"]


class ApiKeyInline(CredentialInline):
    model = ApiKey
    fields = readonly_fields = ["name", "shown", "created_at", "last_used_at", "expires_at", "revoked_at"]


@admin.register(User)
class UserAdmin(DeletedByService, ModelAdmin):
    """Shows neither password nor hash: who forgot theirs gets a letter. Rights are for superusers only."""

    list_display = ["email", "name", "is_active", "is_staff", "email_verified_at", "created_at", "deleted_at"]
    list_filter = ["is_active", "is_staff"]
    search_fields = ["email", "name", "id"]
    ordering = ["-id"]
    fieldsets = [
        (
            None,
            {
                "fields": [
                    "id",
                    "email",
                    "name",
                    "is_active",
                    "email_verified_at",
                    "created_at",
                    "deleted_at",
                    "credits",
                ]
            },
        ),
        ("Rights", {"fields": RIGHTS}),
    ]
    add_fieldsets = [(None, {"fields": ["email", "name", "password1", "password2"]})]
    readonly_fields = ["id", "email", "is_active", "email_verified_at", "created_at", "deleted_at", "credits"]
    filter_horizontal = ["user_permissions"]
    inlines = [SessionInline, ApiKeyInline]
    actions = ["suspend", "activate", "send_password_reset"]

    def credits(self, user: User) -> str:
        return format_html(
            '<a href="{}">{}</a>', reverse("admin:credits_account_of_user", args=[user.pk]), "Balance and ledger"
        )

    def get_form(self, request: HttpRequest, obj: User | None = None, change: bool = False, **kwargs: Any) -> Any:
        if obj is None:
            kwargs["form"] = NewUserForm
        return super().get_form(request, obj, change, **kwargs)

    def get_fieldsets(self, request: HttpRequest, obj: User | None = None) -> Any:
        return super().get_fieldsets(request, obj) if obj else self.add_fieldsets

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> Any:
        if obj is None:
            return []
        return self.readonly_fields if _may_touch_rights(request) else [*self.readonly_fields, *RIGHTS]

    def get_inlines(self, _request: HttpRequest, obj: User | None) -> Any:
        return self.inlines if obj else []

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return bool(super().has_change_permission(request, obj)) and _may_touch(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return bool(super().has_delete_permission(request, obj)) and _may_touch(request, obj)

    def save_model(self, _request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        """Only what was edited: the rest of the row may have changed since the form was opened."""
        obj.save(update_fields={"name", "is_staff", "is_superuser"}.intersection(form.changed_data) if change else None)

    def delete_model(self, request: HttpRequest, obj: User) -> None:
        services.delete_account(user=obj, requested_by=request.user.pk)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        for user in _touchable(request, queryset):
            services.delete_account(user=user, requested_by=request.user.pk)

    @admin.action(description="Suspend", permissions=["change"])
    def suspend(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        for user in _touchable(request, queryset):
            services.suspend(user=user)
        messages.success(request, "Suspended: every credential is refused from now on.")

    @admin.action(description="Activate", permissions=["change"])
    def activate(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        for user in _touchable(request, queryset).filter(deleted_at=None):
            services.activate(user=user)
        messages.success(request, "Activated. Deleted accounts stay deleted.")

    @admin.action(description="Send a letter to choose a new password", permissions=["change"])
    def send_password_reset(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        for user in _touchable(request, queryset):
            services.send_password_reset(user=user)
        messages.success(request, "The letters are on their way.")


def _may_touch_rights(request: HttpRequest) -> bool:
    return isinstance(request.user, User) and request.user.is_superuser


def _may_touch(request: HttpRequest, user: User | None) -> bool:
    return user is None or not user.is_superuser or _may_touch_rights(request)


def _touchable(request: HttpRequest, users: QuerySet[User]) -> QuerySet[User]:
    """Without oneself, against locking oneself out by "select all"."""
    others = users.exclude(email=request.user.get_username())
    return others if _may_touch_rights(request) else others.filter(is_superuser=False)


admin.site.unregister(Group)  # rights are given person by person
