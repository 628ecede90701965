"""Makes the test vectors, always the same: ``python -m spec.vectors.make [FOLDER]``, with imagiq on the path."""
# ruff: noqa: INP001 - a script

from __future__ import annotations

import json
import struct
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

from imagiq.errors import ImagiqError
from imagiq.keys import (
    GROUP_ORDER,
    SMALL_ORDER_Y,
    FeedKey,
    SiteKey,
    recovery_signature,
    verify_certificate,
    verify_commit,
)
from imagiq.objects import (
    JSON,
    Commit,
    Group,
    Recipe,
    Schema,
    Tensor,
    decimal,
    digest_of,
    encode,
    parse_charter,
    parse_commit,
    parse_schema,
)
from spec.vectors.builder import Federation, Site, founding
from spec.vectors.damage import bad_charters, bad_commits, bad_schemas, resigned
from spec.vectors.scenes import SCENES, answers
from spec.vectors.sealed import sealed_vectors

__all__ = ["FILES", "code_of", "main", "sample"]

GOOD_VALUES: tuple[JSON, ...] = (
    {},
    {"b": 1, "a": [True, False, None, -1, 0, 9007199254740991, -9007199254740991], "c": {}, "d": []},
    {"text": '"\\\b\t\n\f\r\x00\x1f\x7f/é€\u2028\U0001f600'},
    {"\U0001f600": 1, "\ue000": 2, "é": 3, "a": 4, "B": 5, "": 6, "10": 7, "9": 8},
    {"deepest": [[[[[[[[[[[[[[[]]]]]]]]]]]]]]]},
)

REFUSED_TEXTS: Mapping[str, bytes] = {
    "white space": b'{"a": 1}',
    "a line end at the end": b'{"a":1}\n',
    "a byte order mark": b"\xef\xbb\xbf{}",
    "not sorted": b'{"b":1,"a":2}',
    "sorted by code points, not by UTF-16": '{"\ue000":2,"\U0001f600":1}'.encode(),
    "a name twice": b'{"a":1,"a":1}',
    "a name twice, once escaped": b'{"a":1,"\\u0061":1}',
    "a float": b'{"a":1.5}',
    "a float that is whole": b'{"a":1.0}',
    "an exponent": b'{"a":1e2}',
    "minus zero": b'{"a":-0}',
    "a leading zero": b'{"a":01}',
    "a plus": b'{"a":+1}',
    "2^53": b'{"a":9007199254740992}',
    "-2^53": b'{"a":-9007199254740992}',
    "an integer of 5,000 digits": b'{"a":' + b"9" * 5000 + b"}",
    "NaN": b'{"a":NaN}',
    "Infinity": b'{"a":-Infinity}',
    "a slash escaped": b'{"a":"\\/"}',
    "a letter escaped": b'{"a":"\\u0041"}',
    "a line end written as U+000A": b'{"a":"\\u000a"}',
    "upper-case hexadecimal": b'{"a":"\\u001F"}',
    "a surrogate": b'{"a":"\\ud800"}',
    "a surrogate as a name": b'{"\\ud800":1}',
    "a surrogate in UTF-8": b'{"a":"\xed\xa0\x80"}',
    "not UTF-8": b'{"a":"\xff"}',
    "UTF-16": '{"a":1}'.encode("utf-16"),
    "nested 17 deep": b'{"a":' + b"[" * 16 + b"]" * 16 + b"}",
    "nested 3,000 deep": b'{"a":' + b"[" * 3_000 + b"]" * 3_000 + b"}",
    "an array outside": b"[]",
    "a number outside": b"1",
    "nothing": b"",
    "cut off": b'{"a":1',
    "something after it": b"{}{}",
}

