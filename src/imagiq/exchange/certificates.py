"""Certificates that say nothing but a key: TLS 1.3 between two sites that know each other's Ed25519 keys.

A site signs its own certificate. The other side makes, from the key that it expects, a trust anchor in whose name such a
certificate must be signed, so that OpenSSL itself ends the handshake of everybody else; and looks at the key once more
afterwards. Names and dates in certificates are not read: a hospital's clock may be years off, and only the key counts.
"""

from __future__ import annotations

import secrets
import ssl
import tempfile
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat, PublicFormat
from cryptography.x509.oid import NameOID

from imagiq.errors import Untrusted
from imagiq.keys import SiteKey

__all__ = ["certificate_of", "peer_key", "tls_context", "trust"]

FIRST_DAY: Final = datetime(1950, 1, 1, tzinfo=UTC)
LAST_DAY: Final = datetime(9999, 12, 31, tzinfo=UTC)
NO_CHECK_TIME: Final = 0x200000
"""OpenSSL's X509_V_FLAG_NO_CHECK_TIME, for which Python has no name."""


def certificate_of(
    private: Ed25519PrivateKey, *, first_day: datetime = FIRST_DAY, last_day: datetime = LAST_DAY
) -> bytes:
    """Return the certificate that the holder of a key signs for itself, as PEM; the dates are there since they must."""
    public = private.public_key()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(_name("imagiq site"))
        .issuer_name(_name(_hex(public)))
        .public_key(public)
        .serial_number(1)
        .not_valid_before(first_day)
        .not_valid_after(last_day)
        .sign(private, None)
    )
    return certificate.public_bytes(Encoding.PEM)


def _anchor(key: str) -> bytes:
    """Return what makes OpenSSL trust the certificates that this key has signed; who signs the anchor does not count."""
    anchor = (
        x509.CertificateBuilder()
        .subject_name(_name(key))
        .issuer_name(_name("imagiq anchor"))
        .public_key(Ed25519PublicKey.from_public_bytes(bytes.fromhex(key)))
        .serial_number(1)
        .not_valid_before(FIRST_DAY)
        .not_valid_after(LAST_DAY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(Ed25519PrivateKey.generate(), None)
    )
    return anchor.public_bytes(Encoding.DER)


def tls_context(site: SiteKey, trusted: Iterable[str], *, server: bool) -> ssl.SSLContext:
    """Return what connects this site to the holders of some keys and to nobody else.

    Args:
        site: This site.
        trusted: The other side's Ed25519 public keys, hexadecimal.
        server: Whether this side is the one that listens.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN | NO_CHECK_TIME
    trust(context, trusted)
    _load_key(context, site.tls_private, certificate_of(site.tls_private))
    return context


def trust(context: ssl.SSLContext, keys: Iterable[str]) -> None:
    """Let a context trust the holders of more keys."""
    anchors = b"".join(map(_anchor, keys))
    if anchors:
        context.load_verify_locations(cadata=anchors)


def _load_key(context: ssl.SSLContext, private: Ed25519PrivateKey, certificate: bytes) -> None:
    """Load a key from a file, since Python can only do that; what lies on the disk meanwhile is encrypted."""
    password = secrets.token_bytes(32).hex().encode("ascii")
    encrypted = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(password))
    with tempfile.TemporaryDirectory(prefix="imagiq-") as folder:
        file = Path(folder) / "key.pem"
        file.write_bytes(certificate + encrypted)
        context.load_cert_chain(file, password=password)


def peer_key(certificate: bytes | None) -> str:
    """Return the key in the certificate that the other side has shown and proven to hold, hexadecimal.

    Raises:
        Untrusted: it has shown none, or one of another kind.
    """
    if certificate is not None:
        try:
            public = x509.load_der_x509_certificate(certificate).public_key()
        except ValueError:
            public = None
        if isinstance(public, Ed25519PublicKey):
            return _hex(public)
    raise Untrusted("tls-key", "The other side has shown no Ed25519 certificate.", "Check the address.")


def _hex(public: Ed25519PublicKey) -> str:
    return public.public_bytes(Encoding.Raw, PublicFormat.Raw).hex()


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
