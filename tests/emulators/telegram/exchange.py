"""The key exchange, from the server's side: https://core.telegram.org/mtproto/auth_key."""

import time
from collections.abc import Callable
from hashlib import sha1
from typing import Any

from telethon.crypto import AES, AuthKey
from telethon.crypto.rsa import get_byte_array
from telethon.extensions import BinaryReader
from telethon.helpers import generate_key_data_from_nonce
from telethon.tl import types
from telethon.tl.functions import ReqDHParamsRequest, ReqPqMultiRequest, SetClientDHParamsRequest

from tests.emulators.telegram.keys import GENERATOR, PRIME, PRIME_BYTES, secret_exponent, server_key

# Two primes of 31 bits; small, since a client factorises their product.
_P, _Q = 1_229_739_323, 1_402_015_859
_SERVER_NONCE = 0x5EC2E7


class Refused(Exception):
    """The client did not keep to the exchange."""


class KeyExchange:
    """One connection's; `finished` is called with the key that both sides then have."""

    def __init__(self, finished: Callable[[AuthKey], None]) -> None:
        self._finished = finished
        self._nonce = 0
        self._new_nonce = 0
        self._exponent = 0

    def answer(self, request: Any) -> Any:
        """Raises Refused."""
        if isinstance(request, ReqPqMultiRequest):
            self._nonce = request.nonce
            return types.ResPQ(request.nonce, _SERVER_NONCE, get_byte_array(_P * _Q), [server_key().fingerprint])
        if isinstance(request, ReqDHParamsRequest) and request.nonce == self._nonce:
            return self._parameters(request)
        if isinstance(request, SetClientDHParamsRequest) and request.nonce == self._nonce:
            return self._key(request)
        raise Refused

    def _parameters(self, request: Any) -> Any:
        plain = server_key().decrypt(request.encrypted_data)
        with BinaryReader(plain[20:]) as reader:
            inner = reader.tgread_object()
        if sha1(bytes(inner)).digest() != plain[:20] or (inner.p, inner.q) != (  # noqa: S324 - the protocol's
            get_byte_array(_P),
            get_byte_array(_Q),
        ):
            raise Refused
        self._new_nonce = inner.new_nonce
        self._exponent = secret_exponent()
        offer = types.ServerDHInnerData(
            nonce=self._nonce,
            server_nonce=_SERVER_NONCE,
            g=GENERATOR,
            dh_prime=PRIME_BYTES,
            g_a=get_byte_array(pow(GENERATOR, self._exponent, PRIME)),
            server_time=int(time.time()),
        )
        key, iv = generate_key_data_from_nonce(_SERVER_NONCE, self._new_nonce)
        hashed = sha1(bytes(offer)).digest() + bytes(offer)  # noqa: S324 - the protocol's
        return types.ServerDHParamsOk(self._nonce, _SERVER_NONCE, bytes(AES.encrypt_ige(hashed, key, iv)))

    def _key(self, request: Any) -> Any:
        key, iv = generate_key_data_from_nonce(_SERVER_NONCE, self._new_nonce)
        with BinaryReader(AES.decrypt_ige(request.encrypted_data, key, iv)[20:]) as reader:
            inner = reader.tgread_object()
        shared = pow(int.from_bytes(inner.g_b, "big"), self._exponent, PRIME)
        # 256 bytes, as the protocol says. Telethon drops a leading zero, so that one exchange in 256 is repeated.
        auth_key = AuthKey(shared.to_bytes(256, "big"))
        self._finished(auth_key)
        digest = auth_key.calc_new_nonce_hash(self._new_nonce, 1)
        return types.DhGenOk(self._nonce, _SERVER_NONCE, digest)
