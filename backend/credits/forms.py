"""The admin's forms. They check what can be known without the ledger; the services and the database check the rest."""

from typing import Any
from uuid import uuid4

from django import forms
from django.utils import timezone
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from backend.credits.models import DEFAULT_MODEL, Kind, Plan
from backend.credits.pricing import Rates

MAX_RATE = 1_000_000


class CreditForm(forms.Form):
    """`key` is made with the form: however often this one form is sent, it is one entry."""

    kind = forms.ChoiceField(
        choices=[(Kind.TOPUP.value, Kind.TOPUP.label), (Kind.ADJUST.value, Kind.ADJUST.label)],
        widget=UnfoldAdminSelectWidget,
    )
    amount = forms.IntegerField(
        widget=UnfoldAdminIntegerFieldWidget,
        help_text="Credits. An adjustment may be negative, down to what is available.",
    )
    reason = forms.CharField(
        max_length=500,
        widget=UnfoldAdminTextInputWidget,
        help_text="Why. The user sees it in the history of the account.",
    )
    key = forms.UUIDField(initial=uuid4, widget=forms.HiddenInput)


class PriceForm(forms.Form):
    model = forms.CharField(
        max_length=120, initial=DEFAULT_MODEL, widget=UnfoldAdminTextInputWidget,
        help_text="A model's id, or * for every model without a price of its own.",
    )  # fmt: skip
    per_answer = forms.IntegerField(min_value=0, max_value=MAX_RATE, widget=UnfoldAdminIntegerFieldWidget)
    input_per_1k = forms.IntegerField(
        label="Per 1000 tokens read", min_value=0, max_value=MAX_RATE, widget=UnfoldAdminIntegerFieldWidget
    )
    output_per_1k = forms.IntegerField(
        label="Per 1000 tokens written", min_value=0, max_value=MAX_RATE, widget=UnfoldAdminIntegerFieldWidget
    )
    valid_from = forms.DateTimeField(
        required=False,
        widget=UnfoldAdminTextInputWidget,
        help_text="UTC, such as 2030-01-31 12:00. Empty: from now on.",
    )

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        rates = [values.get(name) for name in ("per_answer", "input_per_1k", "output_per_1k")]
        if None not in rates and not any(rates):
            raise forms.ValidationError("At least one of the three must be more than 0.")
        start = values.get("valid_from")
        if start is not None and start < timezone.now():
            self.add_error("valid_from", "A price cannot begin in the past.")
        return values

    @property
    def rates(self) -> Rates:
        values = self.cleaned_data
        return Rates(values["per_answer"], values["input_per_1k"], values["output_per_1k"])


class PlanForm(forms.Form):
    plan = forms.ModelChoiceField(
        queryset=Plan.objects.order_by("name"),
        required=False,
        empty_label="The default",
        widget=UnfoldAdminSelectWidget,
    )
