"""What a merge does to the elements of one run: one way for each rule, taking input after input.

An accumulator is made for a run, takes the run's elements from each input, and writes the result. It works on blocks
of 65,536 elements and holds at most 32 MiB for a blob of 4 MiB, however many inputs come.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from imagiq.merging.arrays import BLOCK, Array, numpy_dtype
from imagiq.merging.floats import narrow, widen

__all__ = ["Accumulator", "Differs", "Equal", "Extreme", "FloatMean", "IntegerMean", "accumulator"]


class Differs(Exception):
    """Elements that must be equal are not; the first of them is ``element``.

    Only a signal: it becomes Refused where the tensor's name is known.
    """

    def __init__(self, element: int) -> None:
        super().__init__(element)
        self.element = element


class Accumulator(Protocol):
    """Takes the elements of one run from each input, then writes the result."""

    def add(self, values: Array, weight: int) -> None:
        """Take one input's elements, of shape ``[elements]``."""
        ...

    def finish(self, total: int, out: Array) -> None:
        """Write the result into ``out`` of shape ``[elements]``; ``total`` is the sum of the weights."""
        ...


def accumulator(dtype: str, rule: str, elements: int, total: int) -> Accumulator:
    """Return what merges a run of this kind, for weights that sum up to ``total``."""
    if rule in ("max", "min"):
        return Extreme(rule)
    if rule == "equal":
        return Equal()
    if "float" in dtype:
        return FloatMean(dtype, elements)
    return IntegerMean(dtype, elements, total)


def _blocks(elements: int) -> list[slice]:
    return [slice(at, min(at + BLOCK, elements)) for at in range(0, elements, BLOCK)]


class FloatMean:
    """The weighted mean of floats: +0.0, then + x * n input by input, one division, one rounding."""

    def __init__(self, dtype: str, elements: int) -> None:
        self._dtype = dtype
        self._sum = np.empty(elements)
        self._product = np.empty(min(elements, BLOCK))
        self._first = True

    def add(self, values: Array, weight: int) -> None:
        """Add ``values`` times ``weight``; the product and the sum are each rounded to float64."""
        factor = np.float64(weight)
        for part in _blocks(self._sum.size):
            block = self._sum[part]
            product = widen(self._dtype, values[part], self._product[: block.size])
            np.multiply(product, factor, out=product)
            np.add(product, 0.0 if self._first else block, out=block)
        self._first = False

    def finish(self, total: int, out: Array) -> None:
        """Divide by the weights' sum and round into the target type."""
        divisor = np.float64(total)
        for part in _blocks(self._sum.size):
            block = self._sum[part]
            np.divide(block, divisor, out=block)
            narrow(self._dtype, block, out[part])


class IntegerMean:
    """The weighted mean of integers: the exact sum, divided once, rounded half to even.

    A product of a number and a weight may have 117 bits. So numbers are cut into limbs that are narrow enough for
    their weighted sums to stay below 2^62, and only the result is put together, in integers of any size.
    """

    def __init__(self, dtype: str, elements: int, total: int) -> None:
        self._bits = 62 - total.bit_length()
        width = 8 * numpy_dtype(dtype).itemsize
        self._sums = [np.zeros(elements, np.int64) for _ in range(0, width, self._bits)]

    def add(self, values: Array, weight: int) -> None:
        """Add ``values`` times ``weight``, limb by limb; the uppermost limb bears the sign."""
        for part in _blocks(values.size):
            rest = values[part]
            for limb, sums in enumerate(self._sums):
                last = limb == len(self._sums) - 1
                low = rest if last else rest & rest.dtype.type(2**self._bits - 1)
                sums[part] += low.astype(np.int64) * np.int64(weight)
                rest = rest if last else rest >> rest.dtype.type(self._bits)

    def finish(self, total: int, out: Array) -> None:
        """Put the sums together, divide and round."""
        for part in _blocks(out.size):
            if len(self._sums) == 1:
                sums: Array = self._sums[0][part]
            else:
                sums = np.zeros(out[part].size, object)
                for limb in reversed(self._sums):
                    sums = sums * 2**self._bits + limb[part].astype(object)
            quotient = sums // total
            twice = (sums - quotient * total) * 2
            up = (twice > total) | ((twice == total) & (quotient % 2 == 1))
            np.copyto(out[part], quotient + up.astype(quotient.dtype), casting="unsafe")


class Extreme:
    """The largest or the smallest of the integers, whatever the weights."""

    def __init__(self, rule: str) -> None:
        self._choose = np.maximum if rule == "max" else np.minimum
        self._best: Array = np.empty(0)
        self._first = True

    def add(self, values: Array, weight: int) -> None:  # noqa: ARG002 - weights do not count here
        """Keep the more extreme of each element."""
        if self._first:
            self._best, self._first = values.copy(), False
        else:
            self._choose(self._best, values, out=self._best)

    def finish(self, total: int, out: Array) -> None:  # noqa: ARG002
        """Write the extremes."""
        np.copyto(out, self._best)


class Equal:
    """What all inputs agree on."""

    def __init__(self) -> None:
        self._agreed: Array = np.empty(0)
        self._first = True

    def add(self, values: Array, weight: int) -> None:  # noqa: ARG002
        """Compare with the first input.

        Raises:
            Differs: an element is another one.
        """
        if self._first:
            self._agreed, self._first = values.copy(), False
        elif not np.array_equal(self._agreed, values):
            unequal: NDArray[np.bool_] = self._agreed != values
            raise Differs(int(unequal.argmax()))

    def finish(self, total: int, out: Array) -> None:  # noqa: ARG002
        """Write what was agreed on."""
        np.copyto(out, self._agreed)
