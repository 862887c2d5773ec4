"""The secret of a link: random, shown once, stored as a hash."""

import hashlib
import secrets

LENGTH = 43


def new() -> str:
    return secrets.token_urlsafe(32)


def hash_of(token: str) -> str:
    """Plain sha256: a token has 256 random bits, so there is nothing for a slow hash to protect."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
