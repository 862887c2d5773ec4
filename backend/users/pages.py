"""Where the links in our letters lead: two pages that work in any browser, without script and without the web app."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from backend.users import services
from backend.users.errors import InvalidLink, WeakPassword

POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


class TokenForm(forms.Form):
    token = forms.CharField(max_length=500, widget=forms.HiddenInput, error_messages={"required": str(InvalidLink())})

    def clean(self) -> dict[str, Any]:
        """Opening the page changes nothing, so that a mail scanner following links does not use them up."""
        data = super().clean() or {}
        try:
            if not self.errors:
                self.use(data)
        except InvalidLink as exc:
            raise forms.ValidationError(exc.message) from exc
        except WeakPassword as exc:
            self.add_error("password", [problem["message"] for problem in exc.details["password"]])
        return data

    def use(self, data: dict[str, Any]) -> None:
        services.verify_email(token=data["token"])


class PasswordForm(TokenForm):
    password = forms.CharField(
        label="New password",
        max_length=services.PASSWORD_MAX_LENGTH,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    def use(self, data: dict[str, Any]) -> None:
        services.reset_password(token=data["token"], password=data["password"])


@dataclass(frozen=True, slots=True)
class LinkPage:
    title: str
    button: str
    done: str
    form: type[TokenForm]


VERIFY_EMAIL = LinkPage(
    title="Confirm your e-mail address",
    button="Confirm",
    done="Thank you, your address is confirmed. You can close this page.",
    form=TokenForm,
)
RESET_PASSWORD = LinkPage(
    title="Choose a new password",
    button="Save",
    done="Your new password is saved, and you are logged out everywhere. You can close this page and log in.",
    form=PasswordForm,
)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def link_page(request: HttpRequest, page: LinkPage) -> HttpResponse:
    status = HTTPStatus.OK
    context: dict[str, Any] = {"title": page.title, "button": page.button}
    if request.method == "POST":
        context["form"] = form = page.form(request.POST)
        if form.is_valid():
            context = {"title": page.title, "message": page.done}
        else:
            status = HTTPStatus.BAD_REQUEST
    else:
        context["form"] = page.form(initial={"token": request.GET.get("token", "")})
    response = render(request, "users/page.html", context, status=status)
    response["Content-Security-Policy"] = POLICY
    return response
