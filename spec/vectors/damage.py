"""Commits, charters and schemas that must be refused, one fault each."""
# ruff: noqa: INP001 - beside a script

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from imagiq.keys import CERTIFICATE_TAG, COMMIT_TAG, GROUP_ORDER, SMALL_ORDER_Y, FeedKey, verify_commit
from imagiq.objects import JSON, Commit, encode, parse_commit
from spec.vectors.builder import SCHEMA, Site, founding, successor

__all__ = ["bad_charters", "bad_commits", "bad_schemas", "changed", "resigned", "signed"]

ANNA, BERT = Site("anna"), Site("bert")
KEYS = {site.feed("first").public: site.feed("first") for site in (ANNA, BERT)}
ABSENT = object()


def fields_of(raw: bytes) -> dict[str, Any]:
    """Return the fields of a JSON object."""
    return dict(json.loads(raw))


def signed(body: bytes, key: FeedKey) -> bytes:
    """Return a commit with any body."""
    return key.sign(COMMIT_TAG + body) + body


def resigned(commit: Commit, fields: Mapping[str, JSON]) -> Commit:
    """Return a commit with some fields changed, and signed again; fields of its certificate are signed by its site."""
    body = fields_of(commit.raw[64:])
    other = dict(fields)
    if isinstance(more := other.pop("certificate", None), Mapping):
        certificate = {k: v for k, v in body["certificate"].items() if k != "signature"} | dict(more)
        body["certificate"] = certificate | {"signature": ANNA.key.sign(CERTIFICATE_TAG + encode(certificate)).hex()}
    return verify_commit(parse_commit(signed(encode(body | other), KEYS[commit.feed])))


def changed(raw: bytes, changes: Mapping[str, object]) -> bytes:
    """Return a JSON object with other values at some paths, such as ``members.0.name``; ABSENT takes a field away."""
    fields = fields_of(raw)
    for path, value in changes.items():
        *outer, last = path.split(".")
        place: Any = fields
        for key in outer:
            place = place[int(key)] if isinstance(place, list) else place[key]
        if value is ABSENT:
            del place[last]
        else:
            place[int(last) if isinstance(place, list) else last] = value
    return encode(fields)


_COMMIT_FAULTS: Mapping[str, Mapping[str, object]] = {
    "an unknown format": {"format": 2},
    "the draft format": {"format": 0},
    "no format": {"format": ABSENT},
    "a format that is true": {"format": True},
    "no federation": {"federation": ABSENT},
    "a digest in upper case": {"charter": "A" * 64},
    "a digest that is null": {"study": None},
    "a digest of 63 characters": {"tree": "a" * 63},
    "number 0": {"number": 0},
    "a number that is text": {"number": "2"},
    "number 1 with a previous": {"number": 1},
    "number 2 without a previous": {"previous": ABSENT},
    "parents that are no array": {"parents": {}},
    "a parent of unknown role": {"parents.0.role": "friend"},
    "parents not sorted": {"parents": [{"role": "base", "commit": "b" * 64}, {"role": "base", "commit": "a" * 64}]},
    "a parent twice": {"parents": [{"role": "base", "commit": "a" * 64}, {"role": "base", "commit": "a" * 64}]},
    "no recipe": {"recipe": ABSENT},
    "a recipe without a version": {"recipe": {"name": "train", "parameters": {}}},
    "a recipe's name of 65 characters": {"recipe.name": "é" * 65},
    "a seed below 0": {"recipe.seed": -1},
    "parameters that are no object": {"recipe.parameters": []},
    "a metric that is true": {"metrics": {"auc": True}},
    "a metric that is no shortest decimal": {"metrics": {"auc": "0.50"}},
    "a metric that is null": {"metrics": {"auc": None}},
    "cases below 0": {"cases": -1},
    "seen not sorted": {
        "seen": [
            {"feed": "b" * 64, "number": 1, "commit": "c" * 64},
            {"feed": "a" * 64, "number": 1, "commit": "c" * 64},
        ]
    },
    "seen twice": {"seen": [{"feed": "a" * 64, "number": 1, "commit": "c" * 64}] * 2},
    "created of 65 characters": {"created": "x" * 65},
}


def bad_commits(first: Commit, second: Commit) -> Iterator[tuple[str, bytes]]:
    """Yield bytes that are no commits, and why. ``first``: the first one of a feed; ``second``: another one."""
    raw, body = second.raw, second.raw[64:]
    key = KEYS[second.feed]
    yield "nothing", b""
    yield "a signature alone", raw[:64]
    yield "cut off", raw[:-1]
    yield "a byte more", raw + b"\n"
    for place in (0, 31, 63):
        yield f"a bit flipped in the signature, byte {place}", raw[:place] + bytes([raw[place] ^ 4]) + raw[place + 1 :]
    at = raw.index(b'"created":"2026') + 14
    yield "a digit changed", raw[:at] + b"5" + raw[at + 1 :]
    yield "signed by another key", signed(body, KEYS[first.feed])
    yield "signed under another tag", key.sign(CERTIFICATE_TAG + body) + body
    yield "signed without a tag", key.sign(body) + body
    number = int.from_bytes(raw[32:64], "little") + GROUP_ORDER
    yield "S of L or more", raw[:32] + number.to_bytes(32, "little") + body
    for y, high in ((y, high) for y in sorted(SMALL_ORDER_Y) for high in (0, 2**255)):
        feed = (y + high).to_bytes(32, "little")
        weak = changed(body, {"feed": feed.hex()})
        yield f"a key of small order, y = {y}, sign bit {high >> 255}", feed + bytes(32) + weak
    yield (
        "a key whose y is p or more",
        raw[:64] + changed(body, {"feed": (2**255 - 19 + 3).to_bytes(32, "little").hex()}),
    )
    yield "a key that is no point", raw[:64] + changed(body, {"feed": (2).to_bytes(32, "little").hex()})
    for why, text in {
        "a key twice": body.replace(b'"cases":303', b'"cases":303,"cases":303'),
        "a float": body.replace(b'"cases":303', b'"cases":303.0'),
        "2^53": body.replace(b'"cases":303', b'"cases":9007199254740992'),
        "white space": body.replace(b'"cases":303', b'"cases": 303'),
        "not sorted": body[:-1].replace(b'"cases":303,', b"") + b',"cases":303}',
        "no object": b"[]",
    }.items():
        yield why, signed(text, key)
    for why, changes in _COMMIT_FAULTS.items():
        yield why, signed(changed(body, changes), key)
    yield from _bad_first_commits(first)


