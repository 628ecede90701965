"""Prints what merges, norms and differences give on this machine with these settings; run by test_machines.py."""

from __future__ import annotations

import hashlib
import importlib
import json
import sys
from typing import Any

import numpy as np

from imagiq.merging import differences, distance, norm2, numpy_dtype, pass_gate
from imagiq.objects import DTYPE_SIZES, Tensor
from tests.merging.held import Held, schema_with

_UMATH: Any = importlib.import_module("numpy._core._multiarray_umath")
DISPATCHED: list[str] = sorted(_UMATH.__cpu_dispatch__)
"""The processor features for which this numpy has code that can be switched off."""


def results(elements: int) -> dict[str, str]:
    found: dict[str, str] = {}
    for dtype in DTYPE_SIZES:
        if dtype == "bool" or dtype.startswith("float8"):
            continue
        rng = np.random.default_rng(11)
        schema = schema_with(Tensor("odd", "uint8", (3,), "max"), Tensor("tensor", dtype, (elements,)))
        held, trees = Held(), []
        for _ in range(4):
            if "float" in dtype:
                numbers = rng.standard_normal(elements) * 10.0 ** rng.integers(
                    -30 if dtype == "float32" else -3, 3, elements
                )
                raw = numbers.astype("<f4" if dtype == "bfloat16" else dtype).tobytes()
                raw = np.frombuffer(raw, "<u2")[1::2].tobytes() if dtype == "bfloat16" else raw
            else:
                raw = rng.integers(0, 256, elements * DTYPE_SIZES[dtype], dtype=np.uint8).tobytes()
            trees.append(held.put(schema, bytes([1, 2, 3]) + raw))
        merged = held.merge(schema, [(tree, n) for tree, n in zip(trees, (303, 261, 46, 130), strict=True)])
        found[dtype] = hashlib.sha256(merged).hexdigest()
        norm = pass_gate(schema, trees[0], held.read, largest_norm=1e300).norm
        found[dtype + " norm"] = "" if norm is None else norm.hex()
        found[dtype + " differences"] = repr(list(differences(schema, trees[0], trees[1], held.read)))
        if "float" in dtype and dtype != "bfloat16":
            left, right = (np.frombuffer(held.bytes_of(tree)[3:], numpy_dtype(dtype)) for tree in trees[:2])
            found[dtype + " arrays"] = norm2([left]).hex() + distance([left], [right]).hex()
    return found


if __name__ == "__main__":
    report = {
        "dispatched": DISPATCHED,
        "on": [name for name in DISPATCHED if _UMATH.__cpu_features__.get(name)],
        "results": results(int(sys.argv[1])),
    }
    print(json.dumps(report))
