"""The log, from the index and from the store; the index, kept up whatever happens."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from imagiq.bench.catalogue import rebuild, row_of
from imagiq.bench.index_state import INDEX, current_index
from imagiq.bench.log import Log, log, log_at
from imagiq.bench.repository import open_repository
from imagiq.errors import ImagiqError, Misuse, NotFound
from imagiq.objects import Digest, Recipe
from imagiq.store import FolderStore, Index
from tests.bench.repositories import Repositories, trained_again


def index_of(sites: Repositories, name: str) -> Path:
    return sites[name] / ".imagiq" / INDEX


def is_current(sites: Repositories, name: str) -> bool:
    with current_index(sites[name] / ".imagiq") as found:
        return found is not None


def from_store(sites: Repositories, name: str) -> Log:
    return log(open_repository(sites[name]))


def test_the_newest_come_first_and_each_says_what_it_is(sites: Repositories) -> None:
    found = from_store(sites, "a")
    entries = {entry.digest: entry for entry in found.entries}
    assert found.entries[0].digest == sites.attest
    places = {entry.digest: place for place, entry in enumerate(found.entries)}
    assert all(places[entry.digest] < places[parent] for entry in found.entries for _, parent in entry.parents)
    merge = entries[sites.merge]
    assert (merge.site, merge.recipe, merge.study_title, merge.state) == ("a", "merge", "local", "sound")
    assert merge.has_model
    assert not entries[sites.attest].has_model
    assert entries[sites.study].study == sites.study
    assert not found.more


def test_the_first_log_builds_the_index_and_the_next_reads_the_same_from_it(sites: Repositories) -> None:
    assert not is_current(sites, "a")
    first = log_at(sites["a"])
    assert is_current(sites, "a")
    sites.commit("a", sites.study).rename(sites["a"] / "elsewhere")  # now the store cannot be read whole
    (sites["a"] / ".imagiq" / "commits" / sites.study[:2] / ("0" * 62)).touch()  # and still has as many files
    second = log_at(sites["a"], limit=3)
    assert second.entries == first.entries[:3]
    assert second.more


def test_limits_studies_and_sites_give_the_same_with_and_without_index(sites: Repositories) -> None:
    bench = open_repository(sites["a"])
    log_at(sites["a"])
    for limit in (1, 2, 100):
        for study in (None, "local", sites.study[:8]):
            for site in (None, "a", "b"):
                assert log_at(sites["a"], limit=limit, study=study, site=site) == log(
                    bench, limit=limit, study=study, site=site
                )
    assert {entry.site for entry in log_at(sites["a"], site="b").entries} == {"b"}


@pytest.mark.parametrize("with_index", [True, False])
def test_what_is_not_there_is_said_with_what_is(sites: Repositories, *, with_index: bool) -> None:
    if with_index:
        log_at(sites["a"])
    with pytest.raises(NotFound, match="No study here is called 'lokal'") as caught:
        log_at(sites["a"], study="lokal")
    assert caught.value.advice == "Do you mean local?"
    with pytest.raises(NotFound, match="No site here is called 'zebra'") as caught:
        log_at(sites["a"], site="zebra")
    assert "a, b, c" in caught.value.advice
    with pytest.raises(Misuse):
        log_at(sites["a"], limit=0)


def test_an_index_that_is_damaged_foreign_or_old_is_not_believed(sites: Repositories) -> None:
    expected = log_at(sites["a"])
    for content in (b"", b"not SQLite" * 1000):
        index_of(sites, "a").write_bytes(content)
        assert log_at(sites["a"]) == expected
        assert is_current(sites, "a"), "it was built again"
    with Index.open(index_of(sites, "a")) as index:
        for marker in ("", "no JSON", "[]", '{"commits": 1}', '{"commits": 3, "studies": [], "sites": []}'):
            index.set_marker(marker)
            assert not is_current(sites, "a")


def test_who_may_not_write_reads_the_log_without_an_index(sites: Repositories) -> None:
    holder = FolderStore.open(sites["a"] / ".imagiq")
    assert log_at(sites["a"]) == from_store(sites, "a")
    assert not index_of(sites, "a").exists()
    holder.close()


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="whoever may do all is not kept from writing")
def test_an_index_in_a_read_only_folder_is_read(sites: Repositories) -> None:
    expected = log_at(sites["a"])
    folder = sites["a"] / ".imagiq"
    folder.chmod(0o500)
    try:
        assert log_at(sites["a"]) == expected
    finally:
        folder.chmod(0o700)


def test_the_index_follows_every_commit_of_who_writes(sites: Repositories) -> None:
    bench = sites.writable("b")
    assert is_current(sites, "b")
    for step in range(2, 5):
        entry = bench.commit(Recipe("note", 1, {"step": step}), study=sites.study)
        assert is_current(sites, "b")
        assert log_at(sites["b"]).entries[0].digest == entry.digest
    expected = log(bench)
    bench.store.close()
    assert log_at(sites["b"]) == expected


def test_states_that_change_are_changed_in_the_index(sites: Repositories) -> None:
    _, raw = trained_again(sites)
    bench = sites.writable("c")
    assert {entry.state for entry in log_at(sites["c"]).entries} == {"sound"}
    bench.admit([raw], "b")
    states = {entry.digest: entry.state for entry in log_at(sites["c"]).entries}
    assert is_current(sites, "c")
    assert states[sites.trained[1]] == "contested"
    assert states[sites.merge] == "tainted"
    bench.store.close()


def test_commits_that_an_index_missed_make_it_count_for_nothing(sites: Repositories) -> None:
    log_at(sites["a"])
    bench = sites.writable("a")
    before = index_of(sites, "a").read_bytes()
    entry = bench.commit(Recipe("note", 1))
    bench.store.close()
    del bench
    for name in (INDEX, f"{INDEX}-wal", f"{INDEX}-shm"):
        (sites["a"] / ".imagiq" / name).unlink(missing_ok=True)
    index_of(sites, "a").write_bytes(before)  # as if the process had been killed before it wrote the index
    assert log_at(sites["a"]).entries[0].digest == entry.digest


def test_a_failing_index_stops_nobody_from_committing(sites: Repositories, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = sites.writable("a")

    def fail(*_: object) -> None:
        raise ImagiqErrorOfTheDisk

    monkeypatch.setattr(Index, "upsert", fail)
    entry = bench.commit(Recipe("note", 1))
    monkeypatch.undo()
    bench.store.close()
    assert not is_current(sites, "a")
    assert log_at(sites["a"]).entries[0].digest == entry.digest


class ImagiqErrorOfTheDisk(ImagiqError):
    def __init__(self) -> None:
        super().__init__("disk-full", "The disk is full.", "Free some space.")


def test_an_index_of_other_commits_is_emptied(sites: Repositories) -> None:
    root = sites["a"] / ".imagiq"
    bench = open_repository(sites["a"])
    row = row_of(next(iter(bench.history)), bench.standing)
    with Index.open(root / INDEX) as index:
        index.upsert([row, type(row)(**{**{f: getattr(row, f) for f in row.__slots__}, "digest": Digest("0" * 64)})])
    with FolderStore.open(root):
        assert rebuild(root, bench)
    assert len(log_at(sites["a"], limit=1000).entries) == len(bench.history)
