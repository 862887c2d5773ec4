"""auth.* and the second factor (SRP, https://core.telegram.org/api/srp), from the server's side."""

import os
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from telethon.password import compute_hash
from telethon.tl import types

from tests.emulators.telegram.faults import RpcFault
from tests.emulators.telegram.keys import GENERATOR, PRIME, PRIME_BYTES, secret_exponent
from tests.emulators.telegram.world import Account, World

API_ID, API_HASH = 12345, "0123456789abcdef0123456789abcdef"
_CODE_HASH = "hash-of-the-code"
_SRP_ID = 99


@dataclass(slots=True)
class Login:
    """What one authorization key has come to. `account` is set once it is logged in."""

    account: Account | None = None
    awaited: Account | None = None
    secret: int = field(default_factory=secret_exponent)
    salt: bytes = field(default_factory=lambda: os.urandom(16))

    def send_code(self, world: World, request: Any) -> Any:
        if (request.api_id, request.api_hash) != (API_ID, API_HASH):
            raise RpcFault(400, "API_ID_INVALID")
        if world.by_phone(request.phone_number) is None:
            raise RpcFault(400, "PHONE_NUMBER_INVALID")
        return types.auth.SentCode(types.auth.SentCodeTypeApp(5), _CODE_HASH)

    def sign_in(self, world: World, request: Any) -> Any:
        account = world.by_phone(request.phone_number)
        if account is None or request.phone_code_hash != _CODE_HASH or request.phone_code != account.code:
            raise RpcFault(400, "PHONE_CODE_INVALID")
        if account.password:
            self.awaited = account
            raise RpcFault(401, "SESSION_PASSWORD_NEEDED")
        return self._enter(account)

    def password(self) -> Any:
        account = self._awaited()
        algorithm = self._algorithm()
        offered = (self._multiplier() * self._verifier(account) + pow(GENERATOR, self.secret, PRIME)) % PRIME
        return types.account.Password(
            new_algo=algorithm,
            new_secure_algo=types.SecurePasswordKdfAlgoUnknown(),
            secure_random=os.urandom(16),
            has_password=True,
            current_algo=algorithm,
            srp_B=_padded(offered),
            srp_id=_SRP_ID,
        )

    def check_password(self, request: Any) -> Any:
        account = self._awaited()
        verifier = self._verifier(account)
        offered = (self._multiplier() * verifier + pow(GENERATOR, self.secret, PRIME)) % PRIME
        theirs = int.from_bytes(request.password.A, "big")
        scramble = _hash(_padded(theirs), _padded(offered))
        shared = pow(theirs * pow(verifier, int.from_bytes(scramble, "big"), PRIME), self.secret, PRIME)
        group = bytes(a ^ b for a, b in zip(_hash(PRIME_BYTES), _hash(_padded(GENERATOR)), strict=True))
        salts = _hash(self.salt), _hash(self.salt)
        proof = _hash(group, *salts, _padded(theirs), _padded(offered), _hash(_padded(shared)))
        if proof != request.password.M1:
            raise RpcFault(400, "PASSWORD_HASH_INVALID")
        return self._enter(account)

    def _enter(self, account: Account) -> Any:
        self.account = account
        return types.auth.Authorization(account.user())

    def _awaited(self) -> Account:
        if self.awaited is None:
            raise RpcFault(401, "AUTH_KEY_UNREGISTERED")
        return self.awaited

    def _algorithm(self) -> Any:
        return types.PasswordKdfAlgoSHA256SHA256PBKDF2HMACSHA512iter100000SHA256ModPow(
            self.salt, self.salt, GENERATOR, PRIME_BYTES
        )

    def _verifier(self, account: Account) -> int:
        exponent = int.from_bytes(compute_hash(self._algorithm(), account.password), "big")
        return pow(GENERATOR, exponent, PRIME)

    def _multiplier(self) -> int:
        return int.from_bytes(_hash(PRIME_BYTES, _padded(GENERATOR)), "big")


def _padded(number: int) -> bytes:
    return number.to_bytes(256, "big")


def _hash(*parts: bytes) -> bytes:
    return sha256(b"".join(parts)).digest()
