"""Writing side by side: the temporary files of one call, from a stream, in bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, wait
from contextlib import suppress
from threading import Lock
from typing import Final, TypeVar

from imagiq.objects import Digest, digest_of
from imagiq.store._explain import writing
from imagiq.store.contract import Content
from imagiq.store.files import Files

__all__ = ["Staging", "side_by_side", "write_temporary"]

T = TypeVar("T")
R = TypeVar("R")

BYTES_UNDER_WAY: Final = 24 * 2**20
CALLS_UNDER_WAY: Final = 64


def side_by_side(
    pool: Executor | None, call: Callable[[T], R], items: Iterable[T], *, weigh: Callable[[T], int]
) -> Iterator[R]:
    """Call ``call`` with each item, several at a time, and return the results in order.

    Items are taken from their stream only while those under way weigh little. When one call raises, those not begun
    are dropped and those begun are waited for.

    Args:
        pool: Where the calls run; None: here, one after the other.
        call: What to do.
        items: The stream.
        weigh: How many bytes an item holds.
    """
    if pool is None:
        yield from map(call, items)
        return
    under_way: deque[tuple[Future[R], int]] = deque()
    load = 0
    try:
        for item in items:
            weight = weigh(item)
            while under_way and (load + weight > BYTES_UNDER_WAY or len(under_way) >= CALLS_UNDER_WAY):
                load -= under_way[0][1]
                yield under_way[0][0].result()
                under_way.popleft()
            under_way.append((pool.submit(call, item), weight))
            load += weight
        while under_way:
            yield under_way[0][0].result()
            under_way.popleft()
    finally:
        wait([future for future, _ in under_way if not future.cancel()])


class Staging:
    """The temporary files of one call: written, durable, not visible yet.

    Args:
        files: The file system.
        root: The repository's folder.
        next_name: Gives a name below ``tmp`` that nobody else uses.
        held: Tells whether an object with this name and these bytes is visible already.
    """

    def __init__(
        self, files: Files, root: str, next_name: Callable[[], str], held: Callable[[Digest, Content], bool]
    ) -> None:
        self._files = files
        self._root = root
        self._next_name = next_name
        self._held = held
        self._lock = Lock()
        self._claimed: set[Digest] = set()
        self.temporary: dict[Digest, str] = {}

    def take(self, content: Content) -> Digest:
        """Write one object, unless it is held or was taken before, and return its name."""
        digest = digest_of(content)
        with self._lock:
            if digest in self._claimed:
                return digest
            self._claimed.add(digest)
        with writing(self._root):
            if not self._held(digest, content):
                name = self._next_name()
                self.temporary[digest] = name
                write_temporary(self._files, name, content)
        return digest

    def discard(self) -> None:
        """Remove what did not become visible; what cannot be removed now is removed at the next opening."""
        for name in self.temporary.values():
            with suppress(OSError):
                self._files.unlink(name)
        self.temporary.clear()


def write_temporary(files: Files, path: str, content: Content) -> None:
    """Write a new file; somebody may have removed its folder, in which nothing rests, while the repository is open."""
    try:
        files.write(path, content)
    except FileNotFoundError:
        with suppress(FileExistsError):
            files.make_folder(path.rpartition("/")[0])
        files.write(path, content)


def nbytes(content: Content) -> int:
    """Return how many bytes ``content`` holds."""
    return content.nbytes if isinstance(content, memoryview) else len(content)
