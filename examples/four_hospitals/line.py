"""A line between a hospital and what it exchanges by: it can be cut, for a while or in the middle of whatever passes."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from dataclasses import dataclass, field

CHUNK = 2**16


@dataclass
class Line:
    """A port on this machine that leads to another one.

    Attributes:
        target: The port that it leads to.
        port: The port that it listens at.
        passed: How many bytes have passed, both ways.
    """

    target: int
    port: int = 0
    passed: int = 0
    _is_cut: bool = False
    _open: set[socket.socket] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Listen."""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Cut it: what passes now is torn, and nobody gets through."""
        self._is_cut = True
        for one in list(self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        """Let everybody through again."""
        self._is_cut = False

    def _accept(self) -> None:
        while True:
            near, _ = self._listener.accept()
            try:
                far = None if self._is_cut else socket.create_connection(("127.0.0.1", self.target), timeout=10)
            except OSError:
                far = None
            if far is None:
                near.close()
                continue
            far.settimeout(None)
            for one, other in ((near, far), (far, near)):
                self._open.add(one)
                threading.Thread(target=self._pass_on, args=(one, other), daemon=True).start()

    def _pass_on(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while data := one.recv(CHUNK):
                self.passed += len(data)
                other.sendall(data)
        self._open.discard(one)
        for end in (one, other):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        with suppress(OSError):
            one.close()
