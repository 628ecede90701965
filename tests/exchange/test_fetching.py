"""Fetching from several holders: what one lacks others bring, and an author sends a model about once."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pytest

from imagiq.bench import Want
from imagiq.errors import Unreachable
from imagiq.exchange import BenchPeer, Fetched, FolderRemote, PatientRemote, Remote, fetch_model, fetching
from imagiq.exchange.remote import Listed
from imagiq.history import Entry
from imagiq.objects import Digest
from imagiq.testing.bad_remotes import BadRemote, Faults
from imagiq.testing.remotes import RemoteContract
from tests.bench.town import Town
from tests.exchange.mesh import Mesh, study_of

PIECES = 40


class Holder(BenchPeer):
    """Someone who has some of it, may lie, be slow, or be cut off."""

    def __init__(
        self,
        town: Town,
        *,
        has: Iterable[int] = range(PIECES),
        lies: bool = False,
        slow_s: float = 0.0,
        cut_after: int | None = None,
    ) -> None:
        super().__init__("holder", town.benches["a"])
        self._has = set(has)
        self._blobs: dict[Digest, int] = {}
        self._lies = lies
        self._slow_s = slow_s
        self._left = cut_after
        self.asked: list[Digest] = []

    def of(self, town: Town, study: Entry) -> Holder:
        assert study.commit.tree is not None
        blobs = town.benches["a"].models.tree(study.commit.tree).blobs
        self._blobs = {blob: number for number, blob in enumerate(blobs)}
        return self

    def fetch(self, digest: Digest, limit: int) -> bytes | None:
        if self._left is not None:
            self._left -= 1
            if self._left < 0:
                raise Unreachable("remote-away", "Cut.", "Wait.")
        self.asked.append(digest)
        if digest not in self._blobs:
            return super().fetch(digest, limit)
        time.sleep(self._slow_s)
        found = super().fetch(digest, limit) if self._blobs[digest] in self._has else None
        return found and (b"\0" * len(found) if self._lies else found)


@pytest.fixture
def town() -> Town:
    return Town()


@pytest.fixture
def study(town: Town) -> Entry:
    entry = study_of(town, "a", tensors=PIECES, tensor_bytes=2**16)
    town.benches["b"].admit([entry.commit.raw], "a")
    return entry


def receive(town: Town, study: Entry, *holders: Holder) -> bool:
    peers = [holder.of(town, study) for holder in holders]
    return fetch_model(town.benches["b"], study.digest, peers)


def test_what_one_holder_lacks_another_brings(town: Town, study: Entry) -> None:
    even, odd = Holder(town, has=range(0, PIECES, 2)), Holder(town, has=range(1, PIECES, 2))
    assert receive(town, study, even, odd)


def test_garbage_of_one_holder_counts_as_missing(town: Town, study: Entry) -> None:
    assert receive(town, study, Holder(town, lies=True), Holder(town))


def test_a_holder_that_is_slow_holds_nobody_up(town: Town, study: Entry) -> None:
    slow, quick = Holder(town, slow_s=2.0), Holder(town)
    before_s = time.monotonic()
    assert receive(town, study, slow, quick)
    assert time.monotonic() - before_s < 1.9 + fetching.TICK_S * 3


def test_a_holder_that_is_cut_off_leaves_its_part_to_the_others(town: Town, study: Entry) -> None:
    assert receive(town, study, Holder(town, cut_after=6), Holder(town))


def test_what_nobody_has_ends_the_search_and_what_came_is_kept(town: Town, study: Entry) -> None:
    part = [Holder(town, has=range(10)), Holder(town, has=range(5, 30))]
    assert not receive(town, study, *part)
    assert len(town.benches["b"].models.lacking(study.commit)) == PIECES - 30


def test_when_all_holders_are_cut_off_what_came_is_kept_and_not_asked_for_again(town: Town, study: Entry) -> None:
    with pytest.raises(Unreachable):
        receive(town, study, Holder(town, cut_after=12), Holder(town, cut_after=9))
    lacking = {want.digest for want in town.benches["b"].models.lacking(study.commit)}
    assert PIECES - 21 <= len(lacking) < PIECES
    rest = Holder(town), Holder(town)
    assert receive(town, study, *rest)
    asked = [digest for holder in rest for digest in holder.asked]
    assert set(asked) == lacking
    assert len(asked) == len(lacking), "no piece is asked of two while both answer"


def test_a_line_that_breaks_keeps_what_came_before(town: Town, study: Entry) -> None:
    with pytest.raises(Unreachable):
        receive(town, study, Holder(town, cut_after=12))
    assert len(town.benches["b"].models.lacking(study.commit)) == PIECES - 10  # a tree and a schema came, too


def test_progress_is_told_as_pieces_are_kept(town: Town, study: Entry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "AT_ONCE_BYTES", 4 * 2**16)
    told: list[Fetched] = []
    kept: list[Digest] = []

    def keep(pieces: Sequence[Digest]) -> None:
        assert all(map(town.benches["b"].store.has, pieces))
        kept.extend(pieces)

    holder = Holder(town).of(town, study)
    assert fetch_model(town.benches["b"], study.digest, [holder], progress=told.append, kept=keep)
    assert told == [Fetched(done * 2**18, PIECES * 2**16) for done in range(11)]
    assert len(kept) == len(set(kept)) == PIECES + 2


class Fast(Holder):
    """Someone who brings more than can be kept at once."""

    def fetch_many(self, wants: Iterable[Want], *, again: bool = False) -> Iterator[tuple[Want, bytes | None]]:
        del again
        return ((want, self.fetch(want.digest, want.limit)) for want in wants)


def test_little_is_held_in_memory_however_fast_holders_are(
    town: Town, study: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "AT_ONCE_BYTES", 4 * 2**16)
    holders = [Fast(town).of(town, study), Fast(town).of(town, study)]
    ahead: list[int] = []
    kept = 0

    def keep(pieces: Sequence[Digest]) -> None:
        nonlocal kept
        kept += len(pieces)
        time.sleep(0.01)
        ahead.append(sum(len(holder.asked) for holder in holders) - kept)

    assert fetch_model(town.benches["b"], study.digest, holders, kept=keep)
    assert max(ahead) <= 5 + 2 * fetching.PORTION


@pytest.mark.process
def test_a_model_leaves_its_author_about_once_where_receivers_serve_each_other(tmp_path: Path) -> None:
    mesh = Mesh(tmp_path)
    study = study_of(mesh.ward.town, "author", tensors=64, tensor_bytes=2**18)
    with mesh.listening():
        for name in mesh.names:
            mesh.publish(name)
        size = 64 * 2**18
        assert size <= mesh.receive_all(study) < 1.5 * size


@pytest.mark.process
def test_a_receiver_whose_rivals_bring_nothing_fetches_all_from_the_author(tmp_path: Path) -> None:
    mesh = Mesh(tmp_path)
    study = study_of(mesh.ward.town, "author", tensors=32, tensor_bytes=2**16)
    with mesh.listening():
        for name in mesh.names:
            mesh.publish(name)
        assert mesh.receive("b", study) >= 32 * 2**16


# ---------------------------------------------------------------------------------------------------- patience


class Draws:
    """Draws that can be looked at, and pauses that take no time."""

    def __init__(self) -> None:
        self.pauses_s: list[float] = []

    def draw(self) -> float:
        return len(self.pauses_s) % 3 / 3

    def pause(self, seconds: float) -> None:
        self.pauses_s.append(seconds)


class TestPatientRemote(RemoteContract):
    """A patient remote over one that is away at every third call keeps the contract as if it were not."""

    @pytest.fixture
    def remote(self, tmp_path: Path) -> Iterator[Remote]:
        calls = iter(range(10**6))
        away = BadRemote(
            FolderRemote(tmp_path, sync=False), lambda _: 0 if next(calls) % 3 == 1 else 99, Faults(away=1)
        )
        draws = Draws()
        remote = PatientRemote(away, draws.draw, pause=draws.pause)
        yield remote
        remote.close()


def patient(remote: Remote, draws: Draws) -> PatientRemote:
    return PatientRemote(remote, draws.draw, pause=draws.pause)


def test_pauses_grow_and_differ_and_end(tmp_path: Path) -> None:
    draws = Draws()
    away = patient(BadRemote(FolderRemote(tmp_path), lambda _: 0, Faults(away=1)), draws)
    with pytest.raises(Unreachable):
        away.news([])
    assert draws.pauses_s == pytest.approx([0.2, 0.8 * 5 / 6, 1.6 * 7 / 6])


def test_a_remote_that_is_full_is_not_hammered(tmp_path: Path) -> None:
    draws = Draws()
    full = BadRemote(FolderRemote(tmp_path), lambda _: 0, Faults(full=1))
    with pytest.raises(Unreachable):
        patient(full, draws).put_if_absent(f"{'0' * 64}/blobs/{'0' * 64}", b"x")
    assert (draws.pauses_s, full.calls) == ([], 1)


def test_a_listing_that_is_cut_goes_on_behind_its_last_name(tmp_path: Path) -> None:
    class Cut(FolderRemote):
        cuts = 2

        def list(self, folder: str, *, after: str = "") -> Iterator[Listed]:
            for count, listed in enumerate(super().list(folder, after=after)):
                if self.cuts and count == 2:
                    self.cuts -= 1
                    raise Unreachable("remote-away", "Cut.", "Wait.")
                yield listed

    remote = Cut(tmp_path, sync=False)
    names = [f"{n:064x}" for n in range(7)]
    for name in names:
        remote.put_if_absent(f"{'0' * 64}/blobs/{name}", b"x")
    assert [listed.name for listed in patient(remote, Draws()).list(f"{'0' * 64}/blobs")] == names


def test_closing_ends_waiting_and_asking(tmp_path: Path) -> None:
    away = BadRemote(FolderRemote(tmp_path), lambda _: 0, Faults(away=1))
    remote = PatientRemote(away, lambda: 0.5)
    remote.close()
    with pytest.raises(Unreachable):
        remote.news([])
    assert away.calls == 1
