"""The far end of the https benchmarks, in a process of its own: ``raw`` TLS that only moves bytes, or the ``listener``."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from imagiq.exchange.certificates import tls_context
from imagiq.exchange.listener import Listener
from imagiq.keys import SiteKey
from imagiq.objects import digest_of

__all__ = ["MEMBER", "PSEUDONYM", "SERVER", "far_end"]

SERVER, MEMBER = SiteKey(b"s" * 32), SiteKey(b"m" * 32)
PSEUDONYM = digest_of(b"a pseudonym")


@contextlib.contextmanager
def far_end(kind: str, folder: str) -> Iterator[int]:
    """Start a far end; give its port."""
    command = [sys.executable, "-m", "benchmarks.budgets.raw_tls", kind, folder]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()


def _serve_raw() -> None:
    """Send as many bytes as each line asks for."""
    context = tls_context(SERVER, [MEMBER.public], server=True)
    content = memoryview(bytes(2**22))
    with socket.create_server(("127.0.0.1", 0)) as server:
        print(server.getsockname()[1], flush=True)
        while True:
            plain, _ = server.accept()
            with context.wrap_socket(plain, server_side=True) as secured:
                while asked := secured.recv(100):
                    left = int(asked)
                    while left > 0:
                        secured.sendall(content[:left])
                        left -= len(content)


def _serve(folder: str) -> None:
    with Listener(Path(folder), SERVER, {MEMBER.public: PSEUDONYM}) as listener:
        print(listener.port, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    if sys.argv[1] == "raw":
        _serve_raw()
    else:
        _serve(sys.argv[2])
