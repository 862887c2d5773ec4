"""The keys of the emulated data centre: one RSA pair per process, and the well-known group of the key exchange."""

import os
from functools import cache
from hashlib import sha1

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from telethon.crypto.rsa import get_byte_array
from telethon.tl import TLObject

# The safe prime that Telegram publishes; a client knows it and need not test it.
PRIME = int(
    "c71caeb9c6b1c9048e6c522f70f13f73980d40238e3e21c14934d037563d930f48198a0aa7c14058229493d22530f4dbfa336f6e0ac92513"
    "9543aed44cce7c3720fd51f69458705ac68cd4fe6b6b13abdc9746512969328454f18faf8c595f642477fe96bb2a941d5bcd1d4ac8cc4988"
    "0708fa9b378e3c4f3a9060bee67cf9a4a4a695811051907e162753b56b0f6b410dba74d8a84b2a14b3144e0ef1284754fd17ed950d5965b4"
    "b9dd46582db1178d169c6bc465b0d6ff9ca3928fef5b9ae4e418fc15e83ebea0f87fa9ff5eed70050ded2849f47bf959d956850ce929851f"
    "0d8115f635b105ee2e4e15d04b2454bf6f4fadf034b10403119cd8e3b92fcc5b",
    16,
)
GENERATOR = 3
PRIME_BYTES = PRIME.to_bytes(256, "big")


class ServerKey:
    def __init__(self) -> None:
        pair = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        numbers = pair.private_numbers()
        self._d, self._n = numbers.d, numbers.public_numbers.n
        self.pem = pair.public_key().public_bytes(Encoding.PEM, PublicFormat.PKCS1).decode()
        public = (numbers.public_numbers.n, numbers.public_numbers.e)
        blob = b"".join(TLObject.serialize_bytes(get_byte_array(number)) for number in public)
        self.fingerprint = int.from_bytes(sha1(blob).digest()[-8:], "little", signed=True)  # noqa: S324 - the protocol's

    def decrypt(self, block: bytes) -> bytes:
        """255 bytes: hash, data, padding."""
        return pow(int.from_bytes(block, "big"), self._d, self._n).to_bytes(255, "big")


@cache
def server_key() -> ServerKey:
    return ServerKey()


def secret_exponent() -> int:
    return int.from_bytes(os.urandom(256), "big")
