"""Weights are taken as they are: not normalised, and not reduced to lowest terms either."""

from __future__ import annotations

import numpy as np

from tests.merging.held import Held, one_tensor

WEIGHTS = (3 * 303, 3 * 261, 3 * 130)


def test_weights_that_share_a_factor_keep_it() -> None:
    """The quotient is the same number, but each sum on the way is rounded elsewhere."""
    rng = np.random.default_rng(11)
    held, schema = Held(), one_tensor("float64", 4096)
    rows = {held.put(schema, row.tobytes()): row for row in (rng.standard_normal(4096) for _ in WEIGHTS)}
    weights = dict(zip(rows, WEIGHTS, strict=True))
    merged = np.frombuffer(held.merge(schema, list(weights.items())))

    def mean(divisor: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        total = np.zeros(4096)
        for tree in sorted(rows, key=lambda one: one.digest):
            total = total + rows[tree] * float(weights[tree] // divisor)
        return np.asarray(total / float(sum(WEIGHTS) // divisor))

    assert merged.tobytes() == mean(1).tobytes()
    assert merged.tobytes() != mean(3).tobytes()
