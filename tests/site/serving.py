"""Listeners in processes of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Served:
    """A listener that runs."""

    process: subprocess.Popen[str]
    address: str
    key: str
    fingerprint: str

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])


@contextmanager
def serving(cwd: Path, *arguments: str, port: int = 0) -> Iterator[Served]:
    """Run ``imagiq serve`` until the block ends; it then ends with exit code 0, unless it was killed."""
    process = subprocess.Popen(
        [sys.executable, "-m", "imagiq", *arguments, "--host", "127.0.0.1", "--port", str(port), "--json"],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src"), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        text = ""
        while not text.endswith("\n}\n"):
            line = process.stdout.readline()
            assert line, process.communicate()
            text += line
        found = json.loads(text)
        yield Served(process, found["address"], found["key"], found["fingerprint"])
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
    finally:
        process.kill()
        process.communicate()
