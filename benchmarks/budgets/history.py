"""100,000 signed commits of 20 sites: learning them, opening them, the first lines of the log, a sync with nothing new."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from time import perf_counter

from benchmarks.budgets import command_line
from benchmarks.budgets.decide import site_of
from benchmarks.budgets.federation import Founded, found
from benchmarks.budgets.long_history import Feeds, commits_of
from benchmarks.table import Row
from benchmarks.timing import resident_bytes, seconds
from imagiq.bench import Bench, Checks
from imagiq.bench.repository import open_repository, store_folder
from imagiq.clock import VirtualClock
from imagiq.exchange import BenchPeer, pull
from imagiq.store import Content, FolderStore, MemoryStore, RealFiles

SITES, LINES = 20, 50
LOG_MS, SYNC_MS = 300, 100
BATCH = 5_000
REPEATS = 5


class UnsyncedFiles(RealFiles):
    """Files that a power cut may take: making a long history must not wait for the disk 100,000 times."""

    def write(self, path: str, content: Content) -> None:
        """Make a new file, without waiting for the disk."""
        with open(path, "xb") as file:  # noqa: PTH123 - as RealFiles
            file.write(content)

    def append(self, path: str, content: bytes, *, sync: bool) -> None:
        """Add to a file, without waiting for the disk."""
        del sync
        super().append(path, content, sync=False)

    def sync_folder(self, path: str) -> None:
        """Do nothing."""


def measure(*, quick: bool) -> Sequence[Row]:
    """Make the history, then measure what is done with it."""
    count = 5_000 if quick else 100_000
    federation = found(SITES)
    with tempfile.TemporaryDirectory() as folder:
        repository = Path(folder) / "repository"
        repository.mkdir()
        with FolderStore.create(store_folder(repository), files=UnsyncedFiles()) as store:
            rows = _with_benches(store, federation, count)
        opened = [_opened(repository, count, how) for how in ("reading", "writing, index made")]
        return [*rows, *opened, _logged(repository, count)]


def _with_benches(store: FolderStore, federation: Founded, count: int) -> Sequence[Row]:
    author = next(iter(federation.authors.values()))
    store.secret_write("site", author.site.seed)
    store.secret_write("feed", author.feed.seed)
    checks = Checks()
    bench = Bench(store, federation.charter, clock=VirtualClock(), author=author, checks=checks)
    raws = (commit.raw for commit in commits_of("latest-of-each", Feeds(federation)))
    admitting_s, size = 0.0, 0
    for batch in _batches(chain((vote.raw for vote in federation.votes), raws), count):
        size += sum(map(len, batch))
        admitting_s += seconds(lambda batch=batch: bench.admit(batch, "a peer"))  # type: ignore[misc]
    assert len(bench.history) == count
    other = Bench(store, federation.charter, clock=VirtualClock(), checks=checks, read_only=True)
    assert len(other.history) == count
    site = site_of(next(iter(federation.authors)), bench)
    pulling_s = statistics.median(seconds(lambda: pull(bench, BenchPeer("a peer", other))) for _ in range(REPEATS))
    syncing_s = statistics.median(seconds(lambda: site.sync(BenchPeer("a peer", other))) for _ in range(REPEATS))
    newcomer = Bench(MemoryStore(), federation.charter, clock=VirtualClock(), checks=checks)
    first_s = seconds(lambda: pull(newcomer, BenchPeer("a peer", other)))
    assert len(newcomer.history) == count
    what, budget = f"{count:,} commits of {SITES} sites", f"{SYNC_MS} ms"
    return [
        Row(what=f"{what}: admit all", measured=admitting_s, unit="s", note=f"They have {size / 1e6:.0f} MB."),
        Row(what=f"{what}: a newcomer's first pull", measured=first_s, unit="s", note="Signatures are not checked again."),
        Row(what=f"{what}: pull, nothing new", measured=1000 * pulling_s, unit="ms", budget=budget, most=SYNC_MS),
        Row(what=f"{what}: a site's sync, nothing new", measured=1000 * syncing_s, unit="ms", budget=budget,
            most=SYNC_MS),
    ]  # fmt: skip


def _batches(raws: Iterable[bytes], count: int) -> Iterator[tuple[bytes, ...]]:
    wanted = islice(raws, count)
    while batch := tuple(islice(wanted, BATCH)):
        yield batch


def _opened(repository: Path, count: int, how: str) -> Row:
    """Open the repository in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.budgets.history", str(repository), how]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    took_s, grown = done.stdout.split()
    return Row(
        what=f"{count:,} commits of {SITES} sites: open for {how}",
        measured=float(took_s),
        unit="s",
        note=f"The process then holds {int(grown) / 2**20:.0f} MiB more than before.",
    )


def _open(repository: Path, how: str) -> None:
    before, start = resident_bytes(), perf_counter()
    bench = open_repository(repository, read_only=how == "reading")
    print(perf_counter() - start, resident_bytes() - before)
    bench.store.close()


def _logged(repository: Path, count: int) -> Row:
    """Time the log's first lines, in a process of its own."""
    took_s = None
    if command_line.is_there():
        took_s = statistics.median(seconds(lambda: _first_lines(repository)) for _ in range(REPEATS))
    return Row(
        what=f"{count:,} commits of {SITES} sites: imagiq log, first {LINES} lines",
        measured=None if took_s is None else 1000 * took_s,
        unit="ms",
        budget=f"{LOG_MS} ms",
        most=LOG_MS,
        note="" if took_s is not None else command_line.NOT_THERE,
    )


def _first_lines(repository: Path) -> None:
    with subprocess.Popen(command_line.command("log"), cwd=repository, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert len(list(islice(process.stdout, LINES))) == LINES
        process.kill()


if __name__ == "__main__":
    _open(Path(sys.argv[1]), sys.argv[2])
