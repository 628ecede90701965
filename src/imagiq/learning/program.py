"""Running somebody's program in a folder of its own, and knowing when it will not come to an end."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from imagiq.clock import Clock, SystemClock
from imagiq.errors import BudgetSpent, ContractBroken
from imagiq.learning import watched

__all__ = ["JobFolder", "Program"]

LOOK_EVERY_S: Final = 0.2
LONGEST_SILENCE_S: Final = 3600.0
"""How long a program may compute and write nothing."""
RESULT: Final = "result"
RESULT_LIMIT: Final = 2**37
LOG_TAIL: Final = 4096
NO_MEMORY: Final = (
    "memoryerror",
    "bad_alloc",
    "out of memory",
    "outofmemory",
    "allocate memory",
    "unable to allocate",
    "cannot allocate",
)
"""What programs print, in small letters, when they may not have more memory."""
ERROR_NAME: Final = re.compile(r"^([A-Za-z_][\w.]*(?:Error|Exception|Interrupt|Exit))\b")


class JobFolder:
    """The folder of one job; only its owner can look into it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        (path / RESULT).mkdir()

    def at(self, name: str) -> Path:
        """Return where a file lies."""
        return self.path / name

    def put(self, name: str, content: bytes) -> None:
        """Write a file."""
        self.at(name).write_bytes(content)

    def put_json(self, name: str, content: Mapping[str, Any]) -> None:
        """Write a file of JSON."""
        self.put(name, json.dumps(content, indent=2).encode())

    def link(self, name: str, source: Path) -> None:
        """Show a file here without copying it, where the disk can."""
        try:
            os.link(source, self.at(name))
        except OSError:
            shutil.copyfile(source, self.at(name))

    def read_results(self) -> dict[str, bytes]:
        """Return the files that were written as results.

        Raises:
            BudgetSpent: they are larger than any model.
        """
        folder = self.path / RESULT
        if not folder.is_dir():
            return {}
        files = [path for path in sorted(folder.iterdir()) if path.is_file() and not path.is_symlink()]
        if sum(path.stat().st_size for path in files) > RESULT_LIMIT:
            raise BudgetSpent("program-size", "A program wrote more than 128 GiB.", "Let it write its weights only.")
        return {path.name: path.read_bytes() for path in files}

    def signs(self) -> tuple[int, int]:
        """Return what changes when a program writes: the sizes and the latest change of all files."""
        found = [path.stat() for path in self.path.rglob("*") if path.exists()]
        return sum(one.st_size for one in found), max((one.st_mtime_ns for one in found), default=0)


