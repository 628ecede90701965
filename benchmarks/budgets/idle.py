"""A site that is up and has nothing to do: its memory, its processor time; and how soon it notices a new commit."""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from secrets import token_hex
from threading import Event, Thread

from benchmarks.table import Row
from imagiq.exchange import FolderRemote

__all__ = ["measure"]

MOST_MB = 80
MOST_MS_PER_S = 10
MOST_NOTICE_S = 0.05


def measure(*, quick: bool) -> Sequence[Row]:
    """Measure it with a real process, the only site of a federation with a study that is done, and a folder."""
    with tempfile.TemporaryDirectory() as folder:
        home = _prepared(Path(folder))
        process = subprocess.Popen(
            [sys.executable, "-m", "imagiq", "-C", str(home), "up"], stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL
        )
        try:
            _wait_until_done(home)
            time.sleep(1 if quick else 5)
            memory_mb, busy_ms_per_s = _resident_mb(process.pid), _busy(process.pid, 2 if quick else 30)
            loaded = _maps(process.pid)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()
    bare = _bare_mb()
    assert "torch" not in loaded, "an idle site has no deep learning framework loaded"
    return [
        Row(
            what="a site that is up and idle, memory",
            measured=memory_mb,
            unit="MB",
            line="a bare interpreter",
            limit=bare,
            budget="under 80 MB",
            most=MOST_MB,
        ),
        Row(
            what="a site that is up and idle, processor time in a second",
            measured=busy_ms_per_s,
            unit="ms",
            budget="near none: under 10 ms",
            most=MOST_MS_PER_S,
            note="One folder as remote, glanced at 20 times a second.",
        ),
        Row(
            what="a new commit in a folder is noticed after",
            measured=_notice_s(5 if quick else 50),
            unit="s",
            budget="50 ms",
            most=MOST_NOTICE_S,
            note="The median of a site that has waited for a while.",
        ),
    ]


def _prepared(folder: Path) -> Path:
    """Make a home with a study that is done."""
    home, share = folder / "alba", folder / "share"
    share.mkdir()
    (folder / "charter.toml").write_text('title = "Idle"\n', encoding="utf-8")
    (folder / "study.toml").write_text(
        'title = "Angina"\n[strategy]\nname = "local"\n[task]\nlearner = "logistic"\nfeatures = 13\n'
        'learning_rate = "0.05"\n[budget]\nsteps = 2\nupdates = 20\n',
        encoding="utf-8",
    )
    _imagiq("init", str(home), "--name", "alba")
    with (home / "site.toml").open("a", encoding="utf-8") as file:
        file.write('\n[data]\nkind = "heart"\nsite = "cleveland"\n')
    for arguments in (
        ("found", str(folder / "charter.toml")),
        ("remote", "add", "share", "folder", str(share)),
        ("study", "open", str(folder / "study.toml")),
    ):
        _imagiq("-C", str(home), *arguments)
    return home


def _imagiq(*arguments: str) -> str:
    command = [sys.executable, "-m", "imagiq", *arguments]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def _wait_until_done(home: Path) -> None:
    for _ in range(300):
        status = json.loads(_imagiq("-C", str(home), "status", "--json"))
        if [study["state"] for one in status["federations"] for study in one["studies"]] == ["done"]:
            return
        time.sleep(0.2)
    raise TimeoutError("the study does not end")


def _resident_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 1e6


def _busy(pid: int, seconds: float) -> float:
    """Return how many milliseconds of processor time a process takes in a second."""
    before, began = _ticks(pid), time.perf_counter()
    time.sleep(seconds)
    passed = time.perf_counter() - began
    return (_ticks(pid) - before) * 1000 / os.sysconf("SC_CLK_TCK") / passed


def _ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    return int(fields[11]) + int(fields[12])


def _maps(pid: int) -> str:
    return Path(f"/proc/{pid}/maps").read_text(encoding="utf-8", errors="replace")


def _bare_mb() -> float:
    code = "import sys; print(open('/proc/self/statm').read().split()[1])"
    pages = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True).stdout
    return int(pages) * os.sysconf("SC_PAGESIZE") / 1e6


def _notice_s(times: int) -> float:
    """Return how long it takes until a site that waits for news in a folder has them, after the head was replaced."""
    with tempfile.TemporaryDirectory() as folder:
        writer, reader = FolderRemote(folder, sync=False), FolderRemote(folder)
        site, found = token_hex(32), list[float]()
        for _ in range(times):
            word, heard = reader.news([site]), Event()

            def wait(word: str = word, heard: Event = heard) -> None:
                reader.news([site], word, 10.0)
                heard.set()

            thread = Thread(target=wait)
            thread.start()
            time.sleep(0.3 + 0.04 * len(found) / times)
            began = time.perf_counter()
            writer.replace(f"{site}/feeds/head", f"{token_hex(8)}\n".encode("ascii"))
            heard.wait()
            found.append(time.perf_counter() - began)
            thread.join()
        return statistics.median(found)
