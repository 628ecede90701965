"""Makes the vectors of sealing. HPKE draws a key for each wrap; here it comes from a seed, so that making again changes nothing."""
# ruff: noqa: INP001 - a script

from __future__ import annotations

from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from imagiq.exchange.sealing import PIECE_BYTES, SealKey
from imagiq.exchange.wraps import Federation, Statement, state_key
from imagiq.keys import SiteKey
from imagiq.objects import JSON, digest_of, encode
from spec.unseal import hpke_cipher

__all__ = ["pattern", "sealed_vectors"]

SIZES = (0, 1, 31, 1000, PIECE_BYTES, PIECE_BYTES + 1)
FEDERATION = Federation(digest=digest_of(b"the federation of the vectors"), secret=bytes(range(32)))
ANNA, BERT, CARL = (SiteKey(name.ljust(32, b".")) for name in (b"anna", b"bert", b"carl"))
COMMITS, MODELS = SealKey(b"c" * 32, "commits"), SealKey(b"m" * 32, "models")
ERA = digest_of(b"a charter")


def pattern(size: int) -> bytes:
    """Return content that a reader can make too: SHA-256 of 0, 1, 2 ... as 8 bytes little-endian, joined and cut."""
    return b"".join(sha256(at.to_bytes(8, "little")).digest() for at in range(size // 32 + 1))[:size]


def sealed_vectors() -> dict[str, object]:
    """Names, sealed objects and wraps."""
    models = state_key(FEDERATION, ANNA, MODELS, era=ERA, version=3, models=None)
    commits = state_key(FEDERATION, ANNA, COMMITS, era=ERA, version=3, models=MODELS.id)
    by_anna = _wraps(ANNA, MODELS, models, ["member", "member"], [ANNA, BERT])
    refused = {
        "by a stranger": _wraps(CARL, MODELS, models, ["member"], [BERT]),
        "another signature": by_anna[:10] + bytes([by_anna[10] ^ 1]) + by_anna[11:],
        "another key than stated": _wraps(ANNA, COMMITS, models, ["member"], [BERT]),
        "of another format": _wraps(ANNA, MODELS, models, ["member"], [BERT], file_format=2),
    }
    files = {
        "an author wraps to itself and another": by_anna,
        "a holder wraps an author's key to another": _wraps(BERT, COMMITS, commits, ["member"], [BERT]),
    }
    unknown = _wraps(ANNA, MODELS, models, ["enclave"], [BERT])
    return {
        "federation": FEDERATION.digest,
        "secret": FEDERATION.secret.hex(),
        "sites": [
            {
                "seed": site.seed.hex(),
                "site_key": site.public,
                "pseudonym": FEDERATION.pseudonym(site.public),
                "exchange_key": site.exchange_public,
                "recipient": FEDERATION.tag_of(site.exchange_public),
            }
            for site in (ANNA, BERT)
        ],
        "keys": [{"secret": key.secret.hex(), "purpose": key.purpose, "id": key.id} for key in (COMMITS, MODELS)],
        "sealed": [_sealed(key, size) for key in (COMMITS, MODELS) for size in SIZES],
        "wraps": [{"name": name, "bytes": raw.hex(), "reader": BERT.seed.hex()} for name, raw in files.items()],
        "wraps_of_unknown_kind": unknown.hex(),
        "wraps_refused": [{"why": why, "bytes": raw.hex()} for why, raw in refused.items()],
    }


def _sealed(key: SealKey, size: int) -> dict[str, object]:
    content = pattern(size)
    name, sealed = key.seal(content)
    whole = {"sealed": sealed.hex()} if size <= 1000 else {}
    return {"key": key.id, "size": size, "name": name, "sha256": digest_of(sealed), **whole}


def _wraps(
    by: SiteKey, key: SealKey, statement: Statement, kinds: list[str], sites: list[SiteKey], file_format: int = 1
) -> bytes:
    wraps: list[JSON] = []
    for kind, site in zip(kinds, sites, strict=True):
        tag = FEDERATION.tag_of(site.exchange_public)
        tail = kind.encode() + b"\n" + bytes.fromhex(tag)
        info = FEDERATION.message(b"imagiq wrap 1\n", bytes.fromhex(statement.key) + tail)
        wraps.append({"kind": kind, "for": tag, "sealed": _hpke_seal(site, key.secret, info).hex()})
    fields: dict[str, JSON] = {"format": file_format, "kind": "wraps", "by": FEDERATION.pseudonym(by.public)}
    body = encode(fields | statement.to_json() | {"wraps": wraps})
    return by.sign(FEDERATION.message(b"imagiq wraps 1\n", body)) + body


def _hpke_seal(site: SiteKey, message: bytes, info: bytes) -> bytes:
    drawn = X25519PrivateKey.from_private_bytes(sha256(info + message).digest())
    enclosed = drawn.public_key().public_bytes_raw()
    public = bytes.fromhex(site.exchange_public)
    shared = drawn.exchange(X25519PublicKey.from_public_bytes(public))
    cipher, nonce = hpke_cipher(shared, enclosed + public, info)
    return enclosed + cipher.encrypt(nonce, message, b"")
