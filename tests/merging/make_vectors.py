"""Writes the frozen vectors of the merge arithmetic, from the oracle alone: python -m tests.merging.make_vectors.

They were written once; a change of theirs is a new version of the arithmetic.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from imagiq.objects import DTYPE_SIZES, Digest, Group, Schema, Tensor
from tests.merging import oracle
from tests.merging.held import Held

HERE = Path(__file__).parent
SPEC = HERE.parents[1] / "spec" / "vectors" / "merge.json"
FROZEN = HERE / "vectors.json"

SPECIAL = {
    "float64": ["0000000000000080", "0100000000000000", "ffffffffffffef7f", "000000000000f07f", "010000000000f8ff"],
    "float32": ["00000080", "01000000", "ffff7f7f", "0000807f", "0100c0ff"],
    "float16": ["0080", "0100", "ff7b", "007c", "01fe"],
    "bfloat16": ["0080", "0100", "7f7f", "807f", "c1ff"],
}
"""Minus zero, the smallest denormal, the largest number, infinity and a NaN with sign and payload, as bytes."""


def element_bytes(rng: np.random.Generator, tensor: Tensor) -> bytes:
    width = DTYPE_SIZES[tensor.dtype]
    if tensor.dtype == "bool":
        return bytes([1, 0, 1, 1][: tensor.elements])
    if tensor.dtype not in oracle.FORMATS:
        return rng.integers(0, 256, tensor.nbytes, dtype=np.uint8).tobytes()
    normal = [float(value) for value in rng.standard_normal(tensor.elements) * 10.0 ** rng.integers(-3, 3)]
    raws = []
    for number in normal:
        bits = int(np.float64(number).view(np.uint64))
        raws.append(oracle.encode(tensor.dtype, oracle.decode("float64", bits)).to_bytes(width, "little"))
    special = [bytes.fromhex(text) for text in SPECIAL[tensor.dtype]]
    for place in range(0, tensor.elements, 2):
        raws[place] = special[int(rng.choice(len(special), p=[0.35, 0.4, 0.15, 0.05, 0.05]))]
    return b"".join(raws)


def vector(name: str, tensors: list[Tensor], weights: list[int], seed: int) -> dict[str, Any]:
    """Return one vector; the last model is given twice, so that its weights must be taken together."""
    rng = np.random.default_rng(seed)
    schema = Schema(groups=(Group("weights", tuple(tensors)),))
    first = [element_bytes(rng, tensor) for tensor in tensors]
    models = [
        [raw if t.rule == "equal" else element_bytes(rng, t) for t, raw in zip(tensors, first, strict=True)]
        for _ in weights
    ]
    models.append(models[-1])
    held = Held()
    trees = [held.put(schema, b"".join(model)) for model in models]
    given = [*weights, 5]
    together: dict[Digest, int] = {}
    for tree, weight in zip(trees, given, strict=True):
        together[tree.digest] = together.get(tree.digest, 0) + weight
    by_digest = {tree.digest: model for tree, model in zip(trees, models, strict=True)}
    result = [
        oracle.merge(
            tensor.dtype, tensor.rule, [(by_digest[digest][place], together[digest]) for digest in sorted(together)]
        )
        for place, tensor in enumerate(tensors)
    ]
    assert None not in result
    return {
        "name": name,
        "schema": schema.raw.decode(),
        "inputs": [
            {"tree": tree.digest, "weight": weight, "tensors": _hex(tensors, model)}
            for tree, weight, model in zip(trees, given, models, strict=True)
        ],
        "result": {
            "tree": held.put(schema, b"".join(part for part in result if part is not None)).digest,
            "tensors": _hex(tensors, result),
        },
    }


def _hex(tensors: list[Tensor], raws: Any) -> dict[str, str]:
    return {tensor.name: raw.hex() for tensor, raw in zip(tensors, raws, strict=True)}


def vectors() -> dict[str, Any]:
    found = [
        vector(dtype, [Tensor("tensor", dtype, (12,))], [303, 261, 46, 2**31 - 1], seed)
        for seed, dtype in enumerate(oracle.FORMATS)
    ]
    found += [
        vector(f"{dtype} {rule}", [Tensor("tensor", dtype, (6,), rule)], [3, 1, 2**31 - 1], seed)
        for seed, dtype in enumerate(oracle.INTEGERS)
        for rule in ("mean", "max", "min")
    ]
    mixed = [
        Tensor("flag", "bool", (3,), "equal"),
        Tensor("weight", "float32", (2, 3)),
        Tensor("empty", "float32", (0,)),
        Tensor("steps", "int64", (), "max"),
        Tensor("half", "bfloat16", (3,)),
        Tensor("classes", "uint8", (2,), "equal"),
        Tensor("double", "float64", (2,)),
    ]
    found.append(vector("mixed", mixed, [130, 46, 261, 303], 99))
    found.append(vector("one model", [Tensor("tensor", "float32", (8,))], [7], 100))
    return {"arithmetic": "mean", "version": 1, "vectors": found}


if __name__ == "__main__":
    text = json.dumps(vectors(), indent=1) + "\n"
    SPEC.write_text(text)
    FROZEN.write_text(text)
