from http import HTTPStatus

from backend.core.errors import ChatSphereError, Conflict, NotFound


class DocumentNotFound(NotFound):
    """There is no such document, or it is not yours to see."""


class PassageNotFound(NotFound):
    """There is no such passage in what answers are made from now."""


class CorrectionNotFound(NotFound):
    """There is no such correction, or it is not yours to see."""


class NothingToCancel(Conflict):
    """Only a document that is queued, being processed or waiting for your go can be cancelled."""

    code = "nothing_to_cancel"


class NothingToApprove(Conflict):
    """The document does not wait for your go."""

    code = "nothing_to_approve"


class NotReplaceable(Conflict):
    """This document comes from a source and changes with it; it cannot be replaced by hand."""

    code = "not_replaceable"


class NothingRead(Conflict):
    """Nothing was read from the document yet."""

    code = "nothing_read"


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


class PassageTooLong(UploadRefused):
    """A passage of this length cannot be embedded as one; see details."""

    code = "passage_too_long"


class UnsupportedType(UploadRefused):
    """Files of this type cannot be read."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    code = "unsupported_type"


class ArchiveRefused(UploadRefused):
    """The archive cannot be unpacked."""

    def __init__(self, code: str, message: str) -> None:
        """`code` is a name in `failures.FAILURES`."""
        super().__init__(message)
        self.code = code


class EntryRefused(UploadRefused):
    """This file of the archive cannot be taken."""

    code = "entry_refused"


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
