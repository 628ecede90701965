"""Charters at rest: one that commits were made under, and that is damaged or gone, comes by no sync."""

from __future__ import annotations

from imagiq.errors import Corrupt
from imagiq.objects import Charter, Digest, digest_of, parse_charter
from imagiq.store import Store

__all__ = ["charter_gone", "stored_charter"]


def stored_charter(store: Store, digest: Digest) -> Charter:
    """Return a charter that stored commits name: without it, no state of a commit is sure.

    Raises:
        Corrupt: it is damaged or gone.
    """
    raw = store.read(digest) if store.has(digest) else b""
    if digest_of(raw) != digest:
        raise charter_gone("charter-missing", "A charter", digest)
    return parse_charter(raw)


def charter_gone(code: str, what: str, digest: Digest) -> Corrupt:
    """Return the error that a charter is damaged or gone, with where to get it."""
    return Corrupt(
        code,
        f"{what} that this repository needs, {digest[:12]}, is damaged or gone.",
        f"Copy `objects/{digest[:2]}/{digest[2:]}` from the repository of another site of the federation.",
    )
