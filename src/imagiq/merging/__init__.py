"""Merging: numbered arithmetic on models, the same bits on every machine, streamed blob by blob.

Also what needs the same arithmetic or the same reading: norms, the gate before a merge, differences between models,
and the way between a model's bytes and numpy arrays.
"""

from imagiq.merging.arithmetic import check_arithmetic, distance, norm2
from imagiq.merging.arrays import blobs_of, numpy_dtype, schema_of, weights_of
from imagiq.merging.changed import changed_blobs
from imagiq.merging.difference import TensorDifference, differences
from imagiq.merging.gate import Gated, pass_gate
from imagiq.merging.layout import Read
from imagiq.merging.mean import MEAN, MEAN_VERSION, WEIGHT_LIMIT, Input, weighted_mean

__all__ = [
    "MEAN",
    "MEAN_VERSION",
    "WEIGHT_LIMIT",
    "Gated",
    "Input",
    "Read",
    "TensorDifference",
    "blobs_of",
    "changed_blobs",
    "check_arithmetic",
    "differences",
    "distance",
    "norm2",
    "numpy_dtype",
    "pass_gate",
    "schema_of",
    "weighted_mean",
    "weights_of",
]
