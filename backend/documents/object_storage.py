"""Originals in an S3-compatible store, by django-storages. Imported only where one is configured: botocore is large.

What boto3 raises becomes `StorageFault`, an OSError as a broken disk raises it, which says the vendor's error code and
nothing else: its messages repeat addresses and names of keys.
"""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from boto3.exceptions import Boto3Error
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from storages.backends.s3 import S3File, S3Storage

CONNECT_SECONDS = 5
READ_SECONDS = 30
TRIES = 2
SPOOL_BYTES = 1024 * 1024
"""Of a file that is read: what is larger lies in a temporary file."""
PART_BYTES = 8 * 1024 * 1024
PARTS_AT_ONCE = 2

_FAILURES = (ClientError, BotoCoreError, HTTPClientError, Boto3Error)


class StorageFault(OSError):
    """The store did not do it."""

    def __init__(self, code: str) -> None:
        super().__init__(errno.EIO, f"object store: {code}")


class ObjectStorage(S3Storage):
    """Every file that is opened has been fetched whole: whoever reads it reads a local file, with a descriptor."""

    def get_default_settings(self) -> dict[str, Any]:
        """Nothing from the environment but what the settings say, so that AWS_* of other programs change nothing."""
        given: dict[str, Any] = super().get_default_settings()
        return given | {
            "access_key": None,
            "secret_key": None,
            "security_token": None,
            "session_profile": None,
            "endpoint_url": None,
            "max_memory_size": SPOOL_BYTES,
            "transfer_config": TransferConfig(
                multipart_threshold=PART_BYTES, multipart_chunksize=PART_BYTES, max_concurrency=PARTS_AT_ONCE
            ),
        }

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        # Checksums only where the store asks for them: compatible stores refuse the trailers that newer SDKs send.
        self.client_config = Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            retries={"total_max_attempts": TRIES, "mode": "standard"},
            s3={"addressing_style": "path" if self.endpoint_url else "auto"},
            proxies={},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )

    def _save(self, name: str, content: Any) -> str:
        with _translated():
            return str(super()._save(name, content))

    def _open(self, name: str, mode: str = "rb") -> S3File:
        with _translated():
            try:
                file = super()._open(name, mode)
                file.open()
            except FileNotFoundError:
                self._check_bucket()
                raise
            return file

    def exists(self, name: str) -> bool:
        with _translated():
            if super().exists(name):
                return True
            self._check_bucket()
            return False

    def delete(self, name: str) -> None:
        with _translated():
            # Not the parent's, to which a bucket that is not there is a file that is gone.
            self.bucket.Object(self._normalize_name(name)).delete()

    def listdir(self, name: str) -> tuple[list[str], list[str]]:
        with _translated():
            folders, files = super().listdir(name)
            return folders, files

    def get_modified_time(self, name: str) -> datetime:
        with _translated():
            modified: datetime = super().get_modified_time(name)
            return modified

    def _check_bucket(self) -> None:
        """An answer to a HEAD has no body to tell a missing file from a missing bucket."""
        self.connection.meta.client.head_bucket(Bucket=self.bucket_name)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except ClientError as exc:
        raise StorageFault(str(exc.response.get("Error", {}).get("Code", "unknown"))[:60]) from None
    except _FAILURES as exc:
        raise StorageFault(type(exc).__name__) from None
