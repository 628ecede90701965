"""Remotes that are away, stale, forgetful, full or lying delay; they never harm."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagiq.errors import Unreachable
from imagiq.exchange import FolderRemote, Publisher
from imagiq.exchange.remote import entry_name
from imagiq.objects import Digest, Recipe
from imagiq.testing.bad_remotes import BadRemote, Faults
from tests.bench.town import Town
from tests.exchange.ward import Ward

RATES = st.sampled_from([0, 0, 5, 20])
FAULTS = st.builds(
    Faults,
    away=RATES,
    lost_answers=RATES,
    stale=RATES,
    missing=RATES,
    garbage=RATES,
    truncated=RATES,
    swapped=RATES,
    forgets=RATES,
    full=RATES,
)


@pytest.fixture
def folder(tmp_path: Path) -> FolderRemote:
    return FolderRemote(tmp_path, sync=False)


def busy() -> Ward:
    ward = Ward(Town(names=("a", "b")))
    study = ward.town.study("a")
    ward.town.train("a", study.digest, 1.0, study.digest)
    return ward


def visit(ward: Ward, name: str, remote: BadRemote) -> None:
    try:
        ward.sync(name, remote)
    except Unreachable:
        return


@settings(max_examples=15)
@given(faults=FAULTS, seed=st.integers(0, 2**16))
def test_whatever_a_remote_does_the_history_ends_the_same_once_it_behaves(
    tmp_path_factory: pytest.TempPathFactory, faults: Faults, seed: int
) -> None:
    ward = busy()
    folder = FolderRemote(tmp_path_factory.mktemp("remote"), sync=False)
    bad = BadRemote(folder, random.Random(seed).randrange, replace(faults))
    for _ in range(3):
        visit(ward, "a", bad)
        visit(ward, "b", bad)
        assert ward.known("b") <= ward.known("a")
    bad.faults = Faults()
    for _ in range(2):
        for name in ("a", "b"):
            ward.sync(name, bad)
    assert ward.known("b") == ward.known("a")
    models = ward.bench("b").models
    assert models.set_aside == {}
    assert all(ward.bench("b").store.has(digest) for digest in ward.bench("a").store.objects() if digest in tree(ward))


def tree(ward: Ward) -> set[Digest]:
    """Return what the model consists of that b's next action needs: that of the study."""
    (study,) = (entry.commit for entry in ward.bench("a").history if entry.commit.recipe.name == "study")
    assert study.tree is not None
    parsed = ward.bench("a").models.tree(study.tree)
    return {study.tree, parsed.schema, *parsed.blobs}


@pytest.mark.parametrize("calls", range(1, 18, 2))
def test_a_transfer_that_is_cut_sends_at_most_one_object_again(folder: FolderRemote, calls: int) -> None:
    ward = busy()
    first = BadRemote(folder, lambda _: 0, Faults(cut_after=calls))
    with ward.at("a", first) as peer, pytest.raises(Unreachable):
        Publisher(peer).publish()
    second = BadRemote(folder, lambda _: 0)
    ward.push("a", second)
    sent_twice = [name for name in second.put if name in first.put and "/feeds/head" not in name]
    assert sent_twice == []
    visit(ward, "b", second)
    assert len(ward.known("b")) == 4


def test_a_download_that_is_cut_fetches_no_object_again(folder: FolderRemote) -> None:
    ward = busy()
    ward.push("b", folder)
    ward.push("a", folder)
    for calls in range(1, 30):
        visit(ward, "b", BadRemote(folder, lambda _: 0, Faults(cut_after=calls)))
    assert ward.known("b") == ward.known("a")


def test_what_a_relay_took_and_forgot_is_put_again(folder: FolderRemote) -> None:
    ward = busy()
    forgetful = BadRemote(folder, lambda _: 0, Faults(forgets=100))
    ward.push("a", forgetful)
    assert list(folder.list(f"{ward.pseudonym('a')}/feeds")) == []
    forgetful.faults = Faults()
    with ward.at("a", forgetful) as peer:
        published = Publisher(peer).publish(check=True)
    assert published.commits == 3


def test_a_relay_that_rolls_back_takes_nothing_away_and_is_mended(folder: FolderRemote, tmp_path: Path) -> None:
    ward = busy()
    for name in ("a", "b"):
        ward.sync(name, folder)
    known = ward.known("b")
    newest = max((tmp_path / ward.pseudonym("a") / "feeds").glob("0*"))
    newest.unlink()
    (tmp_path / ward.pseudonym("a") / "feeds" / "head").write_bytes(b"000000000001 00000000\n")
    ward.pull("b", folder)
    assert ward.known("b") == known
    ward.newcomer("b")
    ward.pull("b", folder)
    assert ward.known("b") < known, "withholding cannot be seen by who has no other path"
    ward.sync("a", folder)
    ward.pull("b", folder)
    assert ward.known("b") == known, "it shows as soon as any other path brings news"


def test_a_squatter_that_was_there_first_stops_nobody(folder: FolderRemote, tmp_path: Path) -> None:
    rehearsal = busy()
    rehearsal.push("a", folder)
    files = [file.relative_to(tmp_path) for file in tmp_path.rglob("*") if file.is_file()]
    store = rehearsal.bench("a").store
    for file in files:
        (tmp_path / file).write_bytes(b"squatted" * 20)
    ward = busy()
    assert ward.known("a") == rehearsal.known("a")
    ring = store.secret_read("exchange")
    assert ring is not None
    ward.bench("a").store.secret_write("exchange", ring)
    with ward.at("a", folder) as peer:
        Publisher(peer).publish()
    for file in files:
        if "blobs" in file.parts:
            (tmp_path / file).write_bytes(b"squatted" * 20)
    ward.push("b", folder)
    ward.pull("b", folder)
    assert ward.known("b") == ward.known("a")


