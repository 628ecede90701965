"""Who is a member reads; who was one reads nothing that was sealed by those who knew."""

from __future__ import annotations

from pathlib import Path

import pytest

from imagiq.errors import Corrupt, Refused, Untrusted
from imagiq.exchange import BenchPeer, FolderRemote, Publisher, pull
from imagiq.exchange.ring import Keyring
from imagiq.objects import Digest, Recipe
from tests.bench.town import site_key
from tests.exchange.ward import Ward


@pytest.fixture
def ward() -> Ward:
    return Ward()


@pytest.fixture
def folder(tmp_path: Path) -> FolderRemote:
    return FolderRemote(tmp_path, sync=False)


def opened_by(ring: Keyring, tmp_path: Path) -> set[str]:
    """Return the sealed names of all objects on a remote that a ring's keys open."""
    keys = {held.key.id: held.key for held in ring.all()}
    found = set()
    for file in [*tmp_path.rglob("feeds/*-*"), *tmp_path.rglob("blobs/*")]:
        raw, name = file.read_bytes(), file.name[-64:]
        key = keys.get(raw[:32].hex())
        if key is not None:
            assert key.open(name, raw, limit=2**23)
            found.add(name)
    return found


def everything(tmp_path: Path) -> set[str]:
    return {file.name[-64:] for file in [*tmp_path.rglob("feeds/*-*"), *tmp_path.rglob("blobs/*")]}


