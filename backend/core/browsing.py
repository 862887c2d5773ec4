"""The browsable API's pages: forms that ask for what an operation takes, and links to what is near a page.

The framework fills its forms from what a view gives, which is not what it takes, and leads nowhere but up.
"""

import json
from collections.abc import Iterator
from functools import cache
from typing import Any
from uuid import UUID

from django import forms
from django.urls import Resolver404, URLPattern, URLResolver, get_resolver, resolve
from rest_framework import serializers
from rest_framework.renderers import BrowsableAPIRenderer
from rest_framework.request import Request

JSON = "application/json"
MULTIPART = "multipart/form-data"
ROOT = "/api/v1/"
LABEL_CHARS = 60
_NAMES = ("name", "title", "filename", "url", "question", "text", "state")
_OF_OTHERS = ("bot", "document", "source", "conversation")


class BrowsablePages(BrowsableAPIRenderer):
    def get_context(self, data: Any, accepted_media_type: str | None, renderer_context: Any) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context(data, accepted_media_type, renderer_context)
        context["near"] = list(near(renderer_context["request"], data))
        return context

    def get_rendered_html_form(self, data: Any, view: Any, method: str, request: Request) -> Any:
        """A form in fields only where files are taken: what else there is to say, JSON says better."""
        if method not in ("POST", "PUT"):
            return super().get_rendered_html_form(data, view, method, request)
        takes = inputs(view, method).get(MULTIPART)
        if takes is None or not self.show_form_for_method(view, method, request, None):
            return None
        return self.render_form_for_serializer(takes)

    def get_raw_data_form(self, data: Any, view: Any, method: str, request: Request) -> forms.Form | None:
        form: forms.Form | None = super().get_raw_data_form(data, view, method, request)
        takes = inputs(view, method).get(JSON)
        if form is None or takes is None:
            return form
        content, media_type = form.fields["_content"], form.fields["_content_type"]
        content.initial = json.dumps(_example(takes, method, data), indent=4, ensure_ascii=False)
        content.help_text = _told(takes)
        media_type.initial = JSON
        return form


def inputs(view: Any, method: str) -> dict[str, serializers.Serializer[Any]]:
    """By media type, what the schema says that `method` takes; nothing where it says nothing of it."""
    described = getattr(getattr(view, method.lower(), None), "kwargs", {}).get("schema")
    if described is None:
        return {}
    schema = described()
    schema.view, schema.method = view, method
    takes = schema.get_request_serializer()
    by_type = takes if isinstance(takes, dict) else {JSON: takes}
    made = {kind: one() if isinstance(one, type) else one for kind, one in by_type.items()}
    return {kind: one for kind, one in made.items() if isinstance(one, serializers.Serializer)}


def near(request: Request, data: Any) -> Iterator[tuple[str, str]]:
    """(words, address) of what is below a page, and of the objects that it shows or speaks of."""
    here = request.resolver_match.route if request.resolver_match else ""
    for route in _routes():
        below = route.removeprefix(here)
        if below not in ("", route) and "<" not in below:
            yield below, request.path + below
    shown = data.get("results", [data]) if isinstance(data, dict) else data
    for one in shown if isinstance(shown, list) else ():
        if isinstance(one, dict):
            yield from _of_object(request.path, one)


def _of_object(path: str, shown: dict[str, Any]) -> Iterator[tuple[str, str]]:
    kind = path.rstrip("/").rpartition("/")[2]
    for address in (f"{path}{shown.get('id')}/", f"{ROOT}{kind}/{shown.get('id')}/"):
        if _is_id(shown.get("id")) and _leads_somewhere(address):
            name = next((shown[key] for key in _NAMES if isinstance(shown.get(key), str) and shown[key]), kind)
            yield name[:LABEL_CHARS], address
            break
    for key in _OF_OTHERS:
        address = f"{ROOT}{key}s/{shown.get(key)}/"
        if _is_id(shown.get(key)) and not path.startswith(address):
            yield key, address


def _is_id(value: Any) -> bool:
    try:
        return bool(UUID(str(value)))
    except ValueError:
        return False


def _leads_somewhere(address: str) -> bool:
    try:
        resolve(address)
    except Resolver404:
        return False
    return True


@cache
def _routes() -> list[str]:
    return sorted(_flat("", get_resolver().url_patterns))


def _flat(before: str, patterns: list[URLPattern | URLResolver]) -> Iterator[str]:
    for pattern in patterns:
        route = before + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _flat(route, pattern.url_patterns)
        else:
            yield route


def _writable(takes: serializers.Serializer[Any]) -> dict[str, Any]:
    return {name: field for name, field in takes.fields.items() if not field.read_only}


def _example(takes: serializers.Serializer[Any], method: str, data: Any) -> dict[str, Any]:
    """What must be given; of a change, what may be changed, as it is now."""
    if method == "PATCH":
        return _as_it_is(takes, data)
    return {name: field.get_initial() for name, field in _writable(takes).items() if field.required}


def _as_it_is(takes: serializers.Serializer[Any], data: Any) -> dict[str, Any]:
    fields = _writable(takes).items() if isinstance(data, dict) else ()
    return {
        name: _as_it_is(field, data[name]) if isinstance(field, serializers.Serializer) else data[name]
        for name, field in fields
        if name in data
    }


def _told(takes: serializers.Serializer[Any]) -> str:
    """The fields, what they choose from, and which may be left out."""
    told = []
    for name, field in _writable(takes).items():
        choices = ", ".join(map(str, getattr(field, "choices", ())))
        told.append(f"{name}{'' if field.required else ' (optional)'}{f': {choices}' if choices else ''}")
    return "; ".join(told)
