"""Canonical JSON: one value, one encoding (RFC 8785, without floats).

A number is an integer of magnitude below 2^53, or a string that holds the shortest decimal which reads back as the
same float64 (ECMAScript's rule, which RFC 8785 uses). Foreign text is read strictly: what would not be written exactly
so is refused.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Final, NoReturn, TypeAlias

import rfc8785

from imagiq.errors import BudgetSpent, Corrupt, Misuse

__all__ = ["JSON", "Fields", "decimal", "decode", "encode", "parse_decimal"]

JSON: TypeAlias = "str | int | Sequence[JSON] | Mapping[str, JSON] | None"

MAX_DEPTH = 16
INTEGER_LIMIT = 2**53
_WRITER: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))


def encode(value: JSON) -> bytes:
    """Return the one encoding of ``value``.

    Raises:
        Misuse: the value holds a float, an integer of 2^53 or more, text that is not Unicode, or is nested too deep.
    """
    return _written(_plain(value, MAX_DEPTH))


def _written(plain: JSON) -> bytes:
    """Return the encoding of a value of dicts, lists, texts and integers that are not too large, and not nested too deep."""
    try:
        text = _WRITER.encode(plain)
        # Python sorts keys by code points, RFC 8785 by UTF-16 code units: for ASCII that is the same.
        return text.encode("ascii") if text.isascii() else rfc8785.dumps(plain)
    except (rfc8785.CanonicalizationError, TypeError, UnicodeEncodeError) as error:
        raise _unwritable(str(error)) from error


def _plain(value: JSON, depth_left: int) -> JSON:
    """Return ``value`` with dicts and lists for whatever mappings and sequences it holds."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, float):
        raise Misuse("json-float", "A float stands in a signed object.", "Write it with decimal().")
    if isinstance(value, int) and not -INTEGER_LIMIT < value < INTEGER_LIMIT:
        raise _unwritable("it holds an integer of 2^53 or more")
    if isinstance(value, int) or not isinstance(value, dict | list | tuple | Mapping):
        return value
    if depth_left == 0:
        raise _too_deep()
    if isinstance(value, list | tuple):
        return [_plain(item, depth_left - 1) for item in value]
    if not all([isinstance(key, str) for key in value]):  # noqa: C419 - a list is faster, and this is in every commit
        raise _unwritable("a key is no text")
    return {key: item if type(item) is str else _plain(item, depth_left - 1) for key, item in value.items()}


def _check_depth(value: JSON) -> None:
    """Check that a value of dicts and lists is not nested too deep, level by level."""
    level: list[JSON] = [value]
    for _ in range(MAX_DEPTH):
        insides = [one.values() if isinstance(one, dict) else one for one in level if isinstance(one, dict | list)]
        level = [item for inside in insides for item in inside if type(item) is dict or type(item) is list]
        if not level:
            return
    raise _too_deep()


def _too_deep() -> Misuse:
    return Misuse("json-depth", f"A value is nested deeper than {MAX_DEPTH}.", "Make it flatter.")


def _unwritable(why: str) -> Misuse:
    return Misuse(
        "json-value", f"A value cannot be written as canonical JSON: {why}.", "Use smaller integers or a string."
    )


def decode(raw: bytes, *, limit: int, what: str) -> Fields:
    """Read a foreign JSON object strictly.

    Args:
        raw: The bytes as they came.
        limit: The most bytes that are looked at.
        what: What it should be, for messages: "a commit", "a charter".

    Raises:
        BudgetSpent: longer than ``limit``.
        Corrupt: not JSON, not an object, floats, duplicate keys, too deep, or not in its one encoding.
    """
    if len(raw) > limit:
        raise BudgetSpent(
            "object-size", f"{what.capitalize()} has {len(raw)} bytes, more than {limit}.", "Ask its author."
        )
    try:
        value = json.loads(
            raw.decode("utf-8"),
            object_pairs_hook=_object_without_duplicates,
            parse_float=_refuse_number,
            parse_constant=_refuse_number,
            parse_int=_parse_int,
        )
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError, _NotCanonical) as error:
        raise _damaged(what, str(error) or "it is not JSON") from error
    if not isinstance(value, dict):
        raise _damaged(what, "it is not a JSON object")
    try:
        _check_depth(value)
        again = _written(value)  # what the reader above lets through holds no float, no large integer, no other kind
    except Misuse as error:
        raise _damaged(what, error.what) from error
    if again != raw:
        raise _damaged(what, "its JSON is not in canonical form")
    return Fields(value, what)


