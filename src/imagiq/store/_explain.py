"""What the system says about a failed call, in words that tell the reader what to do."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from imagiq.errors import Unreachable

__all__ = ["explain", "reading", "writing"]

_FULL = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EFBIG} if hasattr(errno, "EDQUOT") else {errno.ENOSPC, errno.EFBIG}
)
_FORBIDDEN = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})


def explain(error: OSError, root: str, *, wrote: bool) -> Unreachable:
    """Return the error for a call in the repository at ``root`` that the system refused."""
    if error.errno in _FULL:
        return Unreachable(
            "disk-full",
            f"The disk of {root} is full, or its quota is used up; nothing was lost.",
            "Free some space, then try again.",
        )
    if error.errno in _FORBIDDEN and wrote:
        return Unreachable(
            "folder-read-only",
            f"Nothing can be written below {root}: {error.strerror}.",
            "Make the folder writable for this user, or open the repository for reading only.",
        )
    return Unreachable(
        "disk-error",
        f"The disk does not do what was asked below {root}: {error.strerror or error}.",
        "Check the disk and that the folder is there, then try again.",
    )


@contextmanager
def writing(root: str) -> Iterator[None]:
    """Turn the system's refusals inside the block into Unreachable."""
    try:
        yield
    except OSError as error:
        raise explain(error, root, wrote=True) from error


@contextmanager
def reading(root: str) -> Iterator[None]:
    """Turn the system's refusals inside the block into Unreachable."""
    try:
        yield
    except OSError as error:
        raise explain(error, root, wrote=False) from error
