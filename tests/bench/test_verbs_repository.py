"""Making, finding and opening repositories."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import imagiq
from imagiq.bench.place import find
from imagiq.bench.repository import create, open_repository
from imagiq.clock import VirtualClock
from imagiq.errors import Conflict, Corrupt, ImagiqError, Misuse, NotFound, Unreachable
from imagiq.federation import vote_recipe
from imagiq.keys import FeedKey, SiteKey
from imagiq.store import FolderStore
from tests.bench.repositories import Repositories
from tests.bench.town import feed_key, founding_charter, site_key


def code_of(caught: pytest.ExceptionInfo[ImagiqError]) -> str:
    assert caught.value.advice
    return caught.value.code


def test_a_repository_is_made_written_and_opened_again_with_its_keys(tmp_path: Path) -> None:
    founding = founding_charter(["a"])
    path = tmp_path / "new" / "site"
    bench = create(path, founding, site_key=site_key("a"), feed_key=feed_key("a"), clock=VirtualClock())
    vote = bench.commit(vote_recipe(founding.digest, 1), charter=founding.digest)
    bench.store.close()
    again = open_repository(path, read_only=False)
    assert again.author is not None
    assert again.author.feed.public == feed_key("a").public
    assert vote.digest in again.history
    again.store.close()
    assert open_repository(path).author is None


def test_a_repository_is_found_from_any_folder_in_it(sites: Repositories) -> None:
    deep = sites["a"] / "x" / "y"
    deep.mkdir(parents=True)
    assert find(deep) == sites["a"]
    assert find(sites["a"]) == sites["a"]


def test_outside_a_repository_one_is_told_what_to_do(tmp_path: Path) -> None:
    for look in (find, open_repository, imagiq.open):
        with pytest.raises(NotFound) as caught:
            look(tmp_path)
        assert code_of(caught) == "repository-missing"
        assert "imagiq demo" in caught.value.advice
    with pytest.raises(NotFound) as caught:
        find(tmp_path / "nowhere")
    assert code_of(caught) == "folder-missing"


def test_a_folder_called_like_a_repository_is_none(tmp_path: Path) -> None:
    (tmp_path / ".imagiq").mkdir()
    with pytest.raises(NotFound):
        find(tmp_path)


def test_a_repository_is_not_made_twice(sites: Repositories) -> None:
    with pytest.raises(Conflict):
        create(
            sites["a"], founding_charter(["a"]), site_key=SiteKey.new(), feed_key=FeedKey.new(), clock=VirtualClock()
        )


def test_one_at_a_time_writes_and_anybody_reads(sites: Repositories) -> None:
    first = sites.writable("a")
    with pytest.raises(Conflict) as caught:
        sites.writable("a")
    assert "store-locked" in caught.value.code
    assert len(open_repository(sites["a"]).history) == len(first.history)
    first.store.close()


def test_reading_writes_nothing(sites: Repositories) -> None:
    def content() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in sites["c"].rglob("*") if path.is_file()}

    before = content()
    open_repository(sites["c"])
    assert content() == before
    with pytest.raises(Misuse):
        open_repository(sites["c"]).commit(vote_recipe(founding_charter(["a"]).digest, 1))


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="whoever may do all is not kept from writing")
def test_a_read_only_folder_is_read_and_not_written(sites: Repositories) -> None:
    store = sites["a"] / ".imagiq"
    store.chmod(0o500)
    try:
        assert open_repository(sites["a"]).history
        with pytest.raises(Unreachable):
            open_repository(sites["a"], read_only=False)
    finally:
        store.chmod(0o700)


def test_a_copy_without_keys_writes_no_commit(sites: Repositories) -> None:
    for name in ("site", "feed"):
        (sites["a"] / ".imagiq" / "secrets" / name).unlink()
    bench = sites.writable("a")
    assert bench.author is None
    with pytest.raises(Misuse, match="no keys"):
        bench.commit(vote_recipe(bench.founding.digest, 1))
    bench.store.close()


def test_a_damaged_key_is_not_used(sites: Repositories) -> None:
    (sites["a"] / ".imagiq" / "secrets" / "feed").write_bytes(b"short")
    with pytest.raises(Corrupt) as caught:
        sites.writable("a")
    assert code_of(caught) == "key-damaged"
    FolderStore.open(sites["a"] / ".imagiq").close()  # the lock was let go


def test_a_damaged_commit_says_which_repository_and_what_to_run(sites: Repositories) -> None:
    file = sites.commit("a", sites.merge)
    file.write_bytes(file.read_bytes()[:-1] + b"]")
    for read_only in (True, False):
        with pytest.raises(Corrupt) as caught:
            open_repository(sites["a"], read_only=read_only)
        assert code_of(caught) == "repository-damaged"
        assert str(sites["a"]) in caught.value.what
        assert "imagiq fsck" in caught.value.advice


def test_a_lost_founding_charter_says_what_to_copy(sites: Repositories) -> None:
    founding = open_repository(sites["a"]).founding.digest
    sites.object("a", founding).write_bytes(b"{}")
    with pytest.raises(Corrupt) as caught:
        open_repository(sites["a"])
    assert code_of(caught) == "founding-missing"
    assert founding[2:] in caught.value.advice
    sites.object("a", founding).write_bytes(sites.object("b", founding).read_bytes())
    assert open_repository(sites["a"]).history


def test_the_federation_is_known_without_the_journal(sites: Repositories) -> None:
    (sites["a"] / ".imagiq" / "journal").write_bytes(b"")
    assert open_repository(sites["a"]).founding == open_repository(sites["b"]).founding


def test_what_was_cut_off_while_it_was_made_is_no_repository_of_any_federation(tmp_path: Path) -> None:
    FolderStore.create(tmp_path / ".imagiq").close()
    with pytest.raises(Corrupt) as caught:
        open_repository(tmp_path)
    assert code_of(caught) == "repository-empty"


def test_python_has_the_verbs_of_the_command_line(sites: Repositories, tmp_path: Path) -> None:
    with imagiq.open(sites["a"]) as bench:
        newest = bench.log(limit=1).entries[0]
        assert bench.show(newest.digest).commit.digest == newest.digest
        assert bench.diff(sites.trained[0], sites.trained[1]).models == "compared"
        assert bench.verify().problems == 0
        assert bench.fsck().problems == 0
        assert bench.checkout(sites.merge, tmp_path / "out").model.exists()
        weights = bench.weights(sites.merge)
        assert weights["weight"].shape == (2, 3)
        assert float(weights["weight"][0, 0]) == 2.5
    with imagiq.open(sites["a"], read_only=False) as bench:
        name = bench.import_model(tmp_path / "out" / f"{sites.merge[:12]}.safetensors")
        assert name in {entry.digest for entry in bench.log().entries}
