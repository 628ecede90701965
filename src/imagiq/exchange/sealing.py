"""Sealing: what an object is called, and what its bytes are, wherever somebody else keeps it.

Whoever has the key and knows an object's digest knows its sealed name; whoever has the key and the sealed name can
open it. Nothing is drawn: every holder of the key makes the same sealed bytes of the same object, so that what comes
from different holders fits. ``spec/exchange.md`` says every byte.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from functools import cached_property
from typing import Final, Literal, TypeAlias

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from imagiq.errors import BudgetSpent, Corrupt
from imagiq.objects import Digest, digest_of

__all__ = ["KEY_BYTES", "NAME_BYTES", "PIECE_BYTES", "Purpose", "SealKey", "key_id_in", "sealed_size"]

KEY_BYTES: Final = 32
NAME_BYTES: Final = 32
PIECE_BYTES: Final = 2**20
TAG_BYTES: Final = 16

Purpose: TypeAlias = Literal["commits", "models"]
"""What a key seals: commits and charters, or trees, schemas and blobs."""

_KEY_ID_TAG: Final = b"imagiq key id 1\n"
_SEAL_TAG: Final = b"imagiq seal 1\n"


def sealed_size(size: int) -> int:
    """Return how many bytes an object of ``size`` bytes has when it is sealed."""
    return NAME_BYTES + size + TAG_BYTES * max(1, -(-size // PIECE_BYTES))


def _opened_size(size: int) -> int:
    """Return how many bytes a sealed object of ``size`` bytes holds; negative if it is none."""
    body = size - NAME_BYTES
    return body - TAG_BYTES * max(1, -(-body // (PIECE_BYTES + TAG_BYTES)))


def key_id_in(sealed: bytes) -> str:
    """Return which key a sealed object says that it is sealed under, hexadecimal.

    Raises:
        Corrupt: it is too short to be one.
    """
    if len(sealed) < NAME_BYTES + TAG_BYTES:
        raise _damaged("it is too short")
    return sealed[:NAME_BYTES].hex()


class SealKey:
    """A secret that objects are sealed under. Nothing of it shows when it is printed.

    Args:
        secret: 32 secret bytes; everybody but a test calls :meth:`new`.
        purpose: What it seals; a key's id says it, so that no key passes for one of another purpose.
    """

    def __init__(self, secret: bytes, purpose: Purpose) -> None:
        if len(secret) != KEY_BYTES:
            raise Corrupt("seal-key", "A key to seal with has not 32 bytes.", "Get it again.")
        self.secret = secret
        self.purpose: Purpose = purpose

    @classmethod
    def new(cls, purpose: Purpose) -> SealKey:
        """Draw a key from the system's CSPRNG."""
        return cls(secrets.token_bytes(KEY_BYTES), purpose)

    def __repr__(self) -> str:
        """Show which key it is, and nothing of it."""
        return f"<SealKey {self.id[:12]} for {self.purpose}>"

    @cached_property
    def id(self) -> str:
        """The key's public name, hexadecimal; it commits to the key."""
        return self._mac(_KEY_ID_TAG + self.purpose.encode()).hex()

    def _mac(self, message: bytes) -> bytes:
        return hmac.digest(self.secret, message, "sha256")

    def name(self, digest: Digest) -> str:
        """Return what an object is called when it is sealed under this key."""
        return self._mac(bytes.fromhex(digest)).hex()

    def _cipher(self, name: str) -> AESGCM:
        info = _SEAL_TAG + bytes.fromhex(name)
        return AESGCM(HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=info).derive(self.secret))

    def seal(self, content: bytes | memoryview, digest: Digest | None = None) -> tuple[str, bytes]:
        """Return an object's sealed name and bytes.

        Args:
            content: The object.
            digest: Its digest, where it is known already.
        """
        plain = memoryview(content).cast("B")
        name = self.name(digest or digest_of(plain))
        cipher, sealed = self._cipher(name), bytearray(sealed_size(len(plain)))
        sealed[:NAME_BYTES] = bytes.fromhex(self.id)
        target, at = memoryview(sealed), NAME_BYTES
        last = max(0, (len(plain) - 1) // PIECE_BYTES)
        for number in range(last + 1):
            piece = plain[number * PIECE_BYTES : (number + 1) * PIECE_BYTES]
            end = at + len(piece) + TAG_BYTES
            cipher.encrypt_into(_nonce(number, is_last=number == last), piece, None, target[at:end])
            at = end
        target.release()
        return name, bytes(sealed)

    def open(self, name: str, sealed: bytes, *, limit: int) -> bytes:
        """Return the object in sealed bytes, proven to be the one that ``name`` stands for.

        Args:
            name: What it is called.
            sealed: The bytes as they came.
            limit: The most bytes that the object may have; no more are made room for.

        Raises:
            BudgetSpent: it is larger.
            Corrupt: it is damaged, cut off, another object, or sealed under another key.
        """
        size = _opened_size(len(sealed))
        if size > limit:
            raise BudgetSpent("sealed-size", "A sealed object is larger than it may be.", "Get it from another holder.")
        if size < 0 or sealed_size(size) != len(sealed) or key_id_in(sealed) != self.id:
            raise _damaged("it has another length or key than it must have")
        plain = self._decrypted(name, sealed, size)
        if not hmac.compare_digest(self.name(digest_of(plain)), name):
            raise _damaged("it is another object than its name says")
        return plain

    def _decrypted(self, name: str, sealed: bytes, size: int) -> bytes:
        cipher, plain, source = self._cipher(name), bytearray(size), memoryview(sealed)
        target = memoryview(plain)
        last = max(0, (size - 1) // PIECE_BYTES)
        for number in range(last + 1):
            room = target[number * PIECE_BYTES : (number + 1) * PIECE_BYTES]
            at = NAME_BYTES + number * (PIECE_BYTES + TAG_BYTES)
            piece = source[at : at + len(room) + TAG_BYTES]
            try:
                cipher.decrypt_into(_nonce(number, is_last=number == last), piece, None, room)
            except InvalidTag as error:
                raise _damaged("a piece of it is not what was sealed") from error
        return bytes(plain)


def _nonce(number: int, *, is_last: bool) -> bytes:
    """Return the nonce of a piece: its number, and whether the object ends with it, so that cutting shows."""
    return number.to_bytes(8, "little") + bytes(3) + (b"\x01" if is_last else b"\x00")


def _damaged(why: str) -> Corrupt:
    return Corrupt("sealed-damaged", f"A sealed object counts as missing: {why}.", "Get it from another holder.")


def pseudonym(secret: bytes, site: str) -> str:
    """Return what a site is called on remotes. ``secret``: the federation's; ``site``: its public key, hexadecimal."""
    return hmac.digest(secret, b"imagiq site 1\n" + bytes.fromhex(site), hashlib.sha256).hex()


def recipient_tag(secret: bytes, exchange_key: str) -> str:
    """Return how wraps name the holder of an X25519 key, hexadecimal, without telling it to others."""
    return hmac.digest(secret, b"imagiq recipient 1\n" + bytes.fromhex(exchange_key), hashlib.sha256).hex()
