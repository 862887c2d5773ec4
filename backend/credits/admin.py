from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from unfold.admin import ModelAdmin
from unfold.decorators import action

from backend.core.admin import Shown, link_to
from backend.core.errors import ChatSphereError
from backend.credits import plans, services
from backend.credits.forms import CreditForm, PlanForm, PriceForm
from backend.credits.models import Account, Entry, Kind, Plan, Price
from backend.users.models import User

LEDGER_ROWS = 50
SEARCH_OPENS = 20
SEARCH_MIN_CHARS = 3


class ReadOnlyAdmin(Shown, ModelAdmin):
    """Rows that only the services write."""

    actions = None

    def form_page(self, request: HttpRequest, form: forms.Form, **context: Any) -> TemplateResponse:
        """A page around a plain form. In `context`: title, button (its text), original (the object)."""
        everywhere = self.admin_site.each_context(request)
        page = {**everywhere, "opts": self.opts, "form": form, "media": self.media + form.media, **context}
        return TemplateResponse(request, "admin/credits/form.html", page)

    def page_of(self, obj: Model) -> HttpResponseRedirect:
        return HttpResponseRedirect(reverse(f"admin:credits_{self.opts.model_name}_change", args=[obj.pk]))


def email_of(user: User | None) -> str:
    return user.email if user else "deleted user"


