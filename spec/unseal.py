"""A second reader of remotes, from ``exchange.md`` alone: ``unseal.py FOLDER FEDERATION SECRET SEED SITE_KEY...``."""
# ruff: noqa: D102, D103, INP001, T201 - a script that prints; where a name says it all, nothing stands below it

import json
import struct
import sys
from collections.abc import Iterable, Mapping
from hashlib import sha256
from hmac import digest as hmac_digest
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

PIECE, TAG = 1_048_576, 16
SUITE = b"HPKE" + struct.pack(">HHH", 0x20, 1, 2)
KEM = b"KEM" + struct.pack(">H", 0x20)


class Bad(Exception):
    """What counts as missing; its argument says why in a word."""


def mac(key: bytes, message: bytes) -> bytes:
    return hmac_digest(key, message, "sha256")


def expand(key: bytes, info: bytes, size: int) -> bytes:
    found, block = b"", b""
    for number in range(1, -(-size // 32) + 1):
        block = mac(key, block + info + bytes([number]))
        found += block
    return found[:size]


def labeled_extract(salt: bytes, suite: bytes, label: bytes, key: bytes) -> bytes:
    return mac(salt or bytes(32), b"HPKE-v1" + suite + label + key)


def labeled_expand(key: bytes, suite: bytes, label: bytes, info: bytes, size: int) -> bytes:
    return expand(key, struct.pack(">H", size) + b"HPKE-v1" + suite + label + info, size)


def hpke_cipher(shared: bytes, context: bytes, info: bytes) -> tuple[AESGCM, bytes]:
    """Return the cipher and nonce that both sides derive from the Diffie-Hellman secret."""
    secret = labeled_expand(labeled_extract(b"", KEM, b"eae_prk", shared), KEM, b"shared_secret", context, 32)
    where = b"\0" + labeled_extract(b"", SUITE, b"psk_id_hash", b"") + labeled_extract(b"", SUITE, b"info_hash", info)
    key = labeled_extract(secret, SUITE, b"secret", b"")
    return AESGCM(labeled_expand(key, SUITE, b"key", where, 32)), labeled_expand(key, SUITE, b"base_nonce", where, 12)


def hpke_open(private: bytes, sealed: bytes, info: bytes) -> bytes:
    mine = X25519PrivateKey.from_private_bytes(private)
    shared = mine.exchange(X25519PublicKey.from_public_bytes(sealed[:32]))
    cipher, nonce = hpke_cipher(shared, sealed[:32] + mine.public_key().public_bytes_raw(), info)
    try:
        return cipher.decrypt(nonce, sealed[32:], b"")
    except InvalidTag:
        raise Bad("wrap") from None


def key_id(key: bytes, purpose: str) -> bytes:
    return mac(key, b"imagiq key id 1\n" + purpose.encode())


def unseal(key: bytes, purpose: str, name: str, sealed: bytes) -> bytes:
    """Return the object in sealed bytes."""
    if sealed[:32] != key_id(key, purpose):
        raise Bad("key")
    prk = mac(bytes(32), key)
    cipher = AESGCM(expand(prk, b"imagiq seal 1\n" + bytes.fromhex(name), 32))
    pieces = [sealed[at : at + PIECE + TAG] for at in range(32, len(sealed), PIECE + TAG)]
    found = b""
    for number, piece in enumerate(pieces):
        nonce = struct.pack("<Q3xB", number, number == len(pieces) - 1)
        try:
            found += cipher.decrypt(nonce, piece, b"")
        except (InvalidTag, ValueError):
            raise Bad("piece") from None
    if not pieces or mac(key, sha256(found).digest()).hex() != name:
        raise Bad("name")
    return found


class Reader:
    """Who reads: a site by its seed, in a federation."""

    def __init__(self, federation: str, secret: bytes, seed: bytes, site_keys: Iterable[str]) -> None:
        self.federation = bytes.fromhex(federation)
        self.secret = secret
        self.private = sha256(b"imagiq site exchange\n" + seed).digest()
        public = X25519PrivateKey.from_private_bytes(self.private).public_key().public_bytes_raw()
        self.tag = mac(secret, b"imagiq recipient 1\n" + public)
        self.sites = {mac(secret, b"imagiq site 1\n" + bytes.fromhex(k)).hex(): bytes.fromhex(k) for k in site_keys}

    def check(self, pseudonym: str, signature: bytes, tag: bytes, body: bytes) -> None:
        if pseudonym not in self.sites:
            raise Bad("stranger")
        try:
            public = Ed25519PublicKey.from_public_bytes(self.sites[pseudonym])
            public.verify(signature, tag + self.federation + body)
        except InvalidSignature:
            raise Bad("signature") from None

    def wraps(self, raw: bytes) -> tuple[Mapping[str, Any], bytes | None]:
        """Return an author's statement, and its key if it is wrapped to this reader."""
        body = json.loads(raw[64:])
        if (body["format"], body["kind"]) != (1, "wraps"):
            raise Bad("format")
        self.check(body["by"], raw[:64], b"imagiq wraps 1\n", raw[64:])
        said: Mapping[str, Any] = json.loads(body["statement"])
        if (said["format"], said["kind"]) != (1, "key") or said["purpose"] not in {"commits", "models"}:
            raise Bad("format")
        statement, signature = body["statement"].encode(), bytes.fromhex(body["signature"])
        self.check(said["author"], signature, b"imagiq key 1\n", statement)
        info = b"imagiq wrap 1\n" + self.federation + bytes.fromhex(said["key"]) + b"member\n" + self.tag
        for wrap in body["wraps"]:
            if wrap["kind"] == "member" and wrap["for"] == self.tag.hex():
                key = hpke_open(self.private, bytes.fromhex(wrap["sealed"]), info)
                if key_id(key, said["purpose"]).hex() != said["key"]:
                    raise Bad("key")
                return said, key
        return said, None

    def read(self, folder: Path) -> dict[str, bytes]:
        """Return all objects in the folder that this reader can open, by digest."""
        keys: dict[bytes, tuple[bytes, str]] = {}
        for site in self.sites:
            for file in folder.glob(f"{site}/keys/*"):
                said, key = self.wraps(file.read_bytes())
                if key is not None and said["key"] == file.name:
                    keys[bytes.fromhex(said["key"])] = (key, said["purpose"])
        found = {}
        for site in self.sites:
            for file in (*folder.glob(f"{site}/feeds/*-*"), *folder.glob(f"{site}/blobs/*")):
                raw = file.read_bytes()
                if raw[:32] in keys:
                    content = unseal(*keys[raw[:32]], file.name[-64:], raw)
                    found[sha256(content).hexdigest()] = content
        return found


if __name__ == "__main__":
    where, federation, secret, seed, *site_keys = sys.argv[1:]
    reader = Reader(federation, bytes.fromhex(secret), bytes.fromhex(seed), site_keys)
    for digest, content in sorted(reader.read(Path(where)).items()):
        print(digest, len(content))