def test_a_removed_members_keys_open_nothing_newer(ward: Ward, folder: FolderRemote, tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        ward.sync(name, folder)
    ward.enact(ward.charter(("a", "b")), ("a", "b"), lambda _: folder)
    ward.sync("c", folder)
    before = everything(tmp_path)
    ward.town.study("a")
    ward.sync("a", folder)
    ward.sync("b", folder)
    ward.bench("b").commit(Recipe("hello"))
    ward.sync("b", folder)
    newer = everything(tmp_path) - before
    assert len(newer) > 5
    with ward.at("c", folder) as peer:
        peer.heads()
        for file in tmp_path.rglob("keys/*"):
            peer.shelf.find_key(file.name, file.parts[-3])
    assert opened_by(ward.ring("c"), tmp_path) & newer == set()
    assert opened_by(ward.ring("a"), tmp_path) >= newer


def test_a_removed_member_that_knows_it_publishes_nothing(ward: Ward, folder: FolderRemote) -> None:
    for name in ("a", "b", "c"):
        ward.sync(name, folder)
    ward.enact(ward.charter(("a", "b")), ("a", "b"), lambda _: folder)
    with ward.at("c", folder) as peer:
        assert ward.site("c").sync(peer) == 1, "the vote that decided is sealed for those who stay"
        pull(ward.bench("c"), BenchPeer("a", ward.bench("a")))
        with pytest.raises(Refused, match="no member"):
            Publisher(peer).publish()


def test_the_same_members_again_seal_under_other_keys(ward: Ward, folder: FolderRemote) -> None:
    for name in ("a", "b", "c"):
        ward.sync(name, folder)
    first = ward.ring("a").own(ward.bench("a").standing, ward.town.founding)
    ward.enact(ward.charter(("a", "b")), ("a", "b"), lambda _: folder)
    ward.enact(ward.charter(("a", "b", "d")), ("a", "b"), lambda _: folder)
    joined = ward.ring("a").own(ward.bench("a").standing, ward.town.founding)
    ward.enact(ward.charter(("a", "b")), ("a", "b"), lambda _: folder)
    again = ward.ring("a").own(ward.bench("a").standing, ward.town.founding)
    ids = {own.commits.key.id for own in (first, joined, again)} | {own.models.key.id for own in (first, joined, again)}
    assert len(ids) == 6
    ward.newcomer("d")
    with ward.at("d", folder) as peer:
        peer.heads()
        for key in ids:
            peer.shelf.find_key(key, ward.pseudonym("a"))
    assert ward.ring("d").get(again.commits.key.id) is None
    assert ward.ring("d").get(again.models.key.id) is None


def test_other_rules_for_the_same_members_need_no_other_keys(ward: Ward, folder: FolderRemote) -> None:
    for name in ("a", "b", "c"):
        ward.sync(name, folder)
    before = ward.ring("a").own(ward.bench("a").standing, ward.town.founding)
    ward.enact(ward.charter(("a", "b", "c"), {"audit_per_mille": 5}), ("a", "b"), lambda _: folder)
    after = ward.ring("a").own(ward.bench("a").standing, ward.town.founding)
    assert before.commits.key.id == after.commits.key.id


def join(ward: Ward, folder: FolderRemote, older_models: str) -> Digest:
    """Let d join a federation that has a study; return the study."""
    for name in ("a", "b", "c"):
        ward.sync(name, folder)
    study = ward.town.study("a")
    ward.sync("a", folder)
    ward.sync("b", folder)
    charter = ward.charter(("a", "b", "c", "d"), {"older_models": older_models})
    ward.enact(charter, ("a", "b"), lambda _: folder)
    ward.newcomer("d")
    for _ in range(2):
        ward.pull("d", folder)
    return study.digest


def test_a_newcomer_gets_older_keys_unless_the_charter_says_otherwise(ward: Ward, folder: FolderRemote) -> None:
    study = join(ward, folder, "given")
    assert ward.known("d") == ward.known("a")
    with ward.at("d", folder) as peer:
        tree = ward.bench("d").history[study].commit.tree
        assert tree is not None
        assert peer.fetch(tree, 2**20) is not None


def test_a_newcomer_without_older_keys_knows_the_history_and_opens_no_older_model(
    ward: Ward, folder: FolderRemote, tmp_path: Path
) -> None:
    study = join(ward, folder, "withheld")
    assert ward.known("d") == ward.known("a"), "commits go everywhere"
    tree = ward.bench("d").history[study].commit.tree
    assert tree is not None
    with ward.at("d", folder) as peer:
        assert peer.fetch(tree, 2**20) is None
        for file in tmp_path.rglob("keys/*"):
            peer.shelf.find_key(file.name, file.parts[-3])
    purposes = [(held.key.purpose, held.statement.version) for held in ward.ring("d").all()]
    assert ("commits", 1) in purposes
    assert ("models", 1) not in purposes
    new = ward.town.study("a")
    ward.sync("a", folder)
    with ward.at("d", folder) as peer:
        ward.site("d").sync(peer)
        assert new.commit.tree is not None
        assert peer.fetch(new.commit.tree, 2**20) is not None, "newer models it opens"


def test_a_holder_brings_a_newcomer_the_keys_of_one_who_is_gone_for_ever(ward: Ward, folder: FolderRemote) -> None:
    gone = ward.bench("c").commit(Recipe("hello"))
    for name in ("c", "a", "b", "a"):
        ward.sync(name, folder)
    ward.enact(ward.charter(("a", "b", "c", "d")), ("a", "b"), lambda _: folder)
    ward.newcomer("d")
    ward.pull("d", folder)
    assert gone.digest in ward.known("d")


def test_an_outsider_with_the_secret_reads_nothing(ward: Ward, folder: FolderRemote) -> None:
    for name in ("a", "b", "c"):
        ward.sync(name, folder)
    ward.newcomer("x")
    assert ward.pull("x", folder) == 0
    assert ward.known("x") == set()
    assert len(ward.ring("x")) == 0


def test_wraps_by_strangers_or_for_others_are_none(ward: Ward, folder: FolderRemote) -> None:
    ward.sync("a", folder)
    ring = ward.ring("a")
    own = ring.own(ward.bench("a").standing, ward.town.founding)
    sites = ring.sites(ward.bench("a").standing)
    good = ring.wrap(own.commits, [site_key("b").exchange_public])
    assert ward.ring("b").learn(good, sites).by == site_key("a").public
    with pytest.raises(Untrusted):
        ward.ring("b").learn(good, {ward.pseudonym("b"): site_key("b").public})
    for damaged in (good[:-1], b"", good[:64], bytes(64) + good[64:], good[:63] + bytes([good[63] ^ 1]) + good[64:]):
        with pytest.raises((Corrupt, Untrusted)):
            ward.ring("b").learn(damaged, sites)
    ward.ring("c").learn(good, sites)
    assert len(ward.ring("c")) == 0, "it was wrapped to b"
