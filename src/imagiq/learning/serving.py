"""What a worker runs: ``python -m imagiq.learning.serving``. The one program of imagiq that loads PyTorch.

It reads frames from its standard input and answers on what was its standard output; whatever is printed goes to its
standard error. It ends when its parent does: a thread of its own sees the line close, whatever the other one computes.
"""

from __future__ import annotations

import os
import queue
import signal
import threading
import traceback
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Final

from imagiq.errors import ContractBroken, Corrupt, ImagiqError
from imagiq.learning.deep.machine import explained, prepare_machine
from imagiq.learning.deep.requests import Answer, Requests, Say
from imagiq.learning.frames import Frame, packed, read_frame

__all__ = ["main"]

STDIN: Final = 0
STDOUT: Final = 1
STDERR: Final = 2


def main() -> None:
    """Serve until the line closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who stops the parent by Ctrl-C closes the line
    lines = os.fdopen(os.dup(STDIN), "rb", closefd=True)
    replies = os.fdopen(os.dup(STDOUT), "wb", buffering=0)
    os.dup2(STDERR, STDOUT)
    inbox = Inbox(lines)
    machine = Machine(inbox.take().header)
    while True:
        frame = inbox.take()
        advance = partial(_advance, replies, inbox, frame.header["number"])
        for piece in packed(*_answer(machine, frame, advance)):
            _write(replies, piece)


class Machine:
    """The machine, made ready at the first request, so that what is wrong with it is an answer."""

    def __init__(self, hello: Mapping[str, Any]) -> None:
        self._hello = hello
        self._requests: Requests | None = None

    def answer(self, frame: Frame, advance: Say) -> Answer:
        """Do what a frame asks for."""
        if self._requests is None:
            self._requests = Requests(prepare_machine(self._hello))
        return self._requests.answer(frame, advance)


class Inbox:
    """Frames as they come. A thread reads them, so that a word to stop, or the end of the line, is heard at any time."""

    def __init__(self, lines: BinaryIO) -> None:
        self._lines = lines
        self._frames: queue.SimpleQueue[Frame] = queue.SimpleQueue()
        self.stopped = 0
        """The number of the request that was last given up."""
        threading.Thread(target=self._listen, daemon=True).start()

    def take(self) -> Frame:
        """Wait for the next request."""
        return self._frames.get()

    def _listen(self) -> None:
        try:
            while True:
                frame = read_frame(self._read)
                if frame.header.get("do") == "stop":
                    self.stopped = frame.header["number"]
                else:
                    self._frames.put(frame)
        except (EOFError, OSError, Corrupt):
            if os.getpgrp() == os.getpid():  # with all that it started
                os.killpg(os.getpid(), signal.SIGKILL)
            os.kill(os.getpid(), signal.SIGKILL)

    def _read(self, size: int) -> bytes:
        whole = self._lines.read(size)
        if len(whole) < size:
            raise EOFError
        return whole


def _write(replies: BinaryIO, piece: bytes) -> None:
    view = memoryview(piece)
    while view.nbytes:
        view = view[replies.write(view) :]


def _advance(replies: BinaryIO, inbox: Inbox, number: int, said: Mapping[str, Any]) -> None:
    """Say how far the work is, unless it was given up.

    Raises:
        ContractBroken: it was.
    """
    if inbox.stopped == number:
        raise ContractBroken("worker-cancelled", "A training was given up.", "Nothing; nobody waits for it.")
    for piece in packed({"is": "advance", **said}):
        _write(replies, piece)


def _answer(machine: Machine, frame: Frame, advance: Say) -> Answer:
    """Do what is asked for; whatever goes wrong is the answer."""
    try:
        return machine.answer(frame, advance)
    except ImagiqError as error:
        return _error(error), []
    except Exception as error:  # noqa: BLE001 - the edge to foreign code: a network or transform of somebody else's may raise anything
        return _error(explained(error) or _failure(error)), []


def _error(error: ImagiqError) -> dict[str, Any]:
    header = {"is": "error", "kind": type(error).__name__, "code": error.code}
    return {**header, "what": error.what, "advice": error.advice}


def _failure(error: Exception) -> ContractBroken:
    """Return what is told of an error that nobody foresaw: its kind and place; its text might hold a value of a case."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" in {Path(frames[-1].filename).name}, line {frames[-1].lineno}" if frames else ""
    return ContractBroken(
        "learner-failed",
        f"The learner stopped with {type(error).__name__}{place}.",
        "Run it by itself on the same cases to see why.",
    )


if __name__ == "__main__":
    main()