class _NotCanonical(ValueError):
    """Raised inside the JSON reader, turned into Corrupt at its edge."""


def _object_without_duplicates(pairs: list[tuple[str, JSON]]) -> dict[str, JSON]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise _NotCanonical("a key stands twice")
    return fields


def _refuse_number(text: str) -> NoReturn:
    raise _NotCanonical(f"it holds the number {text[:20]}, which is no integer")


def _parse_int(text: str) -> int:
    if len(text) > len("-9007199254740991") or abs(int(text)) >= INTEGER_LIMIT:
        raise _NotCanonical("it holds an integer of 2^53 or more")
    return int(text)


def _damaged(what: str, why: str) -> Corrupt:
    return Corrupt(
        "json-form", f"{what.capitalize()} is malformed: {why.rstrip('.')}.", "Get it again from another holder."
    )


def decimal(number: float) -> str:
    """Return the shortest decimal that reads back as ``number``, in ECMAScript's form.

    Raises:
        Misuse: ``number`` is not finite; what is undefined is left out, not written.
    """
    if not math.isfinite(number):
        raise Misuse("decimal-finite", "A number that is not finite cannot be recorded.", "Leave the value out.")
    return rfc8785.dumps(float(number)).decode("ascii")


def parse_decimal(text: str, what: str) -> float:
    """Return the float64 that ``text`` stands for.

    Raises:
        Corrupt: the text is not the one decimal of a finite number.
    """
    if text.isascii() and len(text) <= 32 and not set(text) - set("0123456789.e+-"):
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if math.isfinite(number) and decimal(number) == text:
            return number
    raise Corrupt("decimal-form", f"{what} is not a shortest round-trip decimal.", "Get the object again.")


class Fields:
    """A JSON object as it was read: each field is taken with its type, or the whole is refused."""

    def __init__(self, values: Mapping[str, JSON], what: str) -> None:
        self.values = values
        self._what = what

    def _wrong(self, key: str, wanted: str) -> Corrupt:
        return Corrupt(
            "object-field", f"{self._what.capitalize()} needs '{key}' as {wanted}.", "Get it again, or ask its author."
        )

    def text(self, key: str, *, limit: int = 4096) -> str:
        """Return the text under ``key``, of at most ``limit`` characters."""
        value = self.values.get(key)
        if not isinstance(value, str) or len(value) > limit:
            raise self._wrong(key, f"text of at most {limit} characters")
        return value

    def integer(self, key: str, *, least: int = 0, below: int = INTEGER_LIMIT) -> int:
        """Return the integer under ``key``, with ``least <= value < below``."""
        value = self.values.get(key)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value < below:
            raise self._wrong(key, f"an integer from {least} to {below - 1}")
        return value

    def mapping(self, key: str) -> Mapping[str, JSON]:
        """Return the JSON object under ``key``."""
        value = self.values.get(key)
        if not isinstance(value, Mapping):
            raise self._wrong(key, "an object")
        return value

    def object(self, key: str) -> Fields:
        """Return the JSON object under ``key``, to be read field by field."""
        return Fields(self.mapping(key), f"{self._what}'s {key}")

    def array(self, key: str, *, limit: int) -> tuple[JSON, ...]:
        """Return the array under ``key``, of at most ``limit`` items."""
        value = self.values.get(key)
        if not isinstance(value, list | tuple) or len(value) > limit:
            raise self._wrong(key, f"an array of at most {limit} items")
        return tuple(value)

    def texts(self, key: str, *, limit: int) -> tuple[str, ...]:
        """Return the array of texts under ``key``."""
        items = self.array(key, limit=limit)
        texts = tuple(item for item in items if isinstance(item, str))
        if len(texts) != len(items):
            raise self._wrong(key, "an array of texts")
        return texts

    def objects(self, key: str, *, limit: int) -> tuple[Fields, ...]:
        """Return the array of JSON objects under ``key``, each to be read field by field."""
        items = self.array(key, limit=limit)
        objects = [Fields(item, f"{self._what}'s {key}") for item in items if isinstance(item, Mapping)]
        if len(objects) != len(items):
            raise self._wrong(key, "an array of objects")
        return tuple(objects)

    def __contains__(self, key: str) -> bool:
        """Tell whether the field is there."""
        return key in self.values
