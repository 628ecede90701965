"""edwards25519 in affine coordinates, from RFC 8032 alone: slow, plain, and sharing nothing with imagiq."""

from __future__ import annotations

import hashlib
from functools import cache
from typing import TypeAlias

Point: TypeAlias = tuple[int, int]

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
IDENTITY: Point = (0, 1)


def x_of(y: int, sign: int) -> int | None:
    """The x with this sign bit at this y; None if there is none."""
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * pow(2, (P - 1) // 4, P) % P
    if x * x % P != square or (x == 0 and sign):
        return None
    return x if x % 2 == sign else P - x


BASE_Y = 4 * pow(5, -1, P) % P
BASE: Point = (x_of(BASE_Y, 0) or 0, BASE_Y)


def add(a: Point, b: Point) -> Point:
    (x1, y1), (x2, y2) = a, b
    product = D * x1 * x2 * y1 * y2
    return (
        (x1 * y2 + x2 * y1) * pow(1 + product, -1, P) % P,
        (y1 * y2 + x1 * x2) * pow(1 - product, -1, P) % P,
    )


def multiply(times: int, point: Point) -> Point:
    result = IDENTITY
    while times:
        if times & 1:
            result = add(result, point)
        point, times = add(point, point), times >> 1
    return result


def order(point: Point) -> int:
    """The order of a point of small order."""
    return next(n for n in (1, 2, 4, 8) if multiply(n, point) == IDENTITY)


@cache
def points_of_small_order() -> tuple[Point, ...]:
    """The eight points whose order divides the cofactor: multiples of L times some points of the whole curve."""
    found = {IDENTITY}
    for y in range(2, 40):
        x = x_of(y, 0)
        if x is not None:
            torsion = multiply(L, (x, y))
            found |= {multiply(n, torsion) for n in range(8)}
    return tuple(sorted(found))


def encode(point: Point) -> bytes:
    x, y = point
    return (y | (x & 1) << 255).to_bytes(32, "little")


def decode(raw: bytes) -> Point | None:
    number = int.from_bytes(raw, "little")
    y, sign = number % 2**255, number >> 255
    x = x_of(y, sign)
    return None if x is None else (x, y)


def holds(key: bytes, signature: bytes, message: bytes, *, cofactor: int = 1) -> bool:
    """The equation alone, as the laxest reader would check it: S·B = R + k·A, both sides times the cofactor."""
    a, r = decode(key), decode(signature[:32])
    if a is None or r is None:
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % (8 * L)
    left = multiply(cofactor * int.from_bytes(signature[32:], "little"), BASE)
    return left == multiply(cofactor, add(r, multiply(k, a)))
