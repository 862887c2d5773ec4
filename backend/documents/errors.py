from http import HTTPStatus

from backend.core.errors import ChatSphereError, Conflict, NotFound


class DocumentNotFound(NotFound):
    """There is no such document, or it is not yours to see."""


class DuplicateDocument(Conflict):
    """This bot already has a document with exactly this content; see details."""

    code = "duplicate_document"


class DocumentBusy(Conflict):
    """The document is being processed; wait until it is ready or failed."""

    code = "document_busy"


class NothingToRetry(Conflict):
    """Only a document that failed, or that waits for its next try, can be retried."""

    code = "nothing_to_retry"


class UploadRefused(ChatSphereError):
    """The upload cannot be accepted."""

    code = "upload_refused"


class FileMissing(UploadRefused):
    """Send the file in a multipart field named "file", or JSON with "title" and "text"."""

    code = "file_missing"


class EmptyFile(UploadRefused):
    """The file is empty."""

    code = "empty_file"


class NoText(UploadRefused):
    """The text has no visible character."""

    code = "no_text"


class UnsupportedType(UploadRefused):
    """Files of this type cannot be read."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    code = "unsupported_type"


class TooLarge(UploadRefused):
    """The file is larger than this deployment accepts; see details."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    code = "too_large"


class TextTooLong(TooLarge):
    """The text is longer than this deployment accepts; see details."""

    code = "text_too_long"


class StorageUnavailable(ChatSphereError):
    """The file could not be stored; nothing was kept of it. Try again later."""

    status = HTTPStatus.INSUFFICIENT_STORAGE
    code = "storage_unavailable"


class OriginalMissing(NotFound):
    """The original file is gone from the storage."""

    code = "original_missing"
