"""``imagiq serve`` whose keeper lies, as a process: ``python lying_relay.py serve SEALED --members FILE ...``.

What it does wrong is in the file that IMAGIQ_LIES names, as JSON: the rates of :class:`imagiq.testing.bad_remotes.Faults`,
``slow_by``: each call takes so many times as long; ``withholds``: no model of this pseudonym is ever given. The file may change at any time. IMAGIQ_QUOTA: how many objects each
member may put at once, and a second in the long run.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from random import randrange

from imagiq.cli import main, serve
from imagiq.exchange import listener
from imagiq.exchange.folder import FolderRemote
from imagiq.exchange.quota import Allowance
from imagiq.exchange.remote import BLOBS, OBJECT_LIMIT, Listed
from imagiq.testing.bad_remotes import BadRemote, Faults

LIES = Path(os.environ["IMAGIQ_LIES"])
SHORTEST_S = 0.001


class Keeper:
    """The folder as its keeper shows it; see :class:`imagiq.exchange.remote.Remote`."""

    def __init__(self, folder: Path) -> None:
        self._remote = BadRemote(FolderRemote(folder), randrange)
        self._slow_by = 1
        self._withholds = ""
        self._read = ""

    @property
    def name(self) -> str:
        return self._remote.name

    def _lie(self) -> None:
        """Take in what is to go wrong from now on."""
        with suppress(OSError, ValueError):
            text = LIES.read_text("utf-8")
            if text != self._read:
                wanted = json.loads(text)
                self._slow_by = wanted.pop("slow_by", 1)
                self._withholds = wanted.pop("withholds", "")
                self._remote.faults, self._read = Faults(**wanted), text

    def _linger(self, began_s: float) -> None:
        if self._slow_by > 1:
            time.sleep((self._slow_by - 1) * max(SHORTEST_S, time.monotonic() - began_s))

    def put_if_absent(self, name: str, content: bytes) -> bool:
        self._lie()
        began_s = time.monotonic()
        was_new = self._remote.put_if_absent(name, content)
        self._linger(began_s)
        return was_new

    def replace(self, name: str, content: bytes) -> None:
        self._lie()
        began_s = time.monotonic()
        self._remote.replace(name, content)
        self._linger(began_s)

    def get(self, name: str, *, start: int = 0, length: int = OBJECT_LIMIT + 1) -> bytes | None:
        self._lie()
        if self._withholds and name.startswith(f"{self._withholds}/{BLOBS}/"):
            return None
        began_s = time.monotonic()
        found = self._remote.get(name, start=start, length=length)
        self._linger(began_s)
        return found

    def list(self, folder: str, *, after: str = "") -> Iterator[Listed]:
        self._lie()
        began_s = time.monotonic()
        found = list(self._remote.list(folder, after=after))
        self._linger(began_s)
        return iter(found)

    def news(self, sites: Sequence[str], since: str = "", wait_s: float = 0.0) -> str:
        self._lie()
        return self._remote.news(sites, since, wait_s)

    def close(self) -> None:
        self._remote.close()


if __name__ == "__main__":
    setattr(listener, "FolderRemote", Keeper)  # noqa: B010 - a class of another room is replaced
    if "IMAGIQ_QUOTA" in os.environ:
        burst, each_s = map(float, os.environ["IMAGIQ_QUOTA"].split())
        setattr(serve, "Allowance", partial(Allowance, burst_objects=burst, objects_s=each_s))  # noqa: B010
    sys.exit(main())
