"""Each bad input has its error, with a stable code and the name of what is wrong."""

from __future__ import annotations

from unittest.mock import patch

import numpy as np
import pytest

from imagiq.errors import Corrupt, ImagiqError, Refused, Unsupported
from imagiq.merging import Input, weighted_mean
from imagiq.merging.mean import TOTAL_LIMIT
from imagiq.objects import Digest, Tensor, Tree
from tests.merging.held import Held, one_tensor, schema_with

SCHEMA = one_tensor("float32", 4)
HELD = Held()
ONE = HELD.put(SCHEMA, np.arange(4, dtype="<f4").tobytes())
TWO = HELD.put(SCHEMA, np.ones(4, "<f4").tobytes())


def refusal(inputs: list[Input]) -> ImagiqError:
    with pytest.raises(ImagiqError) as caught:
        weighted_mean(SCHEMA, inputs, HELD.read)  # nothing is iterated: inputs are checked at once
    return caught.value


@pytest.mark.parametrize("weight", [0, -1, 2**31, True, 1.0, "3", None, np.int64(3)])
def test_weights_out_of_range_or_not_whole(weight: object) -> None:
    error = refusal([Input(ONE, 1), Input(TWO, weight)])  # type: ignore[arg-type]
    assert isinstance(error, Refused)
    assert error.code == "merge-weight"
    assert repr(weight) in error.what


def test_weights_whose_sum_float64_cannot_hold() -> None:
    assert TOTAL_LIMIT == 2**53
    with patch("imagiq.merging.mean.TOTAL_LIMIT", 2**32):
        assert next(weighted_mean(SCHEMA, [Input(ONE, 2**31 - 1), Input(ONE, 2**31 - 1), Input(TWO, 1)], HELD.read))
        error = refusal([Input(ONE, 2**31 - 1), Input(ONE, 2**31 - 1), Input(TWO, 2)])
    assert isinstance(error, Refused)
    assert error.code == "merge-weight"


def test_no_models() -> None:
    assert refusal([]).code == "merge-empty"


def test_a_tree_of_another_schema() -> None:
    other = one_tensor("float32", 5)
    error = refusal([Input(ONE, 1), Input(HELD.put(other, bytes(20)), 1)])
    assert isinstance(error, Refused)
    assert error.code == "merge-schema"
    assert "ensemble" in error.advice


def test_a_tree_with_too_many_blobs() -> None:
    error = refusal([Input(Tree(SCHEMA.digest, ONE.blobs * 2), 1)])
    assert isinstance(error, Corrupt)


@pytest.mark.parametrize("content", [b"", bytes(15), bytes(17)])
def test_a_blob_of_the_wrong_length(content: bytes) -> None:
    with pytest.raises(Corrupt, match=f"{len(content)} bytes") as caught:
        list(weighted_mean(SCHEMA, [Input(ONE, 1)], lambda _: content))
    assert caught.value.code == "blob-size"


@pytest.mark.parametrize("dtype", ["float8_e4m3fn", "float8_e5m2"])
def test_float8(dtype: str) -> None:
    schema = one_tensor(dtype, 2)
    with pytest.raises(Unsupported, match="'tensor'") as caught:
        weighted_mean(schema, [Input(HELD.put(schema, b"ab"), 1)], HELD.read)
    assert caught.value.code == "merge-float8"


def test_a_byte_that_is_no_bool() -> None:
    schema = schema_with(Tensor("a", "bool", (2,), "equal"), Tensor("mask", "bool", (2,), "equal"))
    with pytest.raises(Corrupt, match="'mask'") as caught:
        list(weighted_mean(schema, [Input(HELD.put(schema, bytes([0, 1, 2, 1])), 1)], HELD.read))
    assert caught.value.code == "tensor-bool"


def test_integers_that_must_be_equal() -> None:
    schema = schema_with(Tensor("a", "int16", (2,), "equal"), Tensor("classes", "int16", (2,), "equal"))
    rows = ([1, 2, 3, 4], [1, 2, 3, 5])
    inputs = [Input(HELD.put(schema, np.array(row, "<i2").tobytes()), 1) for row in rows]
    with pytest.raises(Refused, match="'classes'") as caught:
        list(weighted_mean(schema, inputs, HELD.read))
    assert caught.value.code == "merge-equal"


def test_what_reading_raises_passes_through() -> None:
    def missing(digest: Digest) -> bytes:
        raise KeyError(digest)

    with pytest.raises(KeyError):
        list(weighted_mean(SCHEMA, [Input(ONE, 1)], missing))