@pytest.mark.parametrize("lie", [Faults(garbage=100), Faults(truncated=100), Faults(missing=100)])
def test_what_a_relay_lied_about_is_read_soon_after_it_is_honest_again(folder: FolderRemote, lie: Faults) -> None:
    ward = Ward(Town(names=("a", "b", "c")))
    for name in ("a", "b", "c", "a"):
        ward.sync(name, folder)
    lying = BadRemote(folder, random.Random(1).randrange)
    with ward.at("b", lying) as peer:  # one line, as of a site that runs
        site = ward.site("b")
        site.sync(peer)
        lying.faults = lie
        for name in ("a", "c") * 8:
            ward.bench(name).commit(Recipe("note"))
            ward.sync(name, folder)
            site.sync(peer)
            ward.town.clock.advance_to(ward.town.clock.now_s() + 0.5)
        assert not ward.known("b") >= ward.known("a")
        lying.faults = Faults()
        honest_s = ward.town.clock.now_s()
        for _ in range(30):
            if peer.again_s is not None:  # it says when to look again
                ward.town.clock.advance_to(max(ward.town.clock.now_s(), peer.again_s))
                site.sync(peer)
        assert ward.known("b") >= ward.known("a")
        assert ward.town.clock.now_s() - honest_s < 10
        asked = lying.calls
        assert peer.again_s is None, "and then it rests"
        assert site.sync(peer) == 0
        assert lying.calls - asked < 10


@pytest.mark.parametrize("what", ["forgets", "is rolled back"])
def test_a_relay_that_forgets_or_is_rolled_back_is_noticed_at_the_next_news_and_mended(
    folder: FolderRemote, tmp_path: Path, what: str
) -> None:
    ward = busy()
    for name in ("a", "b", "a"):
        ward.sync(name, folder)
    relay = BadRemote(folder, lambda _: 0)
    with ward.at("a", relay) as peer:
        publisher = Publisher(peer)
        publisher.publish()
        old = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
        relay.faults = Faults(forgets=100 if what == "forgets" else 0)
        ward.bench("a").commit(Recipe("note"))
        assert publisher.publish().commits == 1
        relay.faults = Faults()
        if what == "is rolled back":
            for path in [path for path in tmp_path.rglob("*") if path.is_file()]:
                path.unlink() if path not in old else path.write_bytes(old[path])
        assert publisher.publish().commits == 0, "nobody knows yet"
        ward.town.clock.advance_to(peer.again_s or 0.0)
        ward.site("a").learn(peer)
        assert publisher.publish().commits == 1
        ward.town.clock.advance_to(ward.town.clock.now_s() + 5)
        ward.site("a").learn(peer)
        assert publisher.publish().commits == 0
        assert peer.again_s is None, "and then it rests"
    ward.pull("b", folder)
    assert ward.known("b") == ward.known("a")


def test_another_holders_copy_serves_where_the_authors_is_garbage(folder: FolderRemote, tmp_path: Path) -> None:
    ward = Ward()
    study = ward.town.study("a")
    for name in ("a", "b", "c"):
        ward.push(name, folder)
    (tmp_path / "copies").mkdir()
    for kind in ("feeds", "blobs"):
        there, copy = (tmp_path / ward.pseudonym(name) / kind for name in ("a", "b"))
        copy.mkdir(exist_ok=True)
        for file in there.iterdir():
            if file.name != "head":
                (copy / (file.name if kind == "blobs" else entry_name(9, file.name[-64:]))).write_bytes(
                    file.read_bytes()
                )
                file.write_bytes(b"\0" * file.stat().st_size)
    ward.pull("c", folder)
    assert study.digest in ward.bench("c").models.complete


def test_an_object_that_is_larger_than_it_may_be_is_not_taken(folder: FolderRemote, tmp_path: Path) -> None:
    ward = busy()
    ward.push("b", folder)
    ward.push("a", folder)
    for file in (tmp_path / ward.pseudonym("a") / "blobs").iterdir():
        with file.open("ab") as out:
            out.truncate(2**28)
    with ward.at("b", folder) as peer:
        ward.site("b").sync(peer)
        for digest in tree(ward):
            assert peer.fetch(digest, 2**22) is None


def test_what_was_sealed_for_another_federation_is_nothing(folder: FolderRemote) -> None:
    ward, other = busy(), Ward(Town(names=("a", "b"), title="another town"))
    other.town.study("a")
    other.push("a", folder)
    assert ward.pull("b", folder) == 0
    ward.push("a", folder)
    assert ward.pull("b", folder) > 0
    assert ward.known("b") == ward.known("a")


def test_a_flood_of_entries_of_one_site_does_not_hide_another(folder: FolderRemote) -> None:
    ward = busy()
    for number in range(3000):
        folder.put_if_absent(f"{ward.pseudonym('b')}/feeds/{entry_name(number, f'{number:064x}')}", bytes(100))
    ward.push("a", folder)
    ward.push("b", folder)
    ward.pull("b", folder)
    assert ward.known("b") == ward.known("a")


@pytest.mark.parametrize("faults", [Faults(away=100), Faults(full=100)])
def test_a_remote_that_does_nothing_is_unreachable(folder: FolderRemote, faults: Faults) -> None:
    ward = busy()
    with pytest.raises(Unreachable):
        ward.push("a", BadRemote(folder, lambda _: 0, faults))
