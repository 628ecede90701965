"""A store on a machine that stops, fills up or fails at every single call of a day's work."""

from __future__ import annotations

import errno
import random
from collections.abc import Callable

import pytest

from imagiq.errors import Corrupt, NotFound, Unreachable
from imagiq.objects import digest_of
from imagiq.store import FolderStore
from imagiq.testing.files import Fault, SimulatedFiles
from tests.store.world import ROOT, World

BLOBS = [bytes([number]) * 700 * number for number in range(4)]
COMMIT = b"a commit that names the blobs"


def day(world: World) -> list[Callable[[], None]]:
    """A small day's work, step by step."""
    return [
        world.begin,
        lambda: world.append([{"n": 1}], durable=False),
        lambda: world.add(BLOBS),
        lambda: world.add_commits([COMMIT]),
        lambda: world.append([{"n": 2, "long": "x" * 600}, {"n": 3}], durable=True),
        lambda: world.append([{"n": 4}], durable=False),
        lambda: world.sidecar(digest_of(COMMIT), b"first"),
        lambda: world.sidecar(digest_of(COMMIT), b"second" * 200),
        lambda: world.secret(b"k" * 32),
        world.close,
        lambda: world.add([*BLOBS, b"new"]),
        lambda: world.append([{"n": 5}], durable=True),
        lambda: world.rewrite([{"n": 2}, {"n": 5}]),
        lambda: world.append([{"n": 6}], durable=True),
        lambda: world.add_commits([b"second commit", COMMIT]),
        lambda: world.remove([digest_of(b"new")]),
        world.close,
    ]


def live_through(seed: int, fault: Fault | None, *, power: bool = True, then_power: bool = False) -> World:
    world = World(random.Random(seed).randrange)
    for step in day(world):
        waiting = fault if world.faults_met == 0 else None
        world.do(step, fault=waiting, power=power, again=not then_power)
        if then_power and waiting is not None and world.faults_met:
            world.restart(power=True)
            world.do(step)
    world.begin()
    world.compare()
    world.restart(power=True)
    world.close()
    return world


def calls_of_a_day() -> int:
    """Count; nothing is judged here, or a mistake in the store would keep these tests from being collected."""
    world = World(random.Random(0).randrange)
    for step in day(world):
        step()
    return world.files.calls


CALLS = calls_of_a_day()


def test_a_day_without_any_fault_loses_nothing() -> None:
    live_through(0, None)


def test_the_days_work_has_many_places_to_fail() -> None:
    assert CALLS > 120


@pytest.mark.parametrize("seed", range(6))
def test_a_power_cut_at_any_call_loses_nothing_acknowledged(seed: int) -> None:
    for at in range(1, CALLS):
        live_through(seed, Fault(at))


@pytest.mark.parametrize("seed", range(2))
def test_a_kill_at_any_call_and_a_power_cut_later_lose_nothing_that_was_visible_between(seed: int) -> None:
    for at in range(1, CALLS):
        live_through(seed, Fault(at), power=False)
        live_through(seed, Fault(at), power=False, then_power=True)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EROFS])
@pytest.mark.parametrize("calls", [1, 3, 10**6])
def test_a_failure_at_any_call_is_explained_and_the_store_goes_on_afterwards(number: int, calls: int) -> None:
    for at in range(1, CALLS):
        live_through(at, Fault(at, number, calls))


def filled() -> tuple[SimulatedFiles, FolderStore]:
    files = SimulatedFiles(random.Random(3).randrange)
    store = FolderStore.create(ROOT, files=files)
    store.add(BLOBS)
    store.add_commits([COMMIT])
    store.journal.append([{"n": 1}], durable=True)
    return files, store


@pytest.mark.parametrize(
    ("number", "code"),
    [(errno.ENOSPC, "disk-full"), (errno.EROFS, "folder-read-only"), (errno.EIO, "disk-error")],
)
def test_each_refusal_of_the_system_has_its_code_and_advice(number: int, code: str) -> None:
    files, store = filled()
    writes: list[Callable[[], object]] = [
        lambda: store.add([b"new"]),
        lambda: store.add_commits([b"new"]),
        lambda: store.journal.append([{}], durable=True),
        lambda: store.journal.rewrite([]),
        lambda: store.sidecar_write(digest_of(b""), "name", b"x"),
        lambda: store.secret_write("name", b"x"),
    ]
    for write in writes:
        files.fault = Fault(files.calls + 1, number, 10**6)
        with pytest.raises(Unreachable) as caught:
            write()
        assert caught.value.code == code
        assert caught.value.advice
        files.fault = None
        write()


