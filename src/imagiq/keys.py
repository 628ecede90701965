"""Site keys, feed keys and signatures: Ed25519 (RFC 8032), strict.

What is signed is a fixed tag, then the canonical JSON, so that no signature of one kind passes for another. Whoever
needs to know that a commit is genuine calls :func:`verify_commit` and gets the commit, or an error: there is no boolean
to forget.
"""

from __future__ import annotations

import hashlib
import secrets
from functools import cached_property

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from imagiq.errors import Corrupt, Untrusted
from imagiq.objects import Certificate, Commit, Digest, Draft, UnverifiedCommit, encode, parse_commit

__all__ = [
    "FeedKey",
    "SiteKey",
    "certify",
    "recovery_signature",
    "seal_to",
    "sign_commit",
    "verify_certificate",
    "verify_commit",
    "verify_recovery",
    "verify_words",
]

COMMIT_TAG = b"imagiq commit 1\n"
CERTIFICATE_TAG = b"imagiq feed certificate 1\n"
RECOVERY_TAG = b"imagiq recovery 1\n"
HPKE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)

GROUP_ORDER = 2**252 + 27742317777372353535851937790883648493
FIELD_PRIME = 2**255 - 19
SMALL_ORDER_Y = frozenset(
    {
        0,
        1,
        FIELD_PRIME - 1,
        2707385501144840649318225287225658788936804267575313519463743609750303402022,
        55188659117513257062467267217118295137698188065244968500265048394206261417927,
    }
)
"""The y coordinates of the eight points of small order, which sign anything."""


class FeedKey:
    """The secret key of one feed.

    Args:
        seed: 32 secret bytes; a simulation derives them from its seed, everybody else calls :meth:`new`.
    """

    def __init__(self, seed: bytes) -> None:
        self.seed = seed
        self._private = Ed25519PrivateKey.from_private_bytes(seed)

    @classmethod
    def new(cls) -> FeedKey:
        """Draw a key from the system's CSPRNG."""
        return cls(secrets.token_bytes(32))

    @cached_property
    def public(self) -> str:
        """The public key, hexadecimal: the feed's name."""
        return _public_hex(self._private)

    def sign(self, message: bytes) -> bytes:
        """Return the 64 bytes of Ed25519 signature of ``message``."""
        return self._private.sign(message)


class SiteKey:
    """The secret keys of a site: Ed25519 for signing, X25519 for being sealed to, both from one seed.

    Args:
        seed: 32 secret bytes; a simulation derives them from its seed, everybody else calls :meth:`new`.
    """

    def __init__(self, seed: bytes) -> None:
        self.seed = seed
        self._signing = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"imagiq site signing\n" + seed).digest())
        self._exchange = X25519PrivateKey.from_private_bytes(hashlib.sha256(b"imagiq site exchange\n" + seed).digest())

    @classmethod
    def new(cls) -> SiteKey:
        """Draw a key from the system's CSPRNG."""
        return cls(secrets.token_bytes(32))

    @cached_property
    def public(self) -> str:
        """The Ed25519 public key, hexadecimal."""
        return _public_hex(self._signing)

    @cached_property
    def exchange_public(self) -> str:
        """The X25519 public key, hexadecimal."""
        return self._exchange.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()

    def sign(self, message: bytes) -> bytes:
        """Return the 64 bytes of Ed25519 signature of ``message``."""
        return self._signing.sign(message)

    @property
    def tls_private(self) -> Ed25519PrivateKey:
        """The signing key, for the site's certificate; TLS signs nothing that begins like what imagiq signs."""
        return self._signing

    def open_sealed(self, sealed: bytes, info: bytes) -> bytes:
        """Return what :func:`seal_to` sealed to this site, with the same ``info``.

        Raises:
            Untrusted: it was sealed to another key or for another use, or is damaged.
        """
        try:
            return HPKE.decrypt(sealed, self._exchange, info)
        except (InvalidTag, ValueError) as error:
            raise Untrusted(
                "sealed-to-other", "A wrap does not open with this site's key.", "Ask its maker."
            ) from error