@admin.register(Account)
class AccountAdmin(ReadOnlyAdmin):
    """Find the user, see balance and ledger, top up or adjust."""

    list_display = ["owner", "plan", "available", "reserved", "spent", "created_at"]
    list_select_related = ["user", "plan"]
    list_filter = ["plan"]
    search_fields = ["user__email"]
    search_help_text = "E-mail address, or a part of it"
    ordering = ["-id"]
    fields = ["owner", "plan", "available", "reserved", "spent", "created_at"]
    readonly_fields = fields
    actions_detail = ["credit", "assign_plan"]
    change_form_outer_after_template = "admin/credits/ledger.html"

    @admin.display(description="user", ordering="user__email")
    def owner(self, account: Account) -> str:
        return email_of(account.user)

    def get_urls(self) -> list[URLPattern]:
        of_user = path("of/<uuid:user_id>/", self.admin_site.admin_view(self.of_user), name="credits_account_of_user")
        return [of_user, *super().get_urls()]

    def of_user(self, request: HttpRequest, user_id: UUID) -> HttpResponse:
        """Leads to the account of a user, also of one who never came near credits."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        return self.page_of(services.account_for(get_object_or_404(User, pk=user_id)))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Account], search_term: str
    ) -> tuple[QuerySet[Account], bool]:
        if len(search_term) >= SEARCH_MIN_CHARS:
            services.open_accounts_like(email=search_term, limit=SEARCH_OPENS)
        found: tuple[QuerySet[Account], bool] = super().get_search_results(request, queryset, search_term)
        return found

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        account = self.get_object(request, object_id)
        shown = {"ledger": ledger_table(account), "ledger_link": ledger_link(account)} if account else {}
        page: HttpResponse = super().change_view(request, object_id, form_url, {**(extra_context or {}), **shown})
        return page

    # A method, as unfold looks a permission's name up in the database, before the first migration has made its table.
    def has_credit_permission(self, request: HttpRequest, *_: Any) -> bool:
        return bool(request.user.has_perm("credits.add_entry"))

    @action(description="Top up / adjust", url_path="credit", permissions=["credit"])  # type: ignore[untyped-decorator]
    def credit(self, request: HttpRequest, object_id: str) -> HttpResponse:
        account = get_object_or_404(Account.objects.select_related("user"), pk=object_id)
        form = CreditForm(request.POST or None)
        entry = write_entry(request, account, form) if form.is_valid() else None
        if entry is None:
            title = f"Top up or adjust: {account}"
            return self.form_page(request, form, title=title, button="Write the entry", original=account)
        done = f"{entry.get_kind_display()} of {entry.amount} is entry {entry.seq}"
        messages.success(request, f"{done}; it left {entry.available_after} available.")
        return self.page_of(account)

    def has_assign_permission(self, request: HttpRequest, *_: Any) -> bool:
        return bool(request.user.has_perm("credits.change_account"))

    @action(description="Change the plan", url_path="plan", permissions=["assign"])  # type: ignore[untyped-decorator]
    def assign_plan(self, request: HttpRequest, object_id: str) -> HttpResponse:
        account = get_object_or_404(Account.objects.select_related("user", "plan"), pk=object_id)
        form = PlanForm(request.POST or None, initial={"plan": account.plan})
        if form.is_valid():
            plans.assign(account=account, plan=form.cleaned_data["plan"])
            self.log_change(request, account, [{"changed": {"fields": ["plan"]}}])
            return self.page_of(account)
        return self.form_page(request, form, title=f"Plan of {account}", button="Assign it", original=account)


def write_entry(request: HttpRequest, account: Account, form: CreditForm) -> Entry | None:
    """None where the ledger refused; the form then says why."""
    values = form.cleaned_data
    verb = services.topup if values["kind"] == Kind.TOPUP else services.adjust
    actor = request.user
    assert isinstance(actor, User)  # noqa: S101 - tells the type checker what the admin's permissions guarantee
    try:
        return verb(
            account=account, amount=values["amount"], actor=actor, reason=values["reason"], key=f"admin:{values['key']}"
        )
    except ChatSphereError as exc:
        available = exc.details.get("available")
        form.add_error("amount", exc.message if available is None else f"{exc.message} Available: {available}.")
        return None


def ledger_table(account: Account) -> dict[str, Any]:
    entries = account.entries.select_related("actor").newest_first()[:LEDGER_ROWS]
    rows = [
        [
            entry.seq, f"{entry.created_at:%Y-%m-%d %H:%M:%S}", entry.get_kind_display(), entry.amount,
            entry.available_after, entry.reserved_after, entry.reason,
            email_of(entry.actor) if entry.actor_id else "",
            link_to("conversations_answer", entry.reference, "open") if entry.reference else "",
        ]
        for entry in entries
    ]  # fmt: skip
    headers = ["no.", "time (UTC)", "kind", "amount", "available", "reserved", "reason", "by", "answer"]
    return {"headers": headers, "rows": rows}


def ledger_link(account: Account) -> str:
    return f"{reverse('admin:credits_entry_changelist')}?account__id__exact={account.pk}"


@admin.register(Entry)
class EntryAdmin(ReadOnlyAdmin):
    list_display = ["created_at", "owner", "seq", "kind", "amount", "available_after", "reserved_after", "reason", "by"]
    list_select_related = ["account__user", "actor"]
    list_filter = ["kind", "created_at"]
    search_fields = ["account__user__email", "reason", "key", "request_id", "reference"]
    search_help_text = "E-mail address, reason, key, request id or the answer's id"
    ordering = ["-created_at", "-seq"]
    show_full_result_count = False

    @admin.display(description="user", ordering="account__user__email")
    def owner(self, entry: Entry) -> str:
        return email_of(entry.account.user)

    @admin.display(description="by")
    def by(self, entry: Entry) -> str:
        return email_of(entry.actor) if entry.actor_id else ""


@admin.register(Price)
class PriceAdmin(ReadOnlyAdmin):
    """The price book: add a price, or end one. What stands in it is never edited."""

    list_display = ["model", "per_answer", "input_per_1k", "output_per_1k", "valid_from", "valid_to"]
    list_filter = ["model"]
    ordering = ["model", "-valid_from"]
    actions_detail = ["end"]

    def has_add_permission(self, request: HttpRequest, *_: Any) -> bool:
        return bool(request.user.has_perm("credits.add_price"))

    def add_view(self, request: HttpRequest, *_: Any, **__: Any) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = PriceForm(request.POST or None)
        if form.is_valid():
            values = form.cleaned_data
            try:
                price = services.set_price(model=values["model"], rates=form.rates, valid_from=values["valid_from"])
            except ChatSphereError as exc:
                form.add_error("model", exc.message)
            else:
                self.log_addition(request, price, [{"added": {}}])
                return self.page_of(price)
        return self.form_page(request, form, title="Add a price", button="Add the price")

    def has_end_permission(self, request: HttpRequest, *_: Any) -> bool:
        return bool(request.user.has_perm("credits.change_price"))

    @action(description="End this price", url_path="end", permissions=["end"])  # type: ignore[untyped-decorator]
    def end(self, request: HttpRequest, object_id: str) -> HttpResponse:
        price = get_object_or_404(Price, pk=object_id)
        if request.method == "POST":
            services.end_price(price=price)
            self.log_change(request, price, [{"changed": {"fields": ["valid_to"]}}])
            return self.page_of(price)
        title = f"End now: {price}"
        return self.form_page(request, forms.Form(), title=title, button="End this price now", original=price)


@admin.register(Plan)
class PlanAdmin(ModelAdmin):
    """What accounts may have. One plan is the default, for every account that has none of its own."""

    list_display = ["name", "is_default", "bots", "files", "bytes", "pages"]
    ordering = ["name"]
    fields = ["name", "is_default", "bots", "files", "bytes", "pages"]
    readonly_fields = ["is_default"]
    actions_detail = ["make_default"]

    def has_delete_permission(self, request: HttpRequest, obj: Plan | None = None) -> bool:
        return bool(super().has_delete_permission(request, obj)) and not (obj and obj.is_default)

    def get_actions(self, request: HttpRequest) -> Any:
        """Not several at once, where the default one could be among them."""
        return {name: row for name, row in super().get_actions(request).items() if name != "delete_selected"}

    def has_default_permission(self, request: HttpRequest, *_: Any) -> bool:
        return bool(request.user.has_perm("credits.change_plan"))

    @action(description="Make this the default", url_path="default", permissions=["default"])  # type: ignore[untyped-decorator]
    def make_default(self, request: HttpRequest, object_id: str) -> HttpResponse:
        plan = get_object_or_404(Plan, pk=object_id)
        if request.method == "POST":
            plans.make_default(plan=plan)
            self.log_change(request, plan, [{"changed": {"fields": ["is_default"]}}])
            return HttpResponseRedirect(reverse("admin:credits_plan_change", args=[plan.pk]))
        page = {**self.admin_site.each_context(request), "opts": self.opts, "form": forms.Form(), "media": self.media}
        words = {"title": f"Default: {plan}", "button": "Make it the default", "original": plan}
        return TemplateResponse(request, "admin/credits/form.html", {**page, **words})
