"""Forgetting models at one site: what goes, what stays whatever happens, and how it comes back."""

from __future__ import annotations

import errno
from contextlib import suppress
from copy import deepcopy
from random import Random

import numpy as np
import pytest

from imagiq.bench import Bench, forgetting
from imagiq.bench.forgetting import Portion, forgettable_commits, let_go, portions
from imagiq.errors import Corrupt, Unreachable
from imagiq.federation import Retention
from imagiq.history import Entry
from imagiq.merging import blobs_of, schema_of
from imagiq.objects import Digest, Parent, Recipe
from imagiq.store import FolderStore
from imagiq.testing.files import Crash, Fault, SimulatedFiles
from tests.bench.town import Town

KEEP = 2


def blobs(bench: Bench, *entries: Entry) -> set[Digest]:
    return {blob for entry in entries for blob in bench.models.tree(entry.commit.tree or entry.digest).blobs}


def held(bench: Bench) -> set[Digest]:
    return set(bench.store.objects())


def forget(bench: Bench, keep: int = KEEP, pinned: frozenset[Digest] = frozenset()) -> Portion | None:
    return let_go(bench, forgettable_commits(bench, Retention(models=keep), pinned))


def a_line(town: Town, values: list[float], name: str = "a") -> tuple[Entry, list[Entry]]:
    """Let a site train one model after the other, in which every number is as given."""
    study = town.study(name, steps=20)
    made = [study]
    for step, value in enumerate(values, start=1):
        made.append(town.train(name, made[-1].digest, value, study.digest, step))
    return study, made[1:]


def test_only_what_nothing_else_names_goes() -> None:
    town = Town(("a", "b"))
    bench = town.benches["a"]
    study, made = a_line(town, [1.0, 2.0, 0.0, 1.0])
    before, kept = held(bench), blobs(bench, study, *made[-KEEP:])
    for entry in made:
        bench.store.sidecar_write(entry.digest, "state", b"moments")
    gone = forget(bench)
    assert gone is not None
    assert set(gone.blobs) == blobs(bench, made[1]), "a blob of another model goes, or one that is nobody's stays"
    assert (gone.commits, gone.whole) == (tuple(e.digest for e in made[:-KEEP]), KEEP)
    assert gone.nbytes == 32
    assert held(bench) == before - set(gone.blobs)
    assert bench.store.sidecar_read(made[0].digest, "state") is None
    assert bench.store.sidecar_read(made[-1].digest, "state") == b"moments"
    assert kept <= held(bench)
    assert not bench.models.complete & set(gone.commits)
    again = forget(bench)
    assert again is not None
    assert not again.commits


def test_what_is_pinned_stays() -> None:
    town = Town(("a", "b"))
    bench = town.benches["a"]
    _, made = a_line(town, [1.0, 2.0, 3.0])
    gone = forget(bench, 1, frozenset({made[0].digest}))
    assert gone is not None
    assert set(gone.blobs) == blobs(bench, made[1])


def test_a_model_that_was_forgotten_comes_back_from_another_site() -> None:
    town = Town(("a", "b"))
    _, made = a_line(town, [1.0, 2.0, 3.0, 4.0])
    town.give("a", "b", town.benches["a"].history[made[0].commit.study or made[0].digest], *made)
    bench = town.benches["b"]
    forget(bench)
    assert made[0].digest in bench.models.forgotten
    assert not bench.models.holds(made[0].commit.tree or made[0].digest)
    assert made[0].digest in town.reopen("b").models.forgotten, "it is not remembered over a restart"
    assert town.fetch("a", "b", made[0])
    bench = town.reopen("b")
    assert made[0].digest in bench.models.complete
    assert made[0].digest not in bench.models.forgotten


def test_an_object_of_another_kind_stays_whatever_a_model_holds() -> None:
    """A member makes a model whose bytes are those of the charter, and lets it grow old."""
    town = Town(("a", "b"))
    bench, theirs = town.benches["a"], town.benches["b"]
    study = town.study("b")
    town.give("b", "a", study)
    raw = town.founding.raw
    odd = schema_of({"bytes": np.frombuffer(raw, np.uint8)})
    tree = theirs.models.keep(odd, blobs_of(odd, {"bytes": np.frombuffer(raw, np.uint8)}))
    assert tree.blobs == (town.founding.digest,)
    recipe = Recipe("train", 1, {"step": 1, "updates": 1, "progress": "0"}, 7)
    bad = theirs.commit(recipe, parents=[Parent("base", study.digest)], study=study.digest, tree=tree, cases=10)
    good = [town.train("b", bad.digest, float(value), study.digest, value) for value in (2, 3)]
    town.give("b", "a", bad, *good)
    gone = forget(bench, 1)
    assert gone is not None
    assert bad.digest in gone.commits
    assert bench.store.has(town.founding.digest)
    town.reopen("a")