def test_a_disk_that_does_not_give_an_object_is_not_a_missing_object() -> None:
    files, store = filled()
    for read in (store.read, store.size, store.has):
        files.fault = Fault(files.calls + 1, errno.EIO)
        with pytest.raises(Unreachable):
            read(digest_of(BLOBS[1]))
    for read_commit in (store.read_commit, store.has_commit):
        files.fault = Fault(files.calls + 1, errno.EIO)
        with pytest.raises(Unreachable):
            read_commit(digest_of(COMMIT))


def test_what_is_held_costs_no_write() -> None:
    files, store = filled()
    before = files.calls
    store.add(BLOBS)
    store.add_commits([COMMIT])
    assert files.calls - before == len(BLOBS) + 1, "one look at each"


def test_the_objects_of_one_call_share_one_sync_per_folder() -> None:
    files = SimulatedFiles(random.Random(3).randrange)
    store = FolderStore.create(ROOT, files=files)
    synced: list[str] = []
    plain = files.sync_folder

    def sync_folder(path: str) -> None:
        synced.append(path)
        plain(path)

    files.sync_folder = sync_folder  # type: ignore[method-assign]
    digests = store.add(str(number).encode() for number in range(1000))
    assert len(synced) == len(set(synced)) == len({digest[:2] for digest in digests}) + 1


def test_a_commit_whose_folder_could_not_be_synced_is_not_visible_before_it_is_durable() -> None:
    files, store = filled()

    def refuse(path: str) -> None:
        raise OSError(errno.EIO, "refused", path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "sync_folder", refuse)
        with pytest.raises(Unreachable):
            store.add_commits([b"unlucky"])
    digest = digest_of(b"unlucky")
    assert not store.has_commit(digest)
    assert list(store.commits()) == [COMMIT]
    with pytest.raises(NotFound):
        store.read_commit(digest)
    store.add_commits([b"unlucky"])
    assert store.has_commit(digest)
    files.power_cut()
    assert FolderStore.open(ROOT, files=files).has_commit(digest)


def test_an_object_whose_folder_could_not_be_synced_is_durable_before_the_next_commit_is() -> None:
    files, store = filled()
    unsynced(files, store, b"unlucky")
    assert store.has(digest_of(b"unlucky"))
    order: list[str] = []
    plain_sync, plain_rename = files.sync_folder, files.rename

    def sync_folder(path: str) -> None:
        order.append(path)
        plain_sync(path)

    def rename(old: str, new: str) -> None:
        order.append(new)
        plain_rename(old, new)

    files.sync_folder, files.rename = sync_folder, rename  # type: ignore[method-assign]
    store.add_commits([b"names the unlucky one"])
    kinds = [path.split("/")[2] for path in order]
    assert kinds.index("commits") > max(place for place, kind in enumerate(kinds) if kind == "objects")


def test_an_object_whose_folder_could_not_be_synced_is_durable_after_closing_and_adding_it_again() -> None:
    for seed in range(20):
        files, store = filled()
        unsynced(files, store, b"unlucky")
        store.close()
        store = FolderStore.open(ROOT, files=files)
        store.add([b"unlucky"])
        files._choose = random.Random(seed).randrange
        files.power_cut()
        assert FolderStore.open(ROOT, files=files).has(digest_of(b"unlucky"))


def test_records_behind_a_rewriting_that_was_not_synced_are_durable_with_it() -> None:
    for seed in range(20):
        files, store = filled()

        def refuse(path: str) -> None:
            raise OSError(errno.EIO, "refused", path)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(files, "sync_folder", refuse)
            with pytest.raises(Unreachable):
                store.journal.rewrite([{"n": 7}])
        store.journal.append([{"n": 8}], durable=True)
        files._choose = random.Random(seed).randrange
        files.power_cut()
        assert list(FolderStore.open(ROOT, files=files).journal.read()) == [{"n": 7}, {"n": 8}]


def unsynced(files: SimulatedFiles, store: FolderStore, content: bytes) -> None:
    """Add an object on a disk that syncs no folder."""

    def refuse(path: str) -> None:
        raise OSError(errno.EIO, "refused", path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "sync_folder", refuse)
        with pytest.raises(Unreachable):
            store.add([content])


def test_a_damaged_commit_is_reported_and_replaced_when_it_comes_again() -> None:
    files, store = filled()
    digest = digest_of(COMMIT)
    path = f"{ROOT}/commits/{digest[:2]}/{digest[2:]}"
    files.unlink(path)
    files.write(path, COMMIT[:-1] + b"?")
    with pytest.raises(Corrupt) as caught:
        store.read_commit(digest)
    assert caught.value.code == "commit-damaged"
    store.add_commits([COMMIT])
    assert store.read_commit(digest) == COMMIT