FLOATS = [
    "0000000000000000",
    "8000000000000000",
    "3ff0000000000000",
    "bff8000000000000",
    "0000000000000001",
    "8000000000000001",
    "7fefffffffffffff",
    "ffefffffffffffff",
    "4340000000000000",
    "c340000000000000",
    "4430000000000000",
    "44b52d02c7e14af5",
    "44b52d02c7e14af6",
    "44b52d02c7e14af7",
    "444b1ae4d6e2ef4e",
    "444b1ae4d6e2ef4f",
    "444b1ae4d6e2ef50",
    "3eb0c6f7a0b5ed8c",
    "3eb0c6f7a0b5ed8d",
    "41b3de4355555553",
    "41b3de4355555554",
    "41b3de4355555555",
    "becbf647612f3696",
    "43143ff3c1cb0959",
    "3fb999999999999a",
    "3fd5555555555555",
    "3e7ad7f29abcaf48",
    "0010000000000000",
    "1000000000000000",
    "1000000000000000",
]
REFUSED_DECIMALS = ["-0", "+1", "01", "1.", ".5", "1.0", "1.50", "1e5", "1E+21", "1e21", "1e+021", "1e-07", "0.0000001"]
REFUSED_DECIMALS += [
    "1000000000000000000000",
    "NaN",
    "Infinity",
    "-inf",
    "0x1",
    "1_0",
    "0.1000000000000000055",
    "1e+400",
]
REFUSED_DECIMALS += ["2e-324", "\u0661", "", " 1", "1 ", "1\n"]

SIZES_OF: Mapping[str, tuple[Group, ...]] = {
    "nothing": (),
    "empty tensors": (Group("weights", (Tensor("a", "float32", (0, 3)), Tensor("b", "int8", (0,), "max"))),),
    "a number": (Group("weights", (Tensor("a", "float64", ()),)),),
    "small tensors share a blob": (Group("w", (Tensor("a", "float32", (10,)), Tensor("b", "bool", (3,), "equal"))),),
    "65,535 bytes are small": (Group("w", (Tensor("a", "uint8", (65_535,)), Tensor("b", "uint8", (1,)))),),
    "65,536 bytes stand alone": (
        Group("w", (Tensor("a", "int16", (5,)), Tensor("b", "bfloat16", (256, 128)), Tensor("c", "int16", (5,)))),
    ),
    "a large tensor is cut every 4 MiB": (
        Group("w", (Tensor("a", "float32", (2**20 + 1,)), Tensor("b", "int8", (1,)))),
    ),
    "exactly 4 MiB": (Group("w", (Tensor("a", "float64", (2**19,)),)),),
    "a run of small tensors is cut every 4 MiB, within an element": (
        Group("w", (Tensor("a", "uint8", (3,)), *(Tensor(f"t{n}", "float64", (8_191,)) for n in range(70)))),
    ),
    "each group begins a blob": (
        Group("w", (Tensor("a", "float16", (3,)),)),
        Group("none", ()),
        Group("control", (Tensor("b", "float16", (3,)),)),
    ),
    "an empty large tensor does not cut": (
        Group("w", (Tensor("a", "int8", (1,)), Tensor("b", "float32", (2**30, 0)), Tensor("c", "int8", (1,)))),
    ),
}


def code_of(call: Callable[[], object]) -> str:
    """Return the code of the error that a call raises, "" if it raises none."""
    try:
        call()
    except ImagiqError as error:
        return error.code
    return ""


def json_vectors() -> dict[str, object]:
    """Canonical JSON, good and refused."""
    good = [encode(value) for value in GOOD_VALUES]
    return {
        "good": [{"value": value, "bytes": text.hex()} for value, text in zip(GOOD_VALUES, good, strict=True)],
        "refused": [{"why": why, "bytes": text.hex()} for why, text in REFUSED_TEXTS.items()],
    }


def decimal_vectors() -> dict[str, object]:
    """Decimals: the bits of a float64, big-endian, and its text."""
    numbers = [struct.unpack(">d", bytes.fromhex(bits))[0] for bits in FLOATS]
    good = [{"bits": bits, "text": decimal(number)} for bits, number in zip(FLOATS, numbers, strict=True)]
    return {"good": good, "refused": REFUSED_DECIMALS}


