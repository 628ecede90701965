"""The second reader of remotes, from the document alone, finds what imagiq wrote; the vectors of sealing hold."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from imagiq.errors import ImagiqError
from imagiq.exchange import FolderRemote
from imagiq.exchange.ring import Keyring
from imagiq.exchange.sealing import SealKey
from imagiq.exchange.wraps import Federation
from imagiq.keys import SiteKey
from imagiq.objects import digest_of
from imagiq.store import MemoryStore
from spec import unseal
from spec.vectors.sealed import pattern
from tests.bench.town import site_key
from tests.exchange.ward import SECRET, Ward

ROOT = Path(__file__).parents[2]
VECTORS: dict[str, Any] = json.loads((ROOT / "spec" / "vectors" / "sealed.json").read_text("utf-8"))
FEDERATION = Federation(digest=VECTORS["federation"], secret=bytes.fromhex(VECTORS["secret"]))
SITES = {site["pseudonym"]: site["site_key"] for site in VECTORS["sites"]}


def second_reader(seed: str) -> unseal.Reader:
    return unseal.Reader(VECTORS["federation"], FEDERATION.secret, bytes.fromhex(seed), SITES.values())


def ring_of(seed: str) -> Keyring:
    return Keyring(MemoryStore(), SiteKey(bytes.fromhex(seed)), FEDERATION)


def test_it_is_short_and_imports_nothing_of_imagiq() -> None:
    source = (ROOT / "spec" / "unseal.py").read_text("utf-8")
    assert "import imagiq" not in source
    assert "from imagiq" not in source
    assert len(source.splitlines()) <= 200


def test_names_of_sites_and_keys() -> None:
    for site in VECTORS["sites"]:
        key = SiteKey(bytes.fromhex(site["seed"]))
        assert (key.public, key.exchange_public) == (site["site_key"], site["exchange_key"])
        assert FEDERATION.pseudonym(site["site_key"]) == site["pseudonym"]
        assert FEDERATION.tag_of(site["exchange_key"]) == site["recipient"]
        reader = second_reader(site["seed"])
        assert reader.tag.hex() == site["recipient"]
        assert reader.sites[site["pseudonym"]].hex() == site["site_key"]
    for key in VECTORS["keys"]:
        assert SealKey(bytes.fromhex(key["secret"]), key["purpose"]).id == key["id"]
        assert unseal.key_id(bytes.fromhex(key["secret"]), key["purpose"]).hex() == key["id"]


@pytest.mark.parametrize("vector", VECTORS["sealed"], ids=lambda v: f"{v['key'][:4]}-{v['size']}")
def test_sealed_objects(vector: dict[str, Any]) -> None:
    key = next(key for key in VECTORS["keys"] if key["id"] == vector["key"])
    secret, content = bytes.fromhex(key["secret"]), pattern(vector["size"])
    name, sealed = SealKey(secret, key["purpose"]).seal(content)
    assert (name, digest_of(sealed)) == (vector["name"], vector["sha256"])
    assert sealed.hex() == vector.get("sealed", sealed.hex())
    assert unseal.unseal(secret, key["purpose"], name, sealed) == content
    with pytest.raises(unseal.Bad):
        unseal.unseal(secret, key["purpose"], name, sealed[:-1])


def test_wraps() -> None:
    secrets = {key["id"]: key["secret"] for key in VECTORS["keys"]}
    for vector in VECTORS["wraps"]:
        raw, ring = bytes.fromhex(vector["bytes"]), ring_of(vector["reader"])
        wraps = ring.learn(raw, SITES)
        held = ring.get(wraps.statement.key)
        assert held is not None
        assert held.key.secret.hex() == secrets[held.key.id]
        said, key = second_reader(vector["reader"]).wraps(raw)
        assert key == held.key.secret
        assert said["key"] == held.key.id
        assert said.get("models") == wraps.statement.models


def test_wraps_of_an_unknown_kind_open_to_nothing() -> None:
    raw, reader = bytes.fromhex(VECTORS["wraps_of_unknown_kind"]), VECTORS["wraps"][0]["reader"]
    ring = ring_of(reader)
    assert ring.learn(raw, SITES).sealed == {}
    assert len(ring) == 0
    assert second_reader(reader).wraps(raw)[1] is None


@pytest.mark.parametrize("vector", VECTORS["wraps_refused"], ids=lambda v: str(v["why"]))
def test_wraps_that_are_refused(vector: dict[str, Any]) -> None:
    reader = VECTORS["wraps"][0]["reader"]
    with pytest.raises(ImagiqError):
        ring_of(reader).learn(bytes.fromhex(vector["bytes"]), SITES)
    with pytest.raises(unseal.Bad):
        second_reader(reader).wraps(bytes.fromhex(vector["bytes"]))


@pytest.mark.process
def test_it_reads_what_imagiq_put_on_a_remote(tmp_path: Path) -> None:
    ward = Ward()
    ward.town.study("a")
    remote = FolderRemote(tmp_path, sync=False)
    for name in ("a", "b", "c"):
        ward.push(name, remote)
    keys = [site_key(name).public for name in ward.town.names]
    found = unseal.Reader(ward.town.founding.digest, SECRET, site_key("c").seed, keys).read(tmp_path)
    assert set(found) == {*ward.bench("a").store.objects(), *ward.known("a")}
    secret = [ward.town.founding.digest, SECRET.hex(), site_key("c").seed.hex()]
    command = [sys.executable, str(ROOT / "spec" / "unseal.py"), str(tmp_path), *secret, *keys]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert [line.split() for line in printed.splitlines()] == [[d, str(len(c))] for d, c in sorted(found.items())]
    stranger = unseal.Reader(ward.town.founding.digest, SECRET, b"x" * 32, keys)
    assert stranger.read(tmp_path) == {}
