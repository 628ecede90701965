"""Prints by how many bytes a process grows at its peak while it merges; run by test_memory.py.

The models are of a few distinct blobs, made anew at each reading, as from a disk: what is held is the merge's own.
"""

from __future__ import annotations

import resource
import sys

import numpy as np

from imagiq.merging import Input, weighted_mean
from imagiq.objects import Digest, Tensor, Tree
from tests.merging.held import schema_with


def grown(dtype: str, inputs: int, megabytes: int) -> int:
    elements = megabytes * 2**20 // np.dtype("u2" if dtype == "bfloat16" else dtype).itemsize
    schema = schema_with(Tensor("first", "bool", (3,), "equal"), Tensor("large", dtype, (elements,)))
    sizes = {Digest(f"{place:064x}"): size for place, size in enumerate(schema.blob_sizes)}
    trees = [Tree(schema.digest, (*list(sizes)[:-1], Digest(f"{2**200 + number:064x}"))) for number in range(inputs)]
    sizes |= {tree.blobs[-1]: schema.blob_sizes[-1] for tree in trees}
    weighted = [Input(tree, 2**31 - 1) for tree in trees]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in weighted_mean(schema, weighted, lambda digest: bytes(sizes[digest])):
        pass
    return 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)


if __name__ == "__main__":
    print(grown(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
