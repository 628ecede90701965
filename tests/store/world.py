"""A store on simulated files beside a model of what it has promised: what must be there, and what may be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from imagiq.errors import ImagiqError, NotFound
from imagiq.objects import Digest, digest_of
from imagiq.store import FolderStore, Record
from imagiq.store._layout import FOLDERS
from imagiq.testing.files import Choose, Crash, Fault, SimulatedFiles

ROOT = "/repository"


@dataclass
class Entry:
    """A record that was appended; ``acknowledged`` unless the call raised."""

    record: Record
    acknowledged: bool = False


@dataclass
class Line:
    """One history that the journal may have; what is acknowledged before ``durable`` must survive a crash."""

    entries: list[Entry] = field(default_factory=list)
    durable: int = 0

    def explains(self, found: Sequence[Record], *, crashed: bool) -> bool:
        """Tell whether a journal with this history may be read so."""
        matched = {0}
        for place, entry in enumerate(self.entries):
            if entry.acknowledged and crashed and place >= self.durable and len(found) in matched:
                return True
            kept = {at + 1 for at in matched if at < len(found) and found[at] == entry.record}
            matched = kept if entry.acknowledged else kept | matched
        return len(found) in matched


class World:
    """Does what a site does, survives what is done to it, and compares."""

    def __init__(self, choose: Choose) -> None:
        self.files = SimulatedFiles(choose)
        self.store: FolderStore | None = None
        self.created = False
        self.objects: set[Digest] = set()
        self.commits: set[Digest] = set()
        self.lines = [Line()]
        self.replaced: dict[tuple[str, str], set[bytes | None]] = {}
        self.faults_met = 0

    def do(
        self, operation: Callable[[], None], *, fault: Fault | None = None, power: bool = True, again: bool = True
    ) -> None:
        """Do something while ``fault`` waits; after a failure compare, and do it again without if ``again``."""
        self.files.fault = fault
        try:
            operation()
        except Crash:
            self.faults_met += 1
            self.restart(power=power)
        except ImagiqError:
            if fault is None:
                raise
            self.faults_met += 1
            self.files.fault = None
            self.compare()
        else:
            again = False
        self.files.fault = None
        if again:
            operation()

    def restart(self, *, power: bool) -> None:
        """Stop the machine, or only the process; start again; compare."""
        if power:
            self.files.power_cut()
        else:
            self.files.kill()
        self.store = None
        try:
            self.begin()
        except NotFound:
            assert not self.created
        else:
            self.compare(crashed=True, power=power)

    def begin(self) -> None:
        """Open the repository, or make it."""
        if not self.created:
            with suppress(NotFound):
                self.store = FolderStore.open(ROOT, files=self.files)
            self.store = self.store or FolderStore.create(ROOT, files=self.files)
            self.created = True
        self.store = self.store or FolderStore.open(ROOT, files=self.files)

    def close(self) -> None:
        if self.store is not None:
            store, self.store = self.store, None
            store.close()
            self.lines = [Line(line.entries, len(line.entries)) for line in self.lines]

    def open(self) -> FolderStore:
        self.begin()
        assert self.store is not None
        return self.store

    def add(self, contents: Iterable[bytes]) -> None:
        self.objects |= set(self.open().add(contents))

    def add_commits(self, raws: Sequence[bytes]) -> None:
        seen = set(self.open().objects())
        self.commits |= set(self.open().add_commits(raws))
        self.objects |= seen

    def remove(self, digests: Sequence[Digest]) -> None:
        self.objects -= set(digests)
        self.open().remove(digests)

    def append(self, records: Sequence[Record], *, durable: bool) -> None:
        store = self.open()
        entries = [Entry(record) for record in records]
        for line in self.lines:
            line.entries.extend(entries)
        store.journal.append(records, durable=durable)
        for entry in entries:
            entry.acknowledged = True
        if durable:
            found = list(store.journal.read())
            self.lines = [line for line in self.lines if line.explains(found, crashed=False)]
            assert self.lines, f"an acknowledged record is gone: {found}"
            self.lines = [Line(line.entries, len(line.entries)) for line in self.lines]

    def rewrite(self, records: Sequence[Record]) -> None:
        store = self.open()
        line = Line([Entry(record, acknowledged=True) for record in records], len(records))
        self.lines.append(line)
        store.journal.rewrite(records)
        self.lines = [line]

    def sidecar(self, commit: Digest, content: bytes) -> None:
        store = self.open()
        self.replaced.setdefault((commit, "name"), {None}).add(content)
        store.sidecar_write(commit, "name", content)
        self.replaced[commit, "name"] = {content}

    def secret(self, content: bytes) -> None:
        store = self.open()
        self.replaced.setdefault(("", "key"), {None}).add(content)
        store.secret_write("key", content)
        self.replaced["", "key"] = {content}

    def compare(self, *, crashed: bool = False, power: bool = False) -> None:
        """Check that what must be there is, whole, and nothing else than what may be."""
        if self.store is None:
            return
        visible = set(self.store.objects())
        assert self.objects <= visible, "an acknowledged object is gone"
        assert all(digest_of(self.store.read(digest)) == digest for digest in visible), "a torn object is visible"
        commits = {digest_of(raw) for raw in self.store.commits()}
        assert self.commits <= commits, "an acknowledged commit is gone"
        assert all(digest_of(self.store.read_commit(digest)) == digest for digest in commits)
        self.commits = commits
        found = list(self.store.journal.read())
        lines = [line for line in self.lines if line.explains(found, crashed=crashed)]
        assert lines, f"the journal is wrong: {found}"
        for (commit, name), possible in self.replaced.items():
            read = self.store.sidecar_read(Digest(commit), name) if commit else self.store.secret_read(name)
            assert read in possible, "what was replaced is torn or lost"
            if power:
                self.replaced[commit, name] = {read}
        if crashed:
            self.objects = visible
            self.lines = [Line([Entry(record, acknowledged=True) for record in found], len(found))]
            assert not self.files.list(f"{ROOT}/{FOLDERS[-1]}"), "leftovers were not cleared"
