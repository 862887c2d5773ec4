"""What the admin pages of several apps have in common."""

from collections.abc import Sequence
from typing import Any, ClassVar

from django.db.models import Model
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html


class NotEdited:
    """Rows to look at: nobody adds or changes them here."""

    def has_add_permission(self, *_: Any) -> bool:
        return False

    def has_change_permission(self, *_: Any) -> bool:
        return False


class Shown(NotEdited):
    """Nor deletes them."""

    def has_delete_permission(self, *_: Any) -> bool:
        return False


class DeletedByService:
    """Rows whose deletion is a service's: the page that asks names them alone. Nothing is cascaded here, so nothing
    below them is listed either, which may be ten thousand passages, and no right to delete it is asked for."""

    opts: ClassVar[Any]

    def get_deleted_objects(
        self, objs: Sequence[Model], _request: HttpRequest
    ) -> tuple[list[str], dict[str, int], set[str], list[str]]:
        return [str(row) for row in objs], {str(self.opts.verbose_name_plural): len(objs)}, set(), []


def link_to(page: str, pk: object, text: object) -> str:
    """`page` is an app and a model: `bots_bot`."""
    return format_html('<a href="{}">{}</a>', reverse(f"admin:{page}_change", args=[pk]), text)
