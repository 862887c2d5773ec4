"""Images of a question: checked when they come, sent to the model as they are."""

import base64
import binascii
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any

from agent_service import contract
from backend.conversations.questions.opening import Picture
from backend.core.errors import ChatSphereError

IMAGES_LIMIT_BYTES = contract.MAX_IMAGES_BYTES * 4 // 3 + 1024 * 1024
"""Of a question's JSON: its images as base64, and its words."""
MEDIA_TYPES = ("image/png", "image/jpeg", "image/webp", "image/gif")

_BEGINNINGS: dict[str, Callable[[bytes], bool]] = {
    "image/png": lambda data: data.startswith(b"\x89PNG\r\n\x1a\n"),
    "image/jpeg": lambda data: data.startswith(b"\xff\xd8\xff"),
    "image/gif": lambda data: data.startswith((b"GIF87a", b"GIF89a")),
    "image/webp": lambda data: data.startswith(b"RIFF") and data[8:12] == b"WEBP",
}


class ImageInvalid(ChatSphereError):
    """An image cannot be read as what it says it is."""

    code = "image_invalid"


class ImageTooLarge(ChatSphereError):
    """The images are too large, or too many."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    code = "image_too_large"


def decoded(images: Sequence[tuple[str, str]]) -> list[Picture]:
    """Of media types and base64, in their order. Raises ImageInvalid, ImageTooLarge, with the image's place from 1."""
    if len(images) > contract.MAX_IMAGES:
        raise ImageTooLarge(details={"limit": contract.MAX_IMAGES})
    found = [_decoded(place, media_type, data) for place, (media_type, data) in enumerate(images, start=1)]
    if sum(len(picture.data) for picture in found) > contract.MAX_IMAGES_BYTES:
        raise ImageTooLarge(details={"limit_bytes_together": contract.MAX_IMAGES_BYTES})
    return found


def on_the_wire(picture: Picture) -> contract.Image:
    media_type: Any = picture.media_type
    return contract.Image(media_type=media_type, data=base64.b64encode(picture.data).decode("ascii"))


def _decoded(place: int, media_type: str, data: str) -> Picture:
    if len(data) > contract.MAX_IMAGE_BYTES * 4 // 3 + 4:
        raise ImageTooLarge(details={"image": place, "limit_bytes": contract.MAX_IMAGE_BYTES})
    begins = _BEGINNINGS.get(media_type)
    try:
        content = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        raise ImageInvalid(details={"image": place}) from None
    if begins is None or not begins(content) or len(content) < 12:
        raise ImageInvalid(details={"image": place, "media_type": media_type})
    if len(content) > contract.MAX_IMAGE_BYTES:
        raise ImageTooLarge(details={"image": place, "limit_bytes": contract.MAX_IMAGE_BYTES})
    return Picture(media_type, content)