def test_nothing_goes_while_a_model_is_made_and_what_is_made_stays_until_a_commit_names_it() -> None:
    town = Town(("a", "b"))
    bench = town.benches["a"]
    _, made = a_line(town, [1.0, 2.0, 3.0, 4.0])
    with bench.models.making.going_on():
        assert forget(bench) is None
    town.model("a", 1.0)
    gone = forget(bench)
    assert gone is not None
    assert set(gone.blobs) == blobs(bench, made[1])


def test_nothing_goes_while_it_cannot_be_told_what_stays() -> None:
    town = Town(("a", "b"))
    bench = town.benches["a"]
    _, made = a_line(town, [1.0, 2.0, 3.0, 4.0])
    store, tree = town.stores["a"], made[-1].commit.tree
    store._objects[tree] = bytes(64)  # type: ignore[attr-defined]
    before = held(bench)
    with pytest.raises(Corrupt, match="damaged"):
        forget(bench)
    assert held(bench) == before


def test_portions_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    town = Town(("a", "b"))
    bench = town.benches["a"]
    _, made = a_line(town, [1.0, 2.0, 1.0, 3.0, 4.0, 5.0, 6.0])
    commits = forgettable_commits(bench, Retention(models=1), frozenset())
    (whole,) = portions(bench, commits)
    monkeypatch.setattr(forgetting, "MOST_COMMITS", 2)
    assert [portion.more for portion in portions(bench, commits)] == [True, True, False]
    first = forget(bench, 1)
    assert first is not None
    assert first.more
    assert not bench.models.complete & {e.digest for e in made[:-1]}, "a model is called complete that lost a blob"
    models = first.whole
    while (portion := forget(bench, 1)) and portion.commits:
        models += portion.whole
    assert models == whole.whole == 6
    assert not held(bench) & set(whole.blobs)
    assert not bench.models.half_forgotten


# ------------------------------------------------------------------------------------------------------- faults


class _Disk:
    """A site whose store lies on a disk that stops or fills up at the given call, with old and new models on it."""

    def __init__(self) -> None:
        files = SimulatedFiles(Random(7).randrange)
        self.town = Town(("a", "b"), stores={"a": FolderStore.create("/repository", files=files)})
        _, self.made = a_line(self.town, [1.0, 2.0, 1.0, 3.0, 4.0])
        self.before, bench = held(self.town.benches["a"]), self.town.benches["a"]
        self.going = blobs(bench, *self.made[:-KEEP])
        self.town.stores["a"].close()
        self.files = files

    def again(self) -> tuple[SimulatedFiles, Bench]:
        files = deepcopy(self.files)
        return files, self.opened(files)

    def opened(self, files: SimulatedFiles) -> Bench:
        self.town.stores = {**self.town.stores, "a": FolderStore.open("/repository", files=files)}
        return self.town.open("a")

    def check(self, bench: Bench) -> None:
        """Nothing is called complete that is not, and what is kept is complete."""
        for digest in bench.models.complete:
            assert bench.models.holds(bench.history[digest].commit.tree or digest), "a model is called complete"
        assert {entry.digest for entry in self.made[-KEEP:]} <= bench.models.complete


@pytest.fixture(scope="module")
def disk() -> _Disk:
    return _Disk()


def test_whoever_is_stopped_in_the_middle_goes_on_at_the_next_start(disk: _Disk) -> None:
    files, bench = disk.again()
    before = files.calls
    forget(bench)
    calls = files.calls - before
    assert held(bench) == disk.before - disk.going
    for at in range(1, calls + 1):
        for power in (False, True):
            files, bench = disk.again()
            files.fault = Fault(files.calls + at)
            with suppress(Crash):
                forget(bench)
            if power:
                files.power_cut()
            else:
                files.kill()
            bench = disk.opened(files)
            disk.check(bench)
            forget(bench)
            disk.check(bench)
            left = held(bench) & disk.going
            assert not left or (power and at == calls), f"stopped at call {at} of {calls}, blobs stay for ever"


def test_a_full_disk_gets_room(disk: _Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    files, bench = disk.again()
    append, unlink, freed = files.append, files.unlink, list[str]()

    def append_if_there_is_room(path: str, content: bytes, *, sync: bool) -> None:
        if not freed:
            raise OSError(errno.ENOSPC, "No space left on device", path)
        append(path, content, sync=sync)

    def unlink_and_note(path: str) -> None:
        unlink(path)
        freed.append(path)

    monkeypatch.setattr(files, "append", append_if_there_is_room)
    monkeypatch.setattr(files, "unlink", unlink_and_note)
    gone = forget(bench)
    assert gone is not None
    assert gone.blobs
    assert held(bench) == disk.before - disk.going
    files.kill()
    bench = disk.opened(files)
    disk.check(bench)
    assert bench.models.forgotten == set(gone.commits)


def test_a_failing_disk_is_told_of_and_loses_nothing(disk: _Disk) -> None:
    files, bench = disk.again()
    files.fault = Fault(files.calls + 1, errno.EIO, 5)
    with pytest.raises(Unreachable):
        forget(bench)
    files.fault = None
    disk.check(bench)
    forget(bench)
    assert held(bench) == disk.before - disk.going
