"""The fast writer of canonical JSON writes what the reference library writes, or refuses what it refuses."""

from __future__ import annotations

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from imagiq.errors import Misuse
from imagiq.objects.canonical import encode

TEXTS = (
    st.text(max_size=6)
    | st.text(st.characters(max_codepoint=0x7F), max_size=6)
    | st.text(st.sampled_from("\ud800\ue000\uffff\U00010000\U0010ffff\x7fé"), max_size=3)
)
LEAVES = st.none() | st.booleans() | st.integers(-(2**54), 2**54) | TEXTS
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_the_bytes_are_those_of_the_reference(value: object) -> None:
    try:
        expected = rfc8785.dumps(value)  # type: ignore[arg-type]
    except (rfc8785.CanonicalizationError, UnicodeEncodeError):
        with pytest.raises(Misuse):
            encode(value)  # type: ignore[arg-type]
    else:
        assert encode(value) == expected  # type: ignore[arg-type]


def test_keys_are_sorted_by_utf16_code_units() -> None:
    assert encode({"\uffff": 1, "\U00010000": 2, "a": 3}) == '{"a":3,"\U00010000":2,"\uffff":1}'.encode()


@pytest.mark.parametrize("value", [{1: "a"}, {"a": b"b"}, {"a": {2}}, [{None: 1}]])
def test_what_json_has_no_place_for_is_refused(value: object) -> None:
    with pytest.raises(Misuse):
        encode(value)  # type: ignore[arg-type]
