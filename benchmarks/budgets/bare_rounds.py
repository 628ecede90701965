"""Rounds of bare processes, which only move bytes: the limit line of rounds between sites.

``folder``: each process hashes, writes and fsyncs the copies of a model that sites make in a round over a shared folder, and
no more: each site's own at home and on the share, all others' at the server's home, the merge at the server's home, on the
share and at every other home. There is no signature, no seal, no arithmetic. ``pipes``: FedAvg over pipes, which keeps
nothing: each process sends its model to the server, which sends the mean back.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import numpy as np

__all__ = ["bare_round_s", "piped_round_s"]

LOOK_EVERY_S = 0.001


def bare_round_s(folder: Path, *, sites: int, size: int, rounds: int) -> float:
    """Return the seconds of a round over a folder, of which none but ``folder`` may be in use."""
    (folder / "share").mkdir()
    command = [sys.executable, "-m", __name__, "folder", str(folder), str(sites), str(size), str(rounds + 1)]
    return _seconds([[*command, str(me)] for me in range(sites)]) / rounds


def piped_round_s(*, sites: int, size: int, rounds: int) -> float:
    """Return the seconds of a round of FedAvg over pipes."""
    return _seconds([[sys.executable, "-m", __name__, "pipes", str(sites), str(size), str(rounds + 1)]]) / rounds


def _seconds(commands: Sequence[Sequence[str]]) -> float:
    """Run processes; return the seconds that the first says it took, which are those after its first round."""
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for command in commands]
    said = [process.communicate()[0] for process in processes]
    assert all(process.returncode == 0 for process in processes)
    return float(said[0])


def _kept(path: Path, content: bytes) -> None:
    """Hash, write and fsync a copy; it is there as a whole, or not."""
    hashlib.sha256(content).hexdigest()
    temporary = path.with_name(f"new-{path.name}")
    with temporary.open("wb", buffering=0) as file:
        file.write(content)
        os.fsync(file.fileno())
    temporary.rename(path)


def _awaited(path: Path) -> bytes:
    while not path.exists():
        time.sleep(LOOK_EVERY_S)
    return path.read_bytes()


def _folder(folder: Path, sites: int, size: int, rounds: int, me: int) -> None:
    share, home = folder / "share", folder / str(me)
    home.mkdir()
    began_s = 0.0
    for number in range(rounds):
        began_s = time.perf_counter() if number == 1 else began_s
        own = os.urandom(64) + bytes(size - 64)
        _kept(home / f"own-{number}", own)
        _kept(share / f"{me}-{number}", own)
        if me == 0:
            for other in range(1, sites):
                _kept(home / f"{other}-{number}", _awaited(share / f"{other}-{number}"))
            _kept(home / f"merge-{number}", own)
            _kept(share / f"merge-{number}", own)
        else:
            _kept(home / f"merge-{number}", _awaited(share / f"merge-{number}"))
    if me == 0:
        print(time.perf_counter() - began_s)


def _pipes(sites: int, size: int, rounds: int) -> None:
    command = [sys.executable, "-m", __spec__.name, "member", str(size), str(rounds)]
    members = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(sites - 1)]
    model, began_s = np.zeros(size // 4, np.float32), 0.0
    for number in range(rounds):
        began_s = time.perf_counter() if number == 1 else began_s
        for member in members:
            assert member.stdout is not None
            model = model + np.frombuffer(_exactly(member.stdout, size), np.float32)
        model = model / np.float32(sites)
        for member in members:
            assert member.stdin is not None
            member.stdin.write(model.tobytes())
            member.stdin.flush()
    print(time.perf_counter() - began_s)
    for member in members:
        member.communicate()


def _member(size: int, rounds: int) -> None:
    model = np.zeros(size // 4, np.float32)
    for _ in range(rounds):
        sys.stdout.buffer.write((model + np.float32(1e-6)).tobytes())
        sys.stdout.buffer.flush()
        model = np.frombuffer(_exactly(sys.stdin.buffer, size), np.float32)


def _exactly(stream: IO[bytes], size: int) -> bytes:
    found = stream.read(size)
    assert len(found) == size
    return found


if __name__ == "__main__":
    kind, *given = sys.argv[1:]
    if kind == "folder":
        _folder(Path(given[0]), *map(int, given[1:]))
    elif kind == "pipes":
        _pipes(*map(int, given))
    else:
        _member(*map(int, given))
