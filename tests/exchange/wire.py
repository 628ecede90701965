"""A line between two sockets that can be cut, be slow, and come back."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from types import TracebackType
from typing import Self


class Wire:
    """Listens, and passes on what it is given to a port of this machine.

    Attributes:
        port: Where it listens.
        slow_bytes_s: So many bytes a second at most pass in each direction of each connection; 0: as many as can.
        cut_after: After so many bytes from the far end all lines are cut; None: never.
        is_up: Whether new lines are let through.
        passed: The bytes that came from the far end.
    """

    def __init__(self, to: int) -> None:
        self._to = to
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])
        self.slow_bytes_s = 0
        self.cut_after: int | None = None
        self.is_up = True
        self.passed = 0
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            if not self.is_up:
                near.close()
                continue
            try:
                far = socket.create_connection(("127.0.0.1", self._to))
            except OSError:
                near.close()
                continue
            with self._lock:
                self._open |= {near, far}
            for source, target, is_answer in ((near, far, False), (far, near, True)):
                threading.Thread(target=self._pass, args=(source, target, is_answer), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, is_answer: bool) -> None:
        try:
            while data := source.recv(2**14):
                if self.slow_bytes_s:
                    time.sleep(len(data) / self.slow_bytes_s)
                target.sendall(data)
                if is_answer:
                    self._count(len(data))
        except OSError:
            pass
        finally:
            self._close(source, target)

    def _count(self, size: int) -> None:
        with self._lock:
            self.passed += size
            is_due = self.cut_after is not None and self.passed >= self.cut_after
        if is_due:
            self.cut()

    def cut(self) -> None:
        """Cut all lines, and let no new one through."""
        self.is_up = False
        self.cut_after = None
        with self._lock:
            lines = list(self._open)
        self._close(*lines)

    def mend(self) -> None:
        """Let lines through again."""
        self.is_up = True

    def _close(self, *lines: socket.socket) -> None:
        with self._lock:
            self._open -= set(lines)
        for line in lines:
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
            line.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        self.cut()
