"""The waiting room: bounded per source in number and in bytes, and as large again once somebody has left."""

from __future__ import annotations

import pytest

import imagiq.bench.bench as bench_module
from imagiq.bench import Admitted, Limits, Waiting
from imagiq.bench.admission import WaitingRoom
from imagiq.objects import Recipe
from tests.bench.town import Town


def chain(town: Town, length: int) -> list[bytes]:
    return [town.benches["b"].commit(Recipe("note", 1, {"n": number})).commit.raw for number in range(length)]


def test_the_place_of_who_has_left_is_free_again() -> None:
    town = Town(limits=Limits(waiting_commits=1))
    raws = chain(town, 20)
    taker = town.benches["a"]
    for first, second in zip(raws[::2], raws[1::2], strict=True):
        (waiting,) = taker.admit([second], "b")
        assert isinstance(waiting, Waiting)
        assert waiting.kept
        (admitted,) = taker.admit([first], "b")
        assert isinstance(admitted, Admitted)
        assert len(taker.waiting) == 0


@pytest.mark.parametrize("room_for", [1, 3, 7])
def test_bytes_are_counted_too(room_for: int) -> None:
    town = Town()
    commits = [town.benches["b"].checks.commit(raw) for raw in chain(town, 10)[1:]]
    room = WaitingRoom(Limits(waiting_bytes=room_for * max(len(commit.raw) for commit in commits)))
    kept = [room.enter(commit, frozenset({commit.previous or commit.digest}), "b") for commit in commits]
    assert kept == [True] * room_for + [False] * (len(commits) - room_for)
    assert room.enter(commits[-1], frozenset(), "c"), "limits are per source"
    room.leave(commits[0].digest)
    assert room.enter(commits[room_for], frozenset(), "b")


def test_what_waits_is_remembered_when_the_journal_is_made_shorter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_module, "STALE_RECORDS", 0)
    town = Town()
    raws = chain(town, 12)
    taker = town.benches["a"]
    taker.admit([raws[-1]], "b")  # waits for all that follow, and is never admitted here
    for second, first in zip(raws[1:-2:2], raws[:-2:2], strict=True):
        taker.admit([second], "b")
        taker.admit([first], "b")
    kinds = [record.get("kind") for record in taker.store.journal.read()]
    assert kinds.count("waiting") == 1, "records of what no longer waits are left out"
    assert [commit.raw for commit, _ in town.reopen("a").waiting.commits()] == [raws[-1]]