def _bad_first_commits(first: Commit) -> Iterator[tuple[str, bytes]]:
    body, key = first.raw[64:], KEYS[first.feed]
    certificate = fields_of(body)["certificate"]
    yield "number 1 without a certificate", signed(changed(body, {"certificate": ABSENT}), key)
    yield "number 2 with a certificate", signed(changed(body, {"number": 2, "previous": "a" * 64}), key)
    yield "a certificate for another feed", signed(changed(body, {"certificate.feed": "a" * 64}), key)
    yield "a certificate for another federation", signed(changed(body, {"certificate.federation": "a" * 64}), key)
    yield "a certificate with another number", signed(changed(body, {"certificate.number": 2}), key)
    yield "a field of a certificate that the site did not sign", signed(changed(body, {"certificate.later": 1}), key)
    yield "a certificate by another site", signed(changed(body, {"certificate.site": BERT.key.public}), key)
    upper = certificate["signature"].upper()
    yield "a certificate's signature in upper case", signed(changed(body, {"certificate.signature": upper}), key)
    bad = {k: v for k, v in certificate.items() if k != "signature"} | {"number": 0}
    again = bad | {"signature": ANNA.key.sign(CERTIFICATE_TAG + encode(bad)).hex()}
    yield "a certificate numbered 0", signed(changed(body, {"certificate": again}), key)


def bad_charters() -> Iterator[tuple[str, bytes]]:
    """Yield bytes that are no charters, and why."""
    first = founding([ANNA, BERT])
    later = successor(first, [ANNA, BERT])
    members = fields_of(first.raw)["members"]
    faults: Mapping[str, Mapping[str, object]] = {
        "an unknown format": {"format": 2},
        "the draft format": {"format": 0},
        "a schema's kind": {"kind": "schema"},
        "no members": {"members": []},
        "members not sorted": {"members": members[::-1]},
        "a member twice": {"members": [members[0], members[0]]},
        "two members with one key": {"members": [members[0], members[1] | {"site_key": members[0]["site_key"]}]},
        "one key for both uses": {"members.0.exchange_key": members[0]["site_key"]},
        "a member without a name": {"members.0.name": ""},
        "a name with a line end": {"members.0.name": "an\nna", "voters": ["bert"]},
        "a name of 65 characters": {"members.1.name": "b" * 65, "voters": ["anna"]},
        "a key that is none": {"members.0.site_key": "anna"},
        "no voters": {"voters": []},
        "a voter who is no member": {"voters": ["carl"]},
        "voters not sorted": {"voters": ["bert", "anna"]},
        "recovery keys not sorted": {"recovery": ["b" * 64, "a" * 64]},
        "a feed cut twice": {"cuts": [{"feed": "a" * 64, "number": n, "commit": "b" * 64} for n in (1, 2)]},
        "a cut at number 0": {"cuts": [{"feed": "a" * 64, "number": 0, "commit": "b" * 64}]},
        "version 0": {"version": 0},
        "version 2 without a previous": {"version": 2},
        "a title of 257 characters": {"title": "t" * 257},
        "rules that are no object": {"rules": []},
    }
    for why, changes in faults.items():
        yield why, changed(first.raw, changes)
    yield "version 1 with a previous", changed(later.raw, {"version": 1})
    yield "version 2 without a federation", changed(later.raw, {"federation": ABSENT})


def bad_schemas() -> Iterator[tuple[str, bytes]]:
    """Yield bytes that are no schemas, and why."""
    tensor = fields_of(SCHEMA.raw)["groups"][0]["tensors"][0]
    faults: Mapping[str, Mapping[str, object]] = {
        "an unknown format": {"format": 2},
        "the draft format": {"format": 0},
        "a charter's kind": {"kind": "charter"},
        "an unknown dtype": {"groups.0.tensors.0.dtype": "float128"},
        "a size below 0": {"groups.0.tensors.0.shape": [-1]},
        "17 sizes": {"groups.0.tensors.0.shape": [1] * 17},
        "more than 2 TiB": {"groups.0.tensors.0.shape": [2**38 + 1]},
        "floats with the rule max": {"groups.0.tensors.0.rule": "max"},
        "an unknown rule": {"groups.0.tensors.1.rule": "median"},
        "bool with the rule mean": {"groups.0.tensors.1.dtype": "bool", "groups.0.tensors.1.rule": "mean"},
        "a tensor's name twice": {"groups.0.tensors": [tensor, tensor]},
        "a tensor without a name": {"groups.0.tensors.0.name": ""},
        "a tensor's name of 513 characters": {"groups.0.tensors.0.name": "n" * 513},
        "a group's name twice": {"groups": [{"name": "w", "tensors": []}] * 2},
        "a label that is text": {"labels": {"tumour": "1"}},
        "channels that are no texts": {"channels": [1]},
        "no architecture": {"architecture": ABSENT},
    }
    for why, changes in faults.items():
        yield why, changed(SCHEMA.raw, changes)
