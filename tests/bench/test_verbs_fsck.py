"""Fsck finds every damage, takes away what is damaged and nothing else, and builds the index again."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from imagiq.bench import Admitted
from imagiq.bench.fsck import Health, fsck
from imagiq.bench.index_state import INDEX, current_index
from imagiq.bench.repository import open_repository
from imagiq.errors import Conflict, Corrupt, NotFound
from imagiq.objects import Digest, digest_of
from imagiq.store import FolderStore
from tests.bench.repositories import Repositories, author


def commits_in(sites: Repositories, name: str) -> set[str]:
    return {p.parent.name + p.name for p in (sites[name] / ".imagiq" / "commits").rglob("*") if p.is_file()}


def spoil(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0x10
    file.chmod(0o600)
    file.write_bytes(content)


def test_a_whole_repository_has_no_problems_and_gets_its_index(sites: Repositories) -> None:
    found = fsck(sites["a"])
    assert found.problems == found.damages == 0
    assert found.commits == len(commits_in(sites, "a"))
    assert found.index == "built"
    with current_index(sites["a"] / ".imagiq") as index:
        assert index is not None


def test_fsck_builds_a_damaged_index_again(sites: Repositories) -> None:
    (sites["a"] / ".imagiq" / INDEX).write_bytes(b"garbage" * 1000)
    assert fsck(sites["a"]).index == "built"
    with current_index(sites["a"] / ".imagiq") as index:
        assert index is not None


@pytest.mark.parametrize("which", ["tree", "blob", "schema"])
def test_a_damaged_object_is_taken_away_and_fetched_again(sites: Repositories, which: str) -> None:
    bench = open_repository(sites["b"])
    tree = bench.models.tree(bench.history[sites.trained[0]].commit.tree or Digest(""))
    damaged = {"tree": tree.digest, "blob": tree.blobs[0], "schema": tree.schema}[which]
    spoil(sites.object("b", damaged))
    found = fsck(sites["b"])
    assert found.damaged_objects == (damaged,)
    assert sites.trained[0] in found.incomplete
    assert found.problems >= 2
    assert sites.object("b", damaged).exists(), "nothing was changed"

    repaired = fsck(sites["b"], repair=True)
    assert repaired.problems == 0
    assert not sites.object("b", damaged).exists()
    assert fsck(sites["b"]).problems == 0
    writer = sites.writable("b")
    commit = writer.history[sites.trained[0]].commit
    assert sites.trained[0] not in writer.models.complete
    source = open_repository(sites["a"])
    while wants := writer.models.lacking(commit):
        came = [want.met_by(source.store.read(want.digest)) for want in wants]
        assert all(came)
        writer.models.receive(filter(None, came))
    assert writer.settle(sites.trained[0])
    writer.store.close()
    assert fsck(sites["b"]).damages == 0


def test_a_model_whose_blob_went_is_not_complete_any_more(sites: Repositories) -> None:
    _, blobs = sites.tree_of("b", sites.trained[0])
    sites.object("b", blobs[0]).unlink()
    found = fsck(sites["b"])
    assert sites.trained[0] in found.incomplete
    assert fsck(sites["b"], repair=True).problems == 0
    assert sites.trained[0] not in open_repository(sites["b"]).models.complete


def test_a_damaged_commit_is_taken_away_and_comes_back_with_those_after_it(sites: Repositories) -> None:
    before = commits_in(sites, "b")
    good = sites.commit("b", sites.study).read_bytes()
    spoil(sites.commit("b", sites.study))
    found = fsck(sites["b"])
    assert set(found.damaged_commits) == {sites.study}
    assert {(m.what, m.digest) for m in found.missing} >= {("study", sites.study), ("parent", sites.study)}
    with pytest.raises(Corrupt):
        open_repository(sites["b"])

    repaired = fsck(sites["b"], repair=True)
    assert commits_in(sites, "b") == before - {sites.study}
    assert repaired.problems == len(repaired.missing) > 0, "what it was needed for is still missing"
    bench = sites.writable("b")
    assert sites.merge not in bench.history
    assert isinstance(bench.admit([good], "a")[0], Admitted)
    bench.store.close()
    assert sites.merge in open_repository(sites["b"]).history
    assert fsck(sites["b"]).problems == 0


def test_a_site_that_lost_a_commit_never_uses_its_number_again(sites: Repositories) -> None:
    """The last commit of the own feed is damaged: whoever goes on in that feed signs a second one of its number."""
    spoil(sites.commit("b", sites.attest))
    repaired = fsck(sites["b"], repair=True)
    assert repaired.new_feed
    bench = sites.writable("b")
    assert bench.author is not None
    assert bench.author.feed.public != author("b").feed.public
    assert bench.author.site.public == author("b").site.public
    bench.store.close()


def test_a_repair_without_lost_commits_keeps_the_feed(sites: Repositories) -> None:
    spoil(sites.object("b", sites.tree_of("b", sites.merge)[0]))
    assert not fsck(sites["b"], repair=True).new_feed
    assert open_repository(sites["b"]).store.secret_read("feed") == author("b").feed.seed


def test_a_forged_commit_is_taken_away(sites: Repositories) -> None:
    raw = bytearray(sites.commit("a", sites.merge).read_bytes())
    raw[5] ^= 1
    file = sites.commit("a", digest_of(raw))
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(raw)
    found = fsck(sites["a"])
    assert "signature-wrong" in found.damaged_commits[digest_of(raw)]
    assert fsck(sites["a"], repair=True).problems == 0
    assert not file.exists()


def test_a_commit_of_a_later_format_is_reported_and_kept(sites: Repositories) -> None:
    raw = sites.commit("a", sites.merge).read_bytes().replace(b'"format":1', b'"format":2')
    file = sites.commit("a", digest_of(raw))
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(raw)
    found = fsck(sites["a"], repair=True)
    assert "format-version" in found.unreadable[digest_of(raw)]
    assert found.problems == 1
    assert file.exists()


def test_a_journal_damaged_in_the_middle_is_mended_from_what_is_whole(sites: Repositories) -> None:
    journal = sites["a"] / ".imagiq" / "journal"
    records = len(list(open_repository(sites["a"]).store.journal.read()))
    content = bytearray(journal.read_bytes())
    content[30] ^= 0xFF
    journal.write_bytes(content)
    with pytest.raises(Corrupt) as caught:
        open_repository(sites["a"])
    assert caught.value.code == "journal-damaged"
    found = fsck(sites["a"])
    assert found.journal_damaged
    assert found.records == records - 1
    repaired = fsck(sites["a"], repair=True)
    assert repaired.problems == 0
    assert not fsck(sites["a"]).journal_damaged
    assert len(open_repository(sites["a"]).history) == found.commits


def test_leftovers_are_counted_and_gone_after_a_repair(sites: Repositories) -> None:
    (sites["a"] / ".imagiq" / "tmp" / "17").write_bytes(b"half")
    assert fsck(sites["a"]).leftovers == 1
    fsck(sites["a"], repair=True)
    assert fsck(sites["a"]).leftovers == 0


def test_a_lost_charter_is_missing(sites: Repositories) -> None:
    founding = open_repository(sites["a"]).founding.digest
    sites.object("a", founding).unlink()
    found = fsck(sites["a"])
    assert {m.what for m in found.missing} == {"charter"}
    assert found.index != "built"


def test_a_repository_that_somebody_has_open_is_looked_at_and_not_repaired(sites: Repositories) -> None:
    holder = FolderStore.open(sites["a"] / ".imagiq")
    found = fsck(sites["a"])
    assert found.problems == 0
    assert "open" in found.index
    with pytest.raises(Conflict):
        fsck(sites["a"], repair=True)
    holder.close()


def test_fsck_needs_a_repository(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        fsck(tmp_path)


def test_every_damage_at_once_loses_no_good_commit(sites: Repositories) -> None:
    victims = [sites.study, sites.attest]
    for commit in victims:
        spoil(sites.commit("b", commit))
    for file in list((sites["b"] / ".imagiq" / "objects").rglob("*")):
        if file.is_file() and file.stat().st_size < 500:
            spoil(file)
    (sites["b"] / ".imagiq" / "journal").write_bytes(b"\x00" * 40 + (sites["b"] / ".imagiq" / "journal").read_bytes())
    before = commits_in(sites, "b")
    first = fsck(sites["b"], repair=True)
    assert isinstance(first, Health)
    assert commits_in(sites, "b") == before - set(victims)
    again = fsck(sites["b"], repair=True)
    assert (again.damaged_objects, again.damaged_commits, again.journal_damaged) == ((), {}, False)
    for commit in victims:
        shutil.copy(sites.commit("a", commit), sites.commit("b", commit))
    assert fsck(sites["b"]).damaged_commits == {}
    assert len(open_repository(sites["b"]).history) == len(before)
