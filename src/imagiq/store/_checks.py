"""Small decisions that all stores share: names, records, commits' bytes."""

from __future__ import annotations

import re

from imagiq.errors import Corrupt, Misuse, NotFound
from imagiq.objects import Digest, digest_of, encode
from imagiq.store.contract import Record

__all__ = ["check_commit", "check_name", "commit_missing", "encode_record", "object_missing"]

RECORD_LIMIT = 2**20

_NAME = re.compile(r"[a-z0-9_-]{1,64}")
_WINDOWS_DEVICE = re.compile(r"con|prn|aux|nul|com[0-9]|lpt[0-9]")


def check_name(name: str) -> str:
    """Return ``name`` if it can be a file's name on every system.

    Raises:
        Misuse: it cannot.
    """
    if _NAME.fullmatch(name) and not _WINDOWS_DEVICE.fullmatch(name):
        return name
    raise Misuse(
        "store-name",
        f"'{name[:80]}' cannot name something in a store.",
        "Use 1 to 64 of a-z, 0-9, '-' and '_', and no name of a Windows device.",
    )


def encode_record(record: Record) -> bytes:
    """Return a journal record's bytes.

    Raises:
        Misuse: it cannot be written as canonical JSON or is too long.
    """
    payload = encode(record)
    if len(payload) <= RECORD_LIMIT:
        return payload
    raise Misuse("record-size", f"A journal record has {len(payload)} bytes.", f"Keep it below {RECORD_LIMIT} bytes.")


def check_commit(digest: Digest, raw: bytes) -> bytes:
    """Return a commit's bytes if they have its name.

    Raises:
        Corrupt: they have not.
    """
    if digest_of(raw) == digest:
        return raw
    raise Corrupt(
        "commit-damaged",
        f"The file of commit {digest[:12]} is damaged.",
        "Check the disk, run `imagiq fsck`, then sync to get it again.",
    )


def object_missing(digest: Digest) -> NotFound:
    """Return the error for an object that is not here."""
    return NotFound("object-missing", f"Object {digest[:12]} is not held here.", "Fetch it from another holder.")


def commit_missing(digest: Digest) -> NotFound:
    """Return the error for a commit that is not here."""
    return NotFound("commit-missing", f"Commit {digest[:12]} is not known here.", "Sync, or check its name.")
