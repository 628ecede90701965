"""Sites that meet only through a remote, one after the other, never online together."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from imagiq.exchange import FolderRemote, Publisher, Remote
from imagiq.exchange.https import HttpsRemote
from imagiq.exchange.listener import Listener
from imagiq.keys import SiteKey
from imagiq.testing.bad_remotes import BadRemote
from tests.bench.town import Town, site_key
from tests.exchange.ward import Place, Ward
from tests.exchange.weed import bucket

LISTENER = SiteKey(b"listener".ljust(32))
NAMES = ("ward-anna", "ward-bert", "ward-cleo")
PATHS = count()


@pytest.fixture
def folder(tmp_path: Path) -> Remote:
    return FolderRemote(tmp_path, sync=False)


def everything_on(path: Path) -> bytes:
    """Return all names and bytes below a folder, as a relay's keeper sees them."""
    files = [file for file in path.rglob("*") if file.is_file()]
    return b"\n".join(str(file).encode() + b" " + file.read_bytes() for file in files)


@pytest.fixture(params=["folder", pytest.param("https", marks=pytest.mark.process)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """Give each site its own way to one and the same folder."""
    if request.param == "folder":
        yield lambda _: FolderRemote(tmp_path, sync=False)
        return
    ward = Ward(Town(names=NAMES))
    admits = {site_key(name).public: ward.pseudonym(name) for name in NAMES}
    ways: dict[str, HttpsRemote] = {}
    with Listener(tmp_path, LISTENER, admits) as listener:
        url = f"https://127.0.0.1:{listener.port}"
        yield lambda name: ways.setdefault(name, HttpsRemote(url, site_key(name), LISTENER.public))
        for way in ways.values():
            way.close()


def three_sites_train(ward: Ward, place: Place) -> None:
    study = ward.town.study(NAMES[0], strategy="latest-of-each", steps=2)
    ward.work_until_done(place)
    assert ward.known(NAMES[0]) == ward.known(NAMES[1]) == ward.known(NAMES[2])
    bench = ward.bench(NAMES[2])
    trainings = [entry for entry in bench.history if entry.commit.recipe.name == "train"]
    assert len(trainings) == 6
    assert {entry.commit.study for entry in trainings} == {study.digest}


def test_three_sites_that_never_meet_train_together(place: Place) -> None:
    three_sites_train(Ward(Town(names=NAMES, title="Study of livers")), place)


@pytest.mark.process
def test_three_sites_that_never_meet_train_together_over_a_bucket(s3: str) -> None:
    path = f"meeting-{next(PATHS)}"
    ways: dict[str, Remote] = {}
    three_sites_train(Ward(Town(names=NAMES)), lambda name: ways.setdefault(name, bucket(s3, path)))
    for way in ways.values():
        way.close()


def test_sealed_means_sealed(tmp_path: Path) -> None:
    ward = Ward(Town(names=NAMES, title="Study of livers"))
    keeper = BadRemote(FolderRemote(tmp_path, sync=False), lambda _: 0)
    three_sites_train(ward, lambda _: keeper)
    seen = everything_on(tmp_path) + b"\n".join(keeper.held.values()) + "\n".join(keeper.held).encode()
    assert len(seen) > 20_000
    secrets = [*(name.encode() for name in NAMES), b"livers", b"loss", b"latest-of-each", b"weight", b"train"]
    for name in NAMES:
        bench = ward.bench(name)
        secrets += [site_key(name).public.encode(), bytes.fromhex(site_key(name).public), site_key(name).seed]
        secrets += [site_key(name).exchange_public.encode()]
        secrets += [bench.store.read(digest)[:64] for digest in bench.store.objects()]
        secrets += [digest.encode() for digest in bench.store.objects()]
        secrets += [entry.digest.encode() for entry in bench.history]
        secrets += [entry.commit.raw[:64] for entry in bench.history]
        secrets += [held.key.secret for held in ward.ring(name).all()]
        secrets += [held.key.secret.hex().encode() for held in ward.ring(name).all()]
    secrets += [ward.town.founding.digest.encode(), ward.federation.secret, ward.federation.secret.hex().encode()]
    assert [secret for secret in secrets if secret in seen] == []


def test_a_restart_publishes_nothing_twice(folder: Remote) -> None:
    ward = Ward()
    ward.town.study("a")
    first = ward.push("a", folder)
    assert (first.commits, first.objects) == (2, 6)  # a vote, a study; two keys, a charter, a schema, a tree, a blob
    assert first.unsealed == 2  # others' votes, whose authors' keys are not known here yet
    for _ in range(2):
        assert ward.push("a", folder).size == 0


def test_what_others_have_put_is_not_put_again(folder: Remote) -> None:
    ward = Ward()
    assert [ward.sync(name, folder) for name in ("a", "b", "c")] == [0, 0, 0]
    for name in ("a", "b", "c"):
        with ward.at(name, folder) as peer:
            peer.heads()
            assert Publisher(peer).publish().size == 0
    assert len(list(folder.list(f"{ward.pseudonym('a')}/feeds"))) == 2


def test_what_a_site_carries_from_one_remote_to_another_arrives_with_its_models(tmp_path: Path) -> None:
    east, west = (FolderRemote(tmp_path / name, sync=False) for name in ("east", "west"))
    for name in ("east", "west"):
        (tmp_path / name).mkdir()
    ward = Ward()
    study = ward.town.study("a", steps=1)
    for name in ("a", "c"):
        ward.push(name, east)
    ward.sync("b", east)
    ward.sync("b", west)
    ward.sync("c", west)
    assert ward.known("c") == ward.known("a")
    assert study.digest in ward.bench("c").models.complete
    both = {file.name: file.read_bytes() for file in (tmp_path / "west").rglob("blobs/*")}
    own = {file.name: file.read_bytes() for file in (tmp_path / "east").rglob("blobs/*")}
    assert own.items() <= both.items(), "each holder makes the same sealed bytes"


def test_a_visit_with_nothing_new_reads_nothing(folder: Remote) -> None:
    ward = Ward()
    ward.town.study("a")
    ward.push("a", folder)
    counted = BadRemote(folder, lambda _: 0)
    with ward.at("b", counted) as peer:
        site = ward.site("b")
        site.sync(peer)
        Publisher(peer).publish()
        site.sync(peer)
        before = counted.calls
        assert site.sync(peer) == 0
        assert counted.calls == before + 1, "one question for news, nothing else"


def test_news_is_dated_by_site(folder: Remote) -> None:
    ward = Ward()
    ward.town.clock.advance_to(100.0)
    with ward.at("b", folder) as peer:
        ward.site("b").sync(peer)
        assert dict(peer.news_s) == {}
        ward.bench("a").commit(ward.town.study("a").commit.recipe, tree=ward.town.model("a", 0.0))
        ward.push("a", folder)
        ward.town.clock.advance_to(200.0)
        ward.site("b").sync(peer)
        assert dict(peer.news_s) == {site_key("a").public: 200.0}


def test_a_store_and_a_keyring_that_were_lost_come_back_from_the_remote(folder: Remote) -> None:
    ward = Ward()
    study = ward.town.study("a")
    for name in ("a", "b", "c"):
        ward.push(name, folder)
    known, ring = ward.known("a"), ward.ring("a")
    ward.newcomer("a")
    ward.pull("a", folder)
    assert ward.known("a") == known
    assert study.digest in ward.bench("a").models.complete
    assert {held.key.id for held in ring.all()} <= {held.key.id for held in ward.ring("a").all()}
    assert ward.push("a", folder).objects == 0, "and the own keys are used on"
