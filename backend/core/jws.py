"""Tokens signed with HS256 in their compact form (RFC 7515), each with the one header that ours have.

Not PyJWT: with every token it looks anew whether the key might be a certificate or a JWK, ten times the work of the
signature itself, and every answer signs and reads several.
"""

import base64
import binascii
import hmac
from typing import Final

HEADER: Final = base64.urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT"}').rstrip(b"=")


class InvalidToken(Exception):
    """Not a token that was signed with this key under our header."""


def written(payload: bytes, key: str) -> str:
    signed = b".".join((HEADER, _encoded(payload)))
    return b".".join((signed, _signature(signed, key))).decode()


def read(token: str, key: str) -> bytes:
    """The payload. No header of a stranger's making is parsed or obeyed. Raises InvalidToken."""
    signed, _, signature = token.encode("utf-8", "surrogatepass").rpartition(b".")
    header, _, payload = signed.partition(b".")
    if header != HEADER or not hmac.compare_digest(_signature(signed, key), signature):
        raise InvalidToken
    try:
        return base64.urlsafe_b64decode(payload + b"=" * (-len(payload) % 4))
    except binascii.Error as exc:
        raise InvalidToken from exc


def _encoded(octets: bytes) -> bytes:
    return base64.urlsafe_b64encode(octets).rstrip(b"=")


def _signature(signed: bytes, key: str) -> bytes:
    return _encoded(hmac.digest(key.encode(), signed, "sha256"))
