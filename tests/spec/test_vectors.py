"""The vectors are what imagiq gives, and what the second reader gives."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from imagiq.errors import Corrupt
from imagiq.objects import JSON, digest_of, encode, parse_decimal, parse_schema
from imagiq.objects.canonical import decode
from spec import reader
from spec.vectors.make import FILES

VECTORS = Path(__file__).parents[2] / "spec" / "vectors"
LIMIT = 10**7


def vectors(name: str) -> dict[str, Any]:
    return dict(json.loads((VECTORS / f"{name}.json").read_text("utf-8")))


@pytest.mark.parametrize("name", FILES)
def test_making_the_vectors_again_changes_nothing(name: str) -> None:
    made = json.dumps(FILES[name](), indent=1) + "\n"
    assert made == (VECTORS / name).read_text("utf-8")


def test_json_vectors_hold() -> None:
    for vector in vectors("json")["good"]:
        raw = bytes.fromhex(vector["bytes"])
        value: JSON = vector["value"]
        assert encode(value) == raw
        assert decode(raw, limit=LIMIT, what="a vector").values == value
        assert reader.canonical(value).encode() == raw
    for vector in vectors("json")["refused"]:
        raw = bytes.fromhex(vector["bytes"])
        with pytest.raises(Corrupt):
            decode(raw, limit=LIMIT, what="a vector")
        with pytest.raises(reader.Bad, match="json"):
            reader.read_json(raw, LIMIT, "json")


def test_decimal_vectors_hold() -> None:
    for vector in vectors("decimals")["good"]:
        number = struct.unpack(">d", bytes.fromhex(vector["bits"]))[0]
        assert parse_decimal(vector["text"], "A vector") == number
        assert reader.fits(vector["text"], "metric")
    for text in vectors("decimals")["refused"]:
        with pytest.raises(Corrupt):
            parse_decimal(text, "A vector")
        assert not reader.fits(text, "metric")


def test_object_vectors_hold_for_the_second_reader() -> None:
    found = vectors("objects")
    for vector in found["schemas"]:
        raw = vector["text"].encode()
        assert list(parse_schema(raw).blob_sizes) == vector["blob_sizes"]
        assert reader.read_schema(raw)[1] == vector["blob_sizes"]
    for vector in found["charters"]:
        assert reader.read_charter(vector["text"].encode())["title"] == "vectors"
    for kind, read in (("bad_schemas", reader.read_schema), ("bad_charters", reader.read_charter)):
        for vector in found[kind]:
            assert vector["code"], vector["why"]
            with pytest.raises(reader.Bad):
                read(bytes.fromhex(vector["bytes"]))


def test_commit_vectors_hold_for_the_second_reader() -> None:
    found = vectors("commits")
    for vector in found["good"]:
        raw = bytes.fromhex(vector["bytes"])
        assert digest_of(raw) == vector["digest"]
        assert reader.read_commit(raw)["format"] == 1
    for vector in found["refused"]:
        assert vector["code"], vector["why"]
        with pytest.raises(reader.Bad):
            reader.read_commit(bytes.fromhex(vector["bytes"]))
    for vector in found["recovery"]:
        key = next(key["public"] for key in found["feed_keys"] if key["seed"] == vector["seed"])
        message = b"imagiq recovery 1\n" + bytes.fromhex(vector["charter"])
        assert reader.signs(key, vector["signature"], message)
        assert not reader.signs(key, vector["signature"].upper(), message)


@pytest.mark.parametrize("vector", vectors("merge")["vectors"], ids=lambda vector: str(vector["name"]))
def test_the_second_reader_merges_in_fractions_to_the_same_bytes(vector: dict[str, Any]) -> None:
    weights: dict[str, int] = {}
    for given in vector["inputs"]:
        weights[given["tree"]] = weights.get(given["tree"], 0) + given["weight"]
    states = {given["tree"]: given["tensors"] for given in vector["inputs"]}
    trees = sorted(weights)
    for tensor in reader.read_schema(vector["schema"].encode())[0]:
        raws = [bytes.fromhex(states[tree][tensor["name"]]) for tree in trees]
        result = reader.merged(tensor, raws, [weights[tree] for tree in trees])
        assert result.hex() == vector["result"]["tensors"][tensor["name"]], tensor["name"]
