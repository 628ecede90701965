"""Files that belong to a person: what to say when the system does not let them be read or written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from imagiq.errors import NotFound, Unreachable

__all__ = ["reading", "writing"]


@contextmanager
def reading(path: Path, missing: NotFound | None = None) -> Iterator[None]:
    """Turn the system's refusals to read a file inside the block into words.

    Args:
        path: The file.
        missing: What is raised when it is not there; None: that there is no such file.

    Raises:
        NotFound: there is none.
        Unreachable: it cannot be read.
    """
    try:
        yield
    except FileNotFoundError as error:
        found = missing or NotFound("file-missing", f"There is no file {path}.", "Check the name and the folder.")
        raise found from error
    except OSError as error:
        problem = error.strerror or type(error).__name__
        raise Unreachable("file-unreadable", f"{path} cannot be read: {problem}.", "Check its rights.") from error


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn the system's refusals to write a file, or to make a folder, inside the block into words.

    Raises:
        Unreachable: the disk does not take it.
    """
    try:
        yield
    except OSError as error:
        raise Unreachable(
            "home-unwritable", f"{path} cannot be written: {error.strerror}.", "Make room, or permit it."
        ) from error
