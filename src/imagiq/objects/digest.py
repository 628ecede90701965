"""An object's name is the SHA-256 of its bytes."""

from __future__ import annotations

import hashlib
import re
import sys
from typing import NewType

from imagiq.errors import Corrupt

__all__ = ["Digest", "digest_of", "parse_digest"]

Digest = NewType("Digest", str)
"""64 lower-case hexadecimal characters: the SHA-256 of an object's bytes."""

_HEX64 = re.compile(r"[0-9a-f]{64}")


def digest_of(content: bytes | bytearray | memoryview) -> Digest:
    """Return the name of an object with this content."""
    return Digest(sys.intern(hashlib.sha256(content).hexdigest()))


def parse_digest(text: object, what: str) -> Digest:
    """Return ``text`` as a digest; equal ones are one text in memory, for a history names each of its commits many times.

    Raises:
        Corrupt: ``text`` is not 64 lower-case hexadecimal characters.
    """
    if isinstance(text, str) and _HEX64.fullmatch(text):
        return Digest(sys.intern(text))
    raise Corrupt("digest-form", f"{what} is not a digest of 64 hexadecimal characters.", "Get the object again.")
