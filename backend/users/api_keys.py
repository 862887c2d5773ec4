"""Keys for programs: random, shown once, stored as a hash, good until they expire or are revoked."""

import hashlib
import secrets
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from backend.core.errors import NotFound
from backend.core.prepared import Query
from backend.core.text import clean_text
from backend.users.errors import TooManyApiKeys
from backend.users.models import ApiKey, User

PREFIX = "cs_"
_SHOWN = len(PREFIX) + 6  # enough to tell one's keys apart, far from enough to guess one
_LENGTH = len(PREFIX) + 43


_LIVE_KEY: Query[ApiKey] = Query(
    lambda hash: ApiKey.objects.live().filter(hash=hash).used_lately().select_related("user"),  # noqa: A006 - the column's name
    hash=str,
)


def create(*, user: User, name: str, expires_at: Any = None) -> tuple[ApiKey, str]:
    """The row, and the key itself, which nobody can read again. Raises TooManyApiKeys."""
    key = PREFIX + secrets.token_urlsafe(32)
    with transaction.atomic():
        User.objects.select_for_update(no_key=True).get(pk=user.pk)
        if ApiKey.objects.owned_by(user).count() >= settings.API_KEYS_LIMIT:
            raise TooManyApiKeys(details={"limit": settings.API_KEYS_LIMIT})
        row = ApiKey.objects.create(
            user=user, name=clean_text(name), shown=key[:_SHOWN], hash=_hash_of(key), expires_at=expires_at
        )
    row.refresh_from_db(fields=["created_at"])
    return row, key


def revoke(*, user: User, key_id: Any) -> None:
    """Refused from now on. Raises NotFound for a key that is not the user's, or no longer good."""
    if not ApiKey.objects.owned_by(user).filter(pk=key_id).update(revoked_at=Now()):
        raise NotFound


def revoke_all(*, user: User) -> int:
    return int(ApiKey.objects.filter(user=user, revoked_at=None).update(revoked_at=Now()))


def is_api_key(credential: str) -> bool:
    return credential.startswith(PREFIX)


def find(credential: str) -> ApiKey | None:
    """The row of a key that is good now, with its user; one query, and a second where its last use is long ago."""
    if len(credential) != _LENGTH or not credential.isascii():
        return None
    row = _LIVE_KEY.first(hash=_hash_of(credential))
    if row is not None and not row.lately:  # type: ignore[attr-defined]
        ApiKey.objects.filter(pk=row.pk).update(last_used_at=Now())
    return row


def _hash_of(key: str) -> str:
    """Plain sha256: a key has 256 random bits, so there is nothing for a slow hash to protect."""
    return hashlib.sha256(key.encode()).hexdigest()
