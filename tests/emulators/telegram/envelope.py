"""The server's side of an encrypted message (MTProto 2.0)."""

import os
import struct
from dataclasses import dataclass
from hashlib import sha256

from telethon.crypto import AES, AuthKey
from telethon.network.mtprotostate import MTProtoState

HEADER = struct.Struct("<qqqii")  # salt, session, message id, sequence number, length
_PART = slice(8, 24)


class Forged(Exception):
    """The message key does not belong to the content."""


@dataclass(frozen=True, slots=True)
class Message:
    salt: int
    session: int
    id: int
    sequence: int
    body: bytes


def opened(packet: bytes, key: AuthKey) -> Message:
    """Raises Forged."""
    message_key = packet[8:24]
    aes_key, iv = MTProtoState._calc_key(key.key, message_key, True)
    plain = AES.decrypt_ige(packet[24:], aes_key, iv)
    if sha256(key.key[88:120] + plain).digest()[_PART] != message_key:
        raise Forged
    salt, session, number, sequence, length = HEADER.unpack_from(plain)
    return Message(salt, session, number, sequence, plain[HEADER.size : HEADER.size + length])


def sealed(message: Message, key: AuthKey) -> bytes:
    head = HEADER.pack(message.salt, message.session, message.id, message.sequence, len(message.body))
    plain = head + message.body
    plain += os.urandom(-(len(plain) + 12) % 16 + 12)
    message_key = sha256(key.key[96:128] + plain).digest()[_PART]
    aes_key, iv = MTProtoState._calc_key(key.key, message_key, False)
    return struct.pack("<Q", key.key_id) + message_key + bytes(AES.encrypt_ige(plain, aes_key, iv))
