"""Images of a question: what a vendor would be sent is what it says it is, and not too much."""

import base64
import binascii
from collections.abc import Callable, Sequence

from agent_service.contract import MAX_IMAGE_BYTES, MAX_IMAGES_BYTES, Image
from agent_service.errors import ImageInvalid, ImageTooLarge

_BEGINNINGS: dict[str, Callable[[bytes], bool]] = {
    "image/png": lambda data: data.startswith(b"\x89PNG\r\n\x1a\n"),
    "image/jpeg": lambda data: data.startswith(b"\xff\xd8\xff"),
    "image/gif": lambda data: data.startswith((b"GIF87a", b"GIF89a")),
    "image/webp": lambda data: data.startswith(b"RIFF") and data[8:12] == b"WEBP",
}


def check_images(images: Sequence[Image]) -> None:
    """Raises ImageInvalid or ImageTooLarge, with the 1-based place of the image."""
    total = 0
    for place, image in enumerate(images, start=1):
        data = _decoded(image, place)
        if not _BEGINNINGS[image.media_type](data):
            raise ImageInvalid(details={"image": place, "media_type": image.media_type})
        total += len(data)
        if len(data) > MAX_IMAGE_BYTES or total > MAX_IMAGES_BYTES:
            limits = {"limit_bytes": MAX_IMAGE_BYTES, "limit_bytes_together": MAX_IMAGES_BYTES}
            raise ImageTooLarge(details={"image": place, **limits})


def _decoded(image: Image, place: int) -> bytes:
    try:
        return base64.b64decode(image.data, validate=True)
    except (binascii.Error, ValueError):
        raise ImageInvalid(details={"image": place}) from None
