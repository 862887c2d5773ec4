"""Bodies of requests on their way to a disk that may be full."""

import io
import logging
from contextlib import suppress
from http import HTTPStatus
from tempfile import SpooledTemporaryFile
from typing import IO, Any

from django.conf import settings
from django.core.files.uploadhandler import TemporaryFileUploadHandler

from backend.core.errors import ChatSphereError

logger = logging.getLogger(__name__)


class NoRoom(ChatSphereError):
    """There is no room for your upload at the moment; nothing was kept of it. Try again later."""

    status = HTTPStatus.INSUFFICIENT_STORAGE
    code = "storage_unavailable"

    def __init__(self) -> None:
        super().__init__(retry_after=60)


class DiskUploadHandler(TemporaryFileUploadHandler):
    """Raises NoRoom where Django's own lets a full disk be an error of ours."""

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        try:
            super().new_file(*args, **kwargs)
        except OSError as exc:
            raise _no_room(exc) from exc

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes | None:
        try:
            return super().receive_data_chunk(raw_data, start)
        except OSError as exc:
            _close(self.file)
            raise _no_room(exc) from exc

    def file_complete(self, file_size: int) -> Any:
        try:
            return super().file_complete(file_size)
        except OSError as exc:
            _close(self.file)
            raise _no_room(exc) from exc


class LostBody(io.BytesIO):
    """Stands for a request's body that could not be kept: whoever reads it learns that."""

    def read(self, _size: int | None = -1) -> bytes:
        raise NoRoom


def spooled() -> IO[bytes]:
    """Of a small body, memory; of a larger one, a temporary file."""
    return SpooledTemporaryFile(max_size=settings.FILE_UPLOAD_MAX_MEMORY_SIZE)


def kept(body: IO[bytes], more: bytes) -> IO[bytes]:
    """The body with the next part of it, or a LostBody where that found no room."""
    if isinstance(body, LostBody):
        return body
    try:
        body.write(more)
    except OSError as exc:
        _no_room(exc)
        _close(body)
        return LostBody()
    return body


def _close(body: Any) -> None:
    """What is still buffered finds no room either."""
    with suppress(OSError):
        body.close()


def _no_room(exc: OSError) -> NoRoom:
    logger.error("no room for an upload: %s", exc.strerror)
    return NoRoom()
