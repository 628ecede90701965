"""A restored store, a copied store: no number is used twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from imagiq.errors import Corrupt, Refused, Unreachable
from imagiq.exchange import Ask, BenchPeer
from imagiq.federation import Continue, OpenFeed, ReadOnly, Wait
from imagiq.objects import Digest, digest_of
from imagiq.site import FileMark, MemoryMark, Planned, Site
from tests.bench.town import Town, backup_of, feed_key
from tests.site.plain import site_in


class Scene:
    """Site a has published two steps to b; its store is put back to the state after the first."""

    def __init__(self) -> None:
        self.town = Town(names=("a", "b"))
        self.study = self.town.study("a", steps=5)
        self.mark = MemoryMark()
        self.mark.write((self.study.commit.feed, self.study.commit.number, self.study.digest))
        site = self.site()
        site.start([])
        self.step(site)
        backup = backup_of(self.town.stores["a"])
        self.lost = self.step(site)
        self.other = site_in(self.town, "b")
        self.other.sync(BenchPeer("a", site.bench))
        self.town.stores = {**self.town.stores, "a": backup}
        self.town.reopen("a")

    def site(self) -> Site:
        return site_in(self.town, "a", mark=self.mark)

    def step(self, site: Site) -> Digest:
        planned = site.plan()
        assert isinstance(planned, Planned)
        site.begin(planned)
        entry = site.finish(planned)
        assert entry is not None
        return entry.digest


def test_a_restored_store_writes_nothing_while_nobody_answers() -> None:
    scene = Scene()
    site = scene.site()
    assert isinstance(site.start([]), ReadOnly)
    waiting = site.plan()
    assert isinstance(waiting, Wait)
    assert "older" in waiting.why
    with pytest.raises(Refused) as caught:
        site.vote(scene.town.founding)
    assert caught.value.code == "site-read-only"


def test_a_restored_store_goes_on_in_a_new_feed_once_somebody_answers() -> None:
    scene = Scene()
    site = scene.site()
    site.start([])
    site.sync(BenchPeer("b", scene.other.bench))
    assert scene.lost in site.bench.history
    again = scene.step(site)
    entry = site.bench.history[again]
    assert entry.commit.feed == feed_key("a2").public
    assert entry.certificate == 2
    assert entry.commit.recipe.parameters["step"] == 3
    assert not site.bench.history.forks


def test_what_a_line_brought_before_it_broke_was_lost_all_the_same() -> None:
    scene = Scene()
    site = scene.site()
    site.start([])
    site.bench.admit(BenchPeer("b", scene.other.bench).commits(Ask(scene.lost, frozenset())), "b")
    assert scene.lost in site.bench.history
    assert isinstance(site.start([BenchPeer("b", scene.other.bench)]), OpenFeed)


def test_the_key_of_a_new_feed_is_kept() -> None:
    scene = Scene()
    site = scene.site()
    assert isinstance(site.start([BenchPeer("b", scene.other.bench)]), OpenFeed)
    assert site.bench.author is not None
    assert site.bench.store.secret_read("feed") == site.bench.author.feed.seed
    assert site.bench.author.feed.public == feed_key("a2").public


def test_a_restored_store_learns_at_once_from_who_answers() -> None:
    scene = Scene()
    assert isinstance(scene.site().start([BenchPeer("b", scene.other.bench)]), OpenFeed)


def test_a_store_that_lost_nothing_goes_on_in_its_feed() -> None:
    town = Town(names=("a", "b"))
    mark = MemoryMark()
    feed = feed_key("a").public
    mark.write((feed, 0, Digest(feed)))
    site = site_in(town, "a", mark=mark)
    assert isinstance(site.start([]), Continue)
    site.vote(town.founding)
    town.reopen("a")
    assert isinstance(site_in(town, "a", mark=mark).start([]), Continue)


def test_a_mark_outlives_its_process(tmp_path: Path) -> None:
    mark = FileMark(tmp_path / "mark")
    assert mark.read() is None
    head = (feed_key("a").public, 7, digest_of(b"x"))
    mark.write(head)
    mark.write(head)
    assert FileMark(tmp_path / "mark").read() == head


def test_a_damaged_mark_is_an_error_with_advice(tmp_path: Path) -> None:
    (tmp_path / "mark").write_text("what?")
    with pytest.raises(Corrupt) as caught:
        FileMark(tmp_path / "mark").read()
    assert caught.value.code == "mark-form"


def test_a_mark_of_bytes_that_are_no_text_is_damaged_and_one_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    (tmp_path / "mark").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(Corrupt) as caught:
        FileMark(tmp_path / "mark").read()
    assert caught.value.code == "mark-form"
    (tmp_path / "folder").mkdir()
    with pytest.raises(Unreachable) as unreadable:
        FileMark(tmp_path / "folder").read()
    assert unreadable.value.code == "mark-unreadable"


def test_a_marks_folder_that_somebody_removes_is_made_again_and_never_a_home_that_is_away(tmp_path: Path) -> None:
    head = (feed_key("a").public, 7, digest_of(b"x"))
    (tmp_path / "home").mkdir()
    mark = FileMark(tmp_path / "home" / "marks" / "mark")
    mark.write(head)
    assert mark.read() == head
    (tmp_path / "home").rename(tmp_path / "away")
    with pytest.raises(Unreachable):
        mark.write(head)
    assert not (tmp_path / "home").exists()


class FullMark(MemoryMark):
    """A mark whose disk takes nothing for a while."""

    is_full = False

    def write(self, mark: tuple[str, int, Digest]) -> None:
        if self.is_full:
            raise Unreachable("mark-unwritable", "The high-water mark cannot be written.", "Make room.")
        super().write(mark)


def test_a_commit_whose_mark_is_not_written_is_the_last_one_until_it_is() -> None:
    town = Town(names=("a", "b"))
    mark = FullMark()
    site = site_in(town, "a", mark=mark)
    mark.is_full = True
    with pytest.raises(Unreachable):
        site.vote(town.founding)
    written = len(site.bench.history)
    for _ in range(3):
        with pytest.raises(Unreachable):
            site.plan()
    assert len(site.bench.history) == written
    mark.is_full = False
    site.plan()
    (head,) = site.bench.history.heads[feed_key("a").public]
    assert mark.read() == (feed_key("a").public, 2, head)


def test_the_mark_names_the_last_commit_written() -> None:
    town = Town(names=("a", "b"))
    mark = MemoryMark()
    site = site_in(town, "a", mark=mark)
    site.vote(town.founding)
    head = next(iter(site.bench.history.heads[feed_key("a").public]))
    assert mark.read() == (feed_key("a").public, 2, head)