def object_vectors() -> dict[str, object]:
    """Digests, schemas with the sizes of their blobs, trees, charters."""
    contents = [b"", b"abc", bytes(range(256))]
    world = SCENES["settled"]()
    tree = world.model(1.5, -2.0, 7)
    schemas = {name: Schema(groups=groups) for name, groups in SIZES_OF.items()}
    return {
        "digests": [{"bytes": content.hex(), "digest": digest_of(content)} for content in contents],
        "schemas": [
            {"name": name, "text": schema.raw.decode(), "digest": schema.digest, "blob_sizes": schema.blob_sizes}
            for name, schema in schemas.items()
        ],
        "bad_schemas": [
            {"why": why, "bytes": raw.hex(), "code": code_of(partial(parse_schema, raw))} for why, raw in bad_schemas()
        ],
        "trees": [{"bytes": world.objects[tree].hex(), "digest": tree}],
        "charters": [{"text": charter.raw.decode(), "digest": charter.digest} for charter in world.charters],
        "bad_charters": [
            {"why": why, "bytes": raw.hex(), "code": code_of(partial(parse_charter, raw))}
            for why, raw in bad_charters()
        ],
    }


def sample() -> tuple[Federation, Commit, Commit]:
    """Return a federation, the first commit of a feed, and one with parents, study, model and cases."""
    sites = [Site("anna"), Site("bert")]
    world = Federation(founding(sites))
    world.found(sites)
    study = world.commit(sites[0], Recipe("note", 1, {"text": "é", "list": [1, {"a": None}]}, 7))
    second = world.commit(
        sites[1], Recipe("train"), parents=[("base", study)], study=study, tree=world.model(0.1, 0.2, 1), cases=303
    )
    return world, world.commits[0], second


def commit_vectors() -> dict[str, object]:
    """Keys, signatures, certificates, commits, and bytes that are refused."""
    world, first, second = sample()
    seeds = [bytes([number]) * 32 for number in (0, 1, 255)]
    message = world.charter.digest
    good = {"a feed's first commit": first, "with parents, study, model and cases": second}
    good |= {why: resigned(commit, fields) for why, commit, fields in _carried(first, second)}
    return {
        "feed_keys": [{"seed": seed.hex(), "public": FeedKey(seed).public} for seed in seeds],
        "site_keys": [
            {"seed": s.hex(), "site_key": SiteKey(s).public, "exchange_key": SiteKey(s).exchange_public} for s in seeds
        ],
        "weak_y": [f"{y:064x}" for y in sorted(SMALL_ORDER_Y)],
        "group_order": f"{GROUP_ORDER:064x}",
        "recovery": [{"seed": s.hex(), "charter": message, "signature": recovery_signature(s, message)} for s in seeds],
        "good": [{"name": name, "bytes": commit.raw.hex(), "digest": commit.digest} for name, commit in good.items()],
        "refused": [
            {"why": why, "bytes": raw.hex(), "code": code_of(partial(_admit, raw))}
            for why, raw in bad_commits(first, second)
        ],
    }


def _carried(first: Commit, second: Commit) -> Iterator[tuple[str, Commit, dict[str, JSON]]]:
    yield "unknown fields are carried", second, {"later": {"x": [None, True]}, "metrics": {"auc": "0.5", "n": -3}}
    recipe: dict[str, JSON] = {"name": "later", "version": 9, "parameters": {}, "more": 1}
    yield "an unknown recipe is carried", second, {"recipe": recipe}
    yield "unknown fields of a certificate are signed by the site", first, {"certificate": {"expires": "never"}}


def _admit(raw: bytes) -> None:
    commit = verify_commit(parse_commit(raw))
    if commit.number == 1:
        verify_certificate(commit)


def scene_vectors() -> dict[str, object]:
    """Federations: all charters and commits, in an order in which they can be admitted, and what follows from them."""
    worlds = {name: scene() for name, scene in SCENES.items()}
    return {
        name: {
            "what": " ".join((SCENES[name].__doc__ or "").split()),
            "charters": [charter.raw.decode() for charter in world.charters],
            "commits": [commit.raw.hex() for commit in world.commits],
            "answers": answers(world),
        }
        for name, world in worlds.items()
    }


FILES: Mapping[str, Callable[[], dict[str, object]]] = {
    "json.json": json_vectors,
    "decimals.json": decimal_vectors,
    "objects.json": object_vectors,
    "commits.json": commit_vectors,
    "federations.json": scene_vectors,
    "sealed.json": sealed_vectors,
}
"""Each file of vectors, and what makes it. ``merge.json`` beside them is made from an oracle of its own."""


def main(folder: Path) -> None:
    """Write all files into a folder."""
    for name, make in FILES.items():
        text = json.dumps(make(), indent=1, ensure_ascii=True) + "\n"
        (folder / name).write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