def seal_to(exchange_key: str, message: bytes, info: bytes) -> bytes:
    """Seal to the holder of an X25519 key by HPKE: X25519, HKDF-SHA256, AES-256-GCM, base mode.

    Args:
        exchange_key: The public key, hexadecimal.
        message: What only the holder shall read.
        info: What it is for; who opens it must name the same.

    Raises:
        Untrusted: the key is one that everybody can open.
    """
    try:
        return HPKE.encrypt(message, X25519PublicKey.from_public_bytes(bytes.fromhex(exchange_key)), info)
    except ValueError as error:
        raise Untrusted(
            "exchange-key-weak", "An exchange key is none that can be sealed to.", "Ask its owner."
        ) from error


def _public_hex(private: Ed25519PrivateKey) -> str:
    return private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()


def sign_commit(draft: Draft, key: FeedKey) -> Commit:
    """Sign a draft and read the result back, so that nothing is ever signed that others would refuse."""
    body = draft.body()
    return verify_commit(parse_commit(key.sign(COMMIT_TAG + body) + body))


def verify_commit(unverified: UnverifiedCommit) -> Commit:
    """Return the commit, proven to be by the holder of its feed's key.

    Raises:
        Untrusted: the signature or the key is wrong.
    """
    commit = unverified.claim
    _verify(commit.feed, unverified.signature, COMMIT_TAG + unverified.body, "A commit")
    return commit


def certify(site: SiteKey, *, federation: Digest, feed: str, number: int, ends: Digest | None) -> Certificate:
    """Certify that a feed is the site's. ``ends``: where the site's feed before this one ends."""
    blank = Certificate(federation=federation, site=site.public, feed=feed, number=number, ends=ends)
    signature = site.sign(CERTIFICATE_TAG + encode(blank.to_json()))
    return Certificate(
        federation=federation, site=site.public, feed=feed, number=number, ends=ends, signature=signature.hex()
    )


def verify_certificate(commit: Commit) -> Certificate:
    """Return the certificate in a feed's first commit, proven to be by its site's key and for this very feed.

    Raises:
        Untrusted: it is not, or the commit has none.
    """
    certificate = commit.certificate
    if certificate is None or certificate.feed != commit.feed or certificate.federation != commit.federation:
        raise Untrusted(
            "certificate-feed", "A feed's certificate is for another feed or federation.", "Ask the site's owner."
        )
    message = CERTIFICATE_TAG + encode(certificate.to_json())
    _verify(certificate.site, bytes.fromhex(certificate.signature), message, "A feed certificate")
    return certificate


def recovery_signature(seed: bytes, charter: Digest) -> str:
    """Sign a charter with an offline recovery key (32 secret bytes); return the signature, hexadecimal."""
    return FeedKey(seed).sign(RECOVERY_TAG + bytes.fromhex(charter)).hex()


def verify_recovery(key: str, signature: str, charter: Digest) -> None:
    """Check a recovery key's signature of a charter.

    Raises:
        Corrupt: the signature is not 128 lower-case hexadecimal characters.
        Untrusted: it is wrong.
    """
    if len(signature) != 128 or set(signature) - set("0123456789abcdef"):
        raise Corrupt(
            "recovery-form",
            "A recovery signature is not 128 lower-case hexadecimal characters.",
            "Sign the charter again.",
        )
    _verify(key, bytes.fromhex(signature), RECOVERY_TAG + bytes.fromhex(charter), "A recovery signature")


def verify_words(public: str, signature: bytes, message: bytes, what: str) -> None:
    """Check that the holder of a key signed a message that begins with a tag of its own kind.

    Raises:
        Untrusted: the signature or the key is wrong.
    """
    _verify(public, signature, message, what)


def _verify(public: str, signature: bytes, message: bytes, what: str) -> None:
    key = bytes.fromhex(public)
    y = int.from_bytes(key, "little") & (2**255 - 1)
    if y >= FIELD_PRIME or y in SMALL_ORDER_Y:
        raise Untrusted("key-weak", f"{what} is signed by a key that signs anything.", "Refuse it; ask its owner.")
    if len(signature) != 64 or int.from_bytes(signature[32:], "little") >= GROUP_ORDER:
        raise Untrusted("signature-form", f"{what} has a signature of the wrong form.", "Get it from another holder.")
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except (InvalidSignature, ValueError) as error:
        raise Untrusted(
            "signature-wrong", f"{what} does not carry its author's signature.", "Get it from another holder."
        ) from error
