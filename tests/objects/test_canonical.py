"""One value has one encoding, and only that one is read."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from contextlib import suppress
from types import MappingProxyType

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from imagiq.errors import BudgetSpent, Corrupt, Misuse
from imagiq.objects import JSON, decimal, encode, parse_decimal
from imagiq.objects.canonical import Fields, decode
from tests.objects.strategies import floats, objects, safe_integers

LIMIT = 10**6


def read(raw: bytes) -> Mapping[str, JSON]:
    return decode(raw, limit=LIMIT, what="a test").values


@given(objects)
def test_what_is_written_reads_back_and_is_written_alike_again(value: Mapping[str, JSON]) -> None:
    raw = encode(value)
    assert read(raw) == value
    assert encode(read(raw)) == raw


@given(objects)
def test_order_and_kind_of_mappings_and_sequences_do_not_matter(value: Mapping[str, JSON]) -> None:
    def otherwise(item: JSON) -> JSON:
        if isinstance(item, Mapping):
            return MappingProxyType({key: otherwise(item[key]) for key in reversed(list(item))})
        return tuple(map(otherwise, item)) if isinstance(item, list) else item

    assert encode(otherwise(value)) == encode(value)


@given(objects, st.data())
def test_any_other_writing_of_the_same_value_is_refused(value: Mapping[str, JSON], data: st.DataObject) -> None:
    canonical = encode(value)
    other = json.dumps(
        value,
        ensure_ascii=data.draw(st.booleans()),
        indent=data.draw(st.sampled_from([None, 0, 1])),
        separators=data.draw(st.sampled_from([(",", ":"), (", ", ":"), (",", ": ")])),
        sort_keys=data.draw(st.booleans()),
    ).encode("utf-8", "surrogatepass")
    if other != canonical:
        with pytest.raises(Corrupt):
            read(other)


@given(objects, st.data())
def test_changed_bytes_are_refused_or_are_the_one_encoding_of_something_else(
    value: Mapping[str, JSON], data: st.DataObject
) -> None:
    raw = bytearray(encode(value))
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    with suppress(Corrupt):
        assert encode(read(bytes(raw))) == raw


@given(objects, st.data())
def test_every_strict_prefix_is_refused(value: Mapping[str, JSON], data: st.DataObject) -> None:
    raw = encode(value)
    with pytest.raises(Corrupt):
        read(raw[: data.draw(st.integers(0, len(raw) - 1))])


@given(st.binary(max_size=200))
@example(b"\xff\xfe{\x00}\x00")
@example(b'{"a":1e999}')
@example(b'{"\\ud800":"\\udc00"}')
def test_any_bytes_at_all_are_read_or_refused(raw: bytes) -> None:
    with suppress(Corrupt):
        assert encode(read(raw)) == raw


@pytest.mark.parametrize(
    "text",
    ['{"a":1,"a":1}', '{"a":1,"a":2}', '{"b":{"a":1,"a":1}}', '[{"a":1,"a":1}]', '{"a":1,"\\u0061":2}'],
)
def test_a_name_that_stands_twice_is_refused(text: str) -> None:
    with pytest.raises(Corrupt):
        read(text.encode())


@pytest.mark.parametrize("number", ["1.0", "1e3", "-0", "NaN", "Infinity", "-Infinity", "9007199254740992", "9" * 5000])
def test_no_number_but_safe_integers_is_read(number: str) -> None:
    with pytest.raises(Corrupt):
        read(f'{{"a":{number}}}'.encode())


@pytest.mark.parametrize(
    "value", [1.0, math.nan, [1.5], {"a": 0.0}, 2**53, -(2**53), "\ud800", {"\udfff": 1}, b"", {1: 2}]
)
def test_no_number_but_safe_integers_and_no_surrogate_is_written(value: JSON) -> None:
    with pytest.raises(Misuse):
        encode({"a": value})


def test_an_integer_that_python_would_not_even_print_is_refused() -> None:
    with pytest.raises(Misuse):
        encode({"a": [10**5000]})


@given(safe_integers)
def test_safe_integers_pass(number: int) -> None:
    assert read(encode({"a": number}))["a"] == number


@pytest.mark.parametrize("brackets", ["[]", '{"a":}'])
def test_16_levels_pass_and_17_do_not(brackets: str) -> None:
    def nested(levels: int) -> bytes:
        half = len(brackets) - 1
        inner = "{}" if half > 1 else "[]"
        return f'{{"a":{brackets[:half] * (levels - 2)}{inner}{brackets[half:] * (levels - 2)}}}'.encode()

    assert encode(read(nested(16))) == nested(16)
    for levels in (17, 18, 5_000):
        with pytest.raises(Corrupt):
            read(nested(levels))
    with pytest.raises(Misuse):
        encode(json.loads(nested(17)))


def test_names_are_sorted_by_utf_16() -> None:
    assert encode({"\U0001f600": 1, "\ue000": 2}).decode() == '{"\U0001f600":1,"\ue000":2}'


def test_what_is_too_long_is_not_looked_at() -> None:
    with pytest.raises(BudgetSpent):
        decode(b"\xff" * 11, limit=10, what="a test")


@given(floats)
def test_a_decimal_reads_back_as_the_same_number(number: float) -> None:
    text = decimal(number)
    assert parse_decimal(text, "A test") == number
    assert decimal(parse_decimal(text, "A test")) == text


@given(floats)
def test_no_shorter_decimal_means_the_same_number(number: float) -> None:
    digits = decimal(number).lstrip("-").partition("e")[0].replace(".", "").strip("0")
    assert len(digits) <= 17
    if len(digits) > 1:
        assert float(f"{abs(number):.{len(digits) - 2}e}") != abs(number)


@given(st.text("0123456789.e+-", max_size=24))
def test_a_text_is_the_one_decimal_of_its_number_or_refused(text: str) -> None:
    try:
        number = parse_decimal(text, "A test")
    except Corrupt:
        return
    assert decimal(number) == text


@pytest.mark.parametrize("bits", [0x7FF0000000000000, 0xFFF0000000000000, 0x7FF8000000000000])
def test_what_is_not_finite_has_no_decimal(bits: int) -> None:
    with pytest.raises(Misuse):
        decimal(struct.unpack(">d", bits.to_bytes(8, "big"))[0])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("text", 1),
        ("text", "x" * 4097),
        ("integer", True),
        ("integer", -1),
        ("integer", "1"),
        ("mapping", []),
        ("object", None),
    ],
)
def test_a_field_of_another_type_is_refused(field: str, value: JSON) -> None:
    for fields in (Fields({"f": value}, "a test"), Fields({}, "a test")):
        with pytest.raises(Corrupt) as caught:
            getattr(fields, field)("f")
        assert caught.value.code == "object-field"
