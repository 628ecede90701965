"""Runs a program and ends it with whoever asked for it: ``python -I -S watched.py MEMORY_BYTES COMMAND ...``.

Whoever asked holds the other end of the standard input. When that closes, by whatever end, the program and all that it
started are killed: nothing goes on that nobody waits for. Each of them may allocate so much memory; 0: any. This file
stands alone and imports nothing of imagiq.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading

__all__ = ["NOT_STARTED"]

NOT_STARTED = 127
"""The exit code when the program cannot be started; the last line printed says why."""


def main() -> int:
    """Run the program to its end, and return its exit code."""
    memory_bytes, *command = sys.argv[1:]
    _limit(int(memory_bytes))
    try:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL)  # noqa: S603 - what the owner has written down
    except OSError as error:
        sys.stdout.write(f"{error.strerror}\n")
        return NOT_STARTED
    threading.Thread(target=_watch, daemon=True).start()
    code = process.wait()
    if code < 0:  # killed by a signal: so is this one, so that it can be told
        with contextlib.suppress(OSError):  # of SIGKILL there is no handler
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    return code


def _limit(memory_bytes: int) -> None:
    """Limit what this process and all that it starts allocate, each for itself; a limit that there is already stays."""
    if not memory_bytes:
        return
    import resource  # noqa: PLC0415 - not everywhere; where it is missing, nothing asks for a limit

    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    most = memory_bytes if hard == resource.RLIM_INFINITY else min(memory_bytes, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def _watch() -> None:
    while os.read(0, 1):
        pass
    os.killpg(os.getpgrp(), signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
