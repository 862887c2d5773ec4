"""Signatures that a receiver can check with any library of Standard Webhooks (https://www.standardwebhooks.com)."""

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

PREFIX = "whsec_"
SECRET_BYTES = 32


def new_secret() -> str:
    """`whsec_` and 32 random bytes in base64; the bytes are the key."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode("ascii")


def body_of(*, message_id: UUID, event: str, created_at: datetime, data: Mapping[str, Any]) -> bytes:
    message = {"id": str(message_id), "event": event, "created_at": created_at.isoformat(), "data": data}
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()


def headers(*, message_id: UUID, timestamp: int, body: bytes, keys: Sequence[str]) -> dict[str, str]:
    """`timestamp` in seconds since 1970. One signature for each of `keys`: while a secret is replaced, either
    will do."""
    return {
        "content-type": "application/json",
        "user-agent": "ChatSphere-Webhooks/1",
        "webhook-id": str(message_id),
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(_signature(message_id, timestamp, body, secret) for secret in keys),
    }


def _signature(message_id: UUID, timestamp: int, body: bytes, secret: str) -> str:
    key = base64.b64decode(secret.removeprefix(PREFIX))
    signed = hmac.new(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(signed).decode('ascii')}"
