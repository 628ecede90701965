"""Faults on real lines and real remotes: they delay, they harm nobody, and others never wait for them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from shutil import copytree, rmtree

import obstore
import pytest

from imagiq.errors import Unreachable
from imagiq.exchange import FolderRemote, PatientRemote, Remote, RemotePeer, fetch_model
from imagiq.exchange.https import HttpsRemote
from imagiq.exchange.listener import Listener
from imagiq.exchange.quota import Allowance
from imagiq.federation import Wait
from imagiq.history import Entry
from imagiq.keys import SiteKey
from imagiq.objects import Recipe
from tests.bench.town import Town, site_key
from tests.exchange.mesh import Mesh, study_of
from tests.exchange.ward import Ward
from tests.exchange.weed import bucket
from tests.exchange.wire import Wire

LISTENER = SiteKey(b"listener".ljust(32))
PATHS = count()


@contextmanager
def relay(ward: Ward, folder: Path, allowance: Allowance | None = None) -> Iterator[Listener]:
    admits = {site_key(name).public: ward.pseudonym(name) for name in ward.town.names}
    with Listener(folder, LISTENER, admits, allowance=allowance) as listener:
        yield listener


def reach(port: int, name: str, silence_s: float = 5.0) -> HttpsRemote:
    return HttpsRemote(f"https://127.0.0.1:{port}", site_key(name), LISTENER.public, silence_s=silence_s)


def publish_large(ward: Ward, folder: Path, *, tensors: int = 16) -> Entry:
    """Let "a" publish a study of which each piece has 1 MiB."""
    study = study_of(ward.town, "a", tensors=tensors, tensor_bytes=2**20)
    for name in ward.town.names:
        ward.push(name, FolderRemote(folder, sync=False))
    return study


# ------------------------------------------------------------------------------------------------------ the line


@pytest.mark.process
@pytest.mark.parametrize("after", [3 * 2**20 + 5_000, 9 * 2**20 + 700_000])
def test_a_line_cut_in_the_middle_of_a_blob_sends_at_most_the_blobs_under_way_again(tmp_path: Path, after: int) -> None:
    ward = Ward()
    study = publish_large(ward, tmp_path)
    with relay(ward, tmp_path) as listener, Wire(listener.port) as wire, ExitStack() as stack:
        remote = reach(wire.port, "b")
        peer = stack.enter_context(RemotePeer(remote, ward.bench("b"), ward.ring("b"), clock=ward.town.clock))
        site = ward.site("b")
        site.learn(peer)
        wire.passed, wire.cut_after = 0, after
        with pytest.raises(Unreachable):
            fetch_model(ward.bench("b"), study.digest, [peer])
        held = 16 - len(ward.bench("b").models.lacking(study.commit))
        assert held >= after // 2**20 - 8, "what came whole before the cut is kept"
        wire.mend()
        wire.passed = 0
        assert fetch_model(ward.bench("b"), study.digest, [peer])
        assert wire.passed < (16 - held + 1) * 2**20


@pytest.mark.process
def test_a_line_that_is_gone_for_a_while_is_waited_for_and_goes_on(tmp_path: Path) -> None:
    ward = Ward()
    study = publish_large(ward, tmp_path)
    with relay(ward, tmp_path) as listener, Wire(listener.port) as wire:
        remote = PatientRemote(reach(wire.port, "b"), lambda: 0.5, attempts=8)
        with RemotePeer(remote, ward.bench("b"), ward.ring("b"), clock=ward.town.clock) as peer:
            ward.site("b").learn(peer)
            wire.cut_after = wire.passed + 5 * 2**20
            threading.Timer(2.0, wire.mend).start()
            assert fetch_model(ward.bench("b"), study.digest, [peer])


@pytest.mark.process
def test_one_holder_that_is_slow_by_a_hundred_times_does_not_make_others_wait(tmp_path: Path) -> None:
    mesh = Mesh(tmp_path, names=("author", "b", "c"))
    study = study_of(mesh.ward.town, "author", tensors=24, tensor_bytes=2**19)
    with mesh.listening(), Wire(mesh.listeners["author"].port) as wire:
        mesh.publish("author")
        mesh.publish("c")
        assert mesh.receive("c", study) > 0
        mesh.publish("c")
        mesh.ward.push("b", FolderRemote(tmp_path / "b", sync=False))
        quick_port = mesh.listeners["author"].port
        mesh.listeners["author"].port = wire.port  # how "b" reaches it
        wire.slow_bytes_s = 200_000
        before_s = time.monotonic()
        from_author = mesh.receive("b", study)
        took_s = time.monotonic() - before_s
        mesh.listeners["author"].port = quick_port
    assert from_author < 12 * 2**19, "most came from the other holder"
    assert took_s < 24 * 2**19 / 200_000 / 2, "and much sooner than by the slow line"


# --------------------------------------------------------------------------------------------------- the members


@pytest.mark.parametrize("strategy", ["latest-of-each", "gossip"])
def test_a_model_that_is_withheld_holds_nobody_up(tmp_path: Path, strategy: str) -> None:
    ward = Ward(Town(names=("a", "b", "c")))
    folder = FolderRemote(tmp_path, sync=False)
    study = ward.town.study("a", strategy=strategy, steps=2)
    for name in ("a", "b", "c", "a"):
        ward.sync(name, folder)
    withheld = ward.town.train("b", study.digest, 123.456, study.digest)
    before = set(tmp_path.rglob("blobs/*"))
    ward.push("b", folder)
    for path in set(tmp_path.rglob("blobs/*")) - before:
        path.unlink()
    ward.work_until_done(lambda _: folder, ("a", "c"))
    for name in ("a", "c"):
        bench = ward.bench(name)
        assert withheld.digest in bench.history
        assert withheld.digest not in bench.models.complete
        own = [e for e in bench.history if e.site == site_key(name).public and e.commit.recipe.name == "train"]
        assert len(own) == 2, "it trains to its budget"
        merges = [e for e in bench.history if e.commit.recipe.name == "merge"]
        assert all(withheld.digest not in merge.commit.parents_in("input") for merge in merges)


def test_a_relay_that_hides_a_removal_is_found_out_by_any_other_path(tmp_path: Path) -> None:
    ward = Ward(Town(names=("a", "b", "c", "d", "e")))
    main, hiding = tmp_path / "main", tmp_path / "hiding"
    main.mkdir()
    honest = FolderRemote(main, sync=False)
    for name in ward.town.names * 2:
        ward.sync(name, honest)
    copytree(main, hiding)  # this relay shows what was there before the removal, for ever
    removal = ward.charter(("a", "b", "c", "d"))
    ward.enact(removal, ("a", "b", "d"), lambda _: honest)
    stale = FolderRemote(hiding, sync=False)
    ward.sync("c", stale)
    assert ward.bench("c").standing.ruling != removal, "nobody can know what is kept from it"
    ward.sync("c", honest)
    assert ward.bench("c").standing.ruling == removal
    rolled_back = ward.known("c")
    ward.sync("c", stale)
    assert ward.bench("c").standing.ruling == removal, "and nothing takes that away"
    assert ward.known("c") >= rolled_back
    newer = ward.bench("c").commit(Recipe("note"))
    ward.push("c", stale)
    ward.pull("e", stale)
    assert newer.digest not in ward.known("e"), "what was sealed after that is closed to who was removed"


def test_a_remote_that_vanishes_and_comes_back_empty_is_filled_again(tmp_path: Path) -> None:
    ward = Ward(Town(names=("a", "b")))
    ward.town.study("a")
    place = tmp_path / "drive"
    place.mkdir()
    folder = FolderRemote(place, sync=False)
    for name in ("a", "b", "a"):
        ward.sync(name, folder)
    rmtree(place)
    with pytest.raises(Unreachable):
        ward.sync("a", folder)
    place.mkdir()
    ward.newcomer("b")
    for name in ("a", "b"):
        ward.sync(name, folder)
    assert ward.known("b") >= ward.known("a")


def test_the_founder_is_gone_for_ever_and_nobody_misses_it(tmp_path: Path) -> None:
    ward = Ward(Town(names=("a", "b", "c", "d")))
    folder = FolderRemote(tmp_path, sync=False)
    for name in ("a", "b", "c", "d"):
        ward.sync(name, folder)
    study = ward.town.study("b", strategy="latest-of-each", steps=1)
    left = ("b", "c", "d")
    ward.work_until_done(lambda _: folder, left)
    trained = {
        e.site for e in ward.bench("c").history if e.commit.study == study.digest and e.commit.recipe.name == "train"
    }
    assert trained == {site_key(name).public for name in left}
    assert ward.known("b") == ward.known("c") == ward.known("d")


def test_two_of_four_are_gone_and_the_others_train_on(tmp_path: Path) -> None:
    ward = Ward(Town(names=("a", "b", "c", "d")))
    folder = FolderRemote(tmp_path, sync=False)
    for name in ("a", "b", "c", "d"):
        ward.sync(name, folder)
    ward.town.study("a", strategy="latest-of-each", steps=2)
    ward.work_until_done(lambda _: folder, ("a", "b"))
    for name in ("a", "b"):
        assert isinstance(ward.site(name).plan(), Wait)
    ward.work_until_done(lambda _: folder)  # they come back
    trained = [e for e in ward.bench("d").history if e.commit.recipe.name == "train"]
    assert len(trained) == 8
    assert len({frozenset(ward.known(name)) for name in ward.town.names}) == 1


# ---------------------------------------------------------------------------------------------- sealed means sealed


@pytest.mark.process
def test_sealed_means_sealed_in_a_bucket(s3: str) -> None:
    path = f"sealed-{next(PATHS)}"
    names = ("ward-anna", "ward-bert", "ward-cleo")
    ward = Ward(Town(names=names, title="Study of livers"))
    ways: dict[str, Remote] = {}
    study = study_of(ward.town, names[0], tensors=3, tensor_bytes=2**17)
    ward.town.study(names[0], strategy="latest-of-each", steps=1)
    ward.work_until_done(lambda name: ways.setdefault(name, bucket(s3, path)))
    store = bucket(s3, path)._store
    listed = [meta["path"] for page in obstore.list(store) for meta in page]
    seen = b"\n".join(name.encode() + b" " + obstore.get(store, name).bytes().to_bytes() for name in listed)
    assert len(seen) > 2**17 * 3
    secrets = [
        *(name.encode() for name in names),
        b"livers",
        b"loss",
        b"latest-of-each",
        b"weight",
        b"layer000",
        b"train",
    ]
    for name in names:
        bench = ward.bench(name)
        secrets += [bench.store.read(digest)[:64] for digest in bench.store.objects()]
        secrets += [digest.encode() for digest in bench.store.objects()]
        secrets += [entry.commit.raw[:64] for entry in bench.history]
        secrets += [site_key(name).public.encode(), bytes.fromhex(site_key(name).public)]
    tree = ward.bench(names[0]).models.tree(study.commit.tree or study.digest)
    schema = ward.bench(names[0]).models.schema(tree.schema)
    assert len(schema.tensors) == 3
    for blob in tree.blobs:
        secrets.append(ward.bench(names[0]).store.read(blob)[:64])
    assert [secret for secret in secrets if secret in seen] == []
    for way in ways.values():
        way.close()