class Program:
    """A program that the owner of this machine lets run.

    Args:
        name: What studies call it.
        command: The command and its arguments; the folder comes last.
        folder: Where it is run from; None: where imagiq runs.
        patience_s: How long it may neither compute nor write anything.
        silence_s: How long it may compute and write nothing.
        memory_bytes: How much memory it, and each process that it starts, may allocate; None: any.
        clock: Tells how long that was.
    """

    def __init__(
        self,
        name: str,
        command: tuple[str, ...],
        folder: Path | None,
        *,
        patience_s: float,
        silence_s: float = LONGEST_SILENCE_S,
        memory_bytes: int | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.name = name
        self.patience_s = patience_s
        self.silence_s = silence_s
        self._memory_bytes = memory_bytes or 0
        self._command = command
        self._folder = folder
        self._clock = clock or SystemClock()

    @contextlib.contextmanager
    def folder(self, inside: Path) -> Iterator[JobFolder]:
        """Lend a folder for one job."""
        with tempfile.TemporaryDirectory(prefix="job-", dir=inside, ignore_cleanup_errors=True) as path:
            yield JobFolder(Path(path))

    def run(self, folder: JobFolder, stop: threading.Event) -> None:
        """Run it to its end.

        Raises:
            ContractBroken: it cannot be started, ended with an error, did not go on, or was given up.
            BudgetSpent: it ended since it may not have more memory.
        """
        log = folder.at("printed.txt")
        try:
            with log.open("wb") as printed:
                process = subprocess.Popen(  # noqa: S603 - what the owner of this machine has written down
                    [
                        *(sys.executable, "-I", "-S", watched.__file__, f"{self._memory_bytes}"),
                        *(*self._command, str(folder.path)),
                    ],
                    cwd=self._folder,
                    stdin=subprocess.PIPE,
                    stdout=printed,
                    stderr=printed,
                    start_new_session=True,
                )
        except OSError as error:
            raise self._not_started(error.strerror or "the system refuses") from error
        try:
            code = self._wait(process, folder, stop)
        finally:
            _end(process)
        if code == watched.NOT_STARTED:
            raise self._not_started(_last_line(log) or "it is not there")
        if code != 0 and self._memory_bytes and _lacked_memory(log):
            raise BudgetSpent(
                "program-memory",
                f"The program '{self.name}' needs more memory than the {self._memory_bytes // 2**20} MiB that it may use.",
                "Let it take a smaller batch or patch, or say fewer workers or more memory_mib in [machine].",
            )
        if code != 0:
            raise ContractBroken(
                "program-failed",
                f"The program '{self.name}' ended with {code}{_last_word(log)}.",
                "Run it by itself on a folder such as docs/learning.md describes.",
            )

    def _not_started(self, why: str) -> ContractBroken:
        return ContractBroken(
            "program-start",
            f"The program '{self.name}' cannot be started: {why}.",
            "Correct its command in [machine.programs].",
        )

    def _wait(self, process: subprocess.Popen[bytes], folder: JobFolder, stop: threading.Event) -> int:
        """Wait for its end, as long as it computes or writes."""
        wrote_s = alive_s = self._clock.now_s()
        signs, ticks = folder.signs(), _session_ticks(process.pid)
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                return process.wait(LOOK_EVERY_S)
            if stop.is_set():
                raise ContractBroken("worker-cancelled", "A training was given up.", "Nothing; nobody waits for it.")
            now_s, signs_now, ticks_now = self._clock.now_s(), folder.signs(), _session_ticks(process.pid)
            if signs_now != signs:
                wrote_s = alive_s = now_s
            elif ticks_now != ticks:
                alive_s = now_s
            signs, ticks = signs_now, ticks_now
            if now_s - wrote_s > self.silence_s:
                raise ContractBroken(
                    "program-hung",
                    f"The program '{self.name}' wrote nothing for {self.silence_s / 60:.0f} minutes, and was ended.",
                    "However long it computes, let it print a line now and then.",
                )
            if ticks is not None and now_s - alive_s > self.patience_s:
                raise ContractBroken(
                    "program-hung",
                    f"The program '{self.name}' neither computed nor wrote anything any more, and was ended.",
                    "If it waits for something else, let it print a line now and then.",
                )


def _session_ticks(leader: int) -> int | None:
    """Return the processor time of a program and all that it started; None where that cannot be told."""
    total = 0
    try:
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                fields = stat.read_bytes().rpartition(b")")[2].split()
                if int(fields[3]) == leader:
                    total += sum(map(int, fields[11:15]))
    except OSError:
        return None
    return total or None


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a program and all that it started."""
    with contextlib.suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdin is not None:
        process.stdin.close()


def _tail(log: Path) -> list[str]:
    with log.open("rb") as printed:
        printed.seek(max(0, log.stat().st_size - LOG_TAIL))
        return printed.read().decode("utf-8", "replace").splitlines()


def _last_line(log: Path) -> str:
    return next(iter(reversed(_tail(log))), "")


def _lacked_memory(log: Path) -> bool:
    printed = "\n".join(_tail(log)).lower()
    return any(part in printed for part in NO_MEMORY)


def _last_word(log: Path) -> str:
    """Return the kind of error that was printed last; its text may hold a value of a case."""
    for line in reversed(_tail(log)):
        found = ERROR_NAME.match(line.strip())
        if found:
            return f" ({found[1]})"
    return ""
