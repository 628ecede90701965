"""One worker: a process that lives long, holds PyTorch, and does one thing at a time.

It is started by name and spoken to over its pipes; see :mod:`imagiq.learning.frames`. Whatever happens to it, whoever
asked is told: it died, it hangs, or the error that it raised. No time-out has to be chosen: a worker hangs when it says
nothing and does not compute either, or when it says nothing for very much longer than ever before.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from imagiq import errors
from imagiq.clock import Clock, SystemClock
from imagiq.errors import ImagiqError
from imagiq.learning.frames import Frame, packed, read_frame

__all__ = ["Lost", "Worker", "error_of", "processor_ticks"]

SERVING: Final = "imagiq.learning.serving"
LOOK_EVERY_S: Final = 0.5
PATIENCE_S: Final = 60.0
"""How long a worker may say nothing and compute nothing."""
LONGEST_SILENCE_S: Final = 900.0
SILENCES: Final = 50
"""How many times longer than ever before a worker may say nothing while it computes, if that is longer."""


class Lost(Exception):
    """A worker is gone in the middle of its work. ``hung``: it was killed since it did not go on."""

    def __init__(self, why: str, *, hung: bool = False) -> None:
        super().__init__(why)
        self.why = why
        self.hung = hung


class Worker:
    """A running worker.

    Args:
        hello: What it is told first: threads, device, memory.
        log: Where its standard error goes, and whatever is printed by what it runs.
        patience_s: How long it may say and compute nothing.
        clock: Tells how long that was.
    """

    def __init__(
        self, hello: Mapping[str, Any], log: Path, *, patience_s: float = PATIENCE_S, clock: Clock | None = None
    ) -> None:
        self._patience_s = patience_s
        self._clock = clock or SystemClock()
        self._longest_silence_s = 0.0
        with log.open("ab") as printed:
            self._process = subprocess.Popen(  # noqa: S603 - our own module, by this very Python
                [sys.executable, "-m", SERVING],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=printed,
                bufsize=0,
                process_group=0 if os.name == "posix" else None,
            )
        if self._process.stdin is None or self._process.stdout is None:
            raise Lost("it has no pipes")
        self._in, self._out = self._process.stdin, self._process.stdout
        self._writing, self._asked, self._busy = threading.Lock(), 0, False
        os.set_blocking(self._in.fileno(), False)
        self._write(packed(hello))

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    def ask(
        self, header: Mapping[str, Any], parts: Sequence[bytes], tell: Callable[[Mapping[str, Any]], None]
    ) -> Frame:
        """Ask for something and wait for it.

        Args:
            header: What is asked for.
            parts: The bytes that belong to it.
            tell: Called with each word of how far it is.

        Raises:
            Lost: the worker died or hangs; it is gone now.
            ImagiqError: what the worker raised.
        """
        self._busy, self._asked = True, self._asked + 1
        try:
            self._write(packed({**header, "number": self._asked}, parts))
            while True:
                frame = read_frame(self._read)
                kind = frame.header.get("is")
                if kind == "advance":
                    tell(frame.header)
                elif kind == "error":
                    raise error_of(frame.header)
                else:
                    return frame
        finally:
            self._busy = False

    def stop(self) -> None:
        """Ask it to give up what it does; it says so soon."""
        with contextlib.suppress(Lost, ValueError):
            self._write(packed({"do": "stop", "number": self._asked}))

    def _write(self, pieces: Sequence[bytes]) -> None:
        with self._writing:
            self._write_alone(pieces)

    def _write_alone(self, pieces: Sequence[bytes]) -> None:
        since_s = self._clock.now_s()
        for piece in pieces:
            view = memoryview(piece)
            while view.nbytes:
                _, ready, _ = select.select([], [self._in], [], LOOK_EVERY_S)
                if ready:
                    try:
                        view = view[os.write(self._in.fileno(), view[: 2**20]) :]
                    except BlockingIOError:
                        continue
                    except OSError as error:
                        raise self._gone() from error
                    since_s = self._clock.now_s()
                elif self._clock.now_s() - since_s > self._patience_s:
                    raise self._hung()

    def _read(self, size: int) -> bytes:
        """Return exactly so many bytes, or find out that they will not come."""
        whole = bytearray(size)
        view = memoryview(whole)
        since_s, idle_since_s, ticks = self._clock.now_s(), self._clock.now_s(), processor_ticks(self.pid)
        while view.nbytes:
            ready, _, _ = select.select([self._out], [], [], min(LOOK_EVERY_S, self._patience_s))
            now_s = self._clock.now_s()
            if ready:
                piece = os.read(self._out.fileno(), min(view.nbytes, 2**20))
                if not piece:
                    raise self._gone()
                view[: len(piece)] = piece
                view = view[len(piece) :]
                self._longest_silence_s = max(self._longest_silence_s, now_s - since_s)
                since_s = idle_since_s = now_s
                continue
            ticks_now = processor_ticks(self.pid)
            if ticks_now != ticks:
                idle_since_s, ticks = now_s, ticks_now
            longest_s = max(LONGEST_SILENCE_S, SILENCES * self._longest_silence_s)
            if (ticks is not None and now_s - idle_since_s > self._patience_s) or now_s - since_s > longest_s:
                raise self._hung()
        return bytes(whole)

    def _gone(self) -> Lost:
        self._busy = False
        self.close()
        code = self._process.returncode
        if code >= 0:
            return Lost(f"it ended with {code}")
        try:
            return Lost(f"it was killed by {signal.Signals(-code).name}")
        except ValueError:
            return Lost(f"it was killed by signal {-code}")

    def _hung(self) -> Lost:
        self._busy = False
        self.close()
        return Lost("it did not go on", hung=True)

    def close(self) -> None:
        """End it at once, and all that it started. A thread that waits for it is told, and lets go of its pipes."""
        with contextlib.suppress(OSError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.kill()
        self._process.wait()
        if not self._busy:
            self._in.close()
            self._out.close()


def processor_ticks(pid: int) -> int | None:
    """Return how much processor time a process has used, all threads together; None where that cannot be told."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None
    return int(fields[11]) + int(fields[12])


def error_of(header: Mapping[str, Any]) -> ImagiqError:
    """Return the error that a worker told of."""
    name, code = str(header.get("kind")), str(header.get("code"))
    kind: type[ImagiqError] = getattr(errors, name) if name in errors.__all__ else ImagiqError
    return kind(code, str(header.get("what")), str(header.get("advice")))
