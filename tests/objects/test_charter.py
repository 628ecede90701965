"""Charters as values: their form. Which one rules is tested with the federation."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagiq.errors import BudgetSpent, Corrupt, Misuse, Unsupported
from imagiq.objects import Charter, Cut, Member, digest_of, parse_charter
from spec.vectors.damage import bad_charters, changed
from tests.objects.strategies import digests, objects, texts, values

names = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=64)


@st.composite
def charters(draw: st.DrawFn) -> Charter:
    sites = sorted(draw(st.sets(names, min_size=1, max_size=4)))
    members = tuple(Member(n, digest_of(b"s" + n.encode()), digest_of(b"x" + n.encode())) for n in sites)
    version = draw(st.integers(1, 3))
    return Charter(
        title=draw(texts),
        version=version,
        previous=None if version == 1 else draw(digests),
        federation=None if version == 1 else draw(digests),
        members=members,
        voters=tuple(sorted(draw(st.sets(st.sampled_from(sites), min_size=1)))),
        recovery=tuple(sorted(draw(st.sets(digests, max_size=3)))),
        cuts=tuple(
            Cut(feed, draw(st.integers(1, 9)), draw(digests)) for feed in sorted(draw(st.sets(digests, max_size=3)))
        ),
        rules=draw(objects),
    )


@given(charters())
def test_reading_and_writing_again_keeps_the_digest(charter: Charter) -> None:
    again = parse_charter(charter.raw)
    assert (again, again.digest, again.founding) == (charter, charter.digest, charter.founding)
    assert (again.members, again.cuts, again.voters) == (charter.members, charter.cuts, charter.voters)


@given(charters(), values)
def test_unknown_fields_are_carried_and_count(charter: Charter, value: object) -> None:
    raw = changed(charter.raw, {"later": value})
    read = parse_charter(raw)
    assert (read.raw, read.digest) == (raw, digest_of(raw))
    assert read != charter
    assert len({read, charter, parse_charter(raw)}) == 2


@pytest.mark.parametrize(
    ("why", "raw"), list(bad_charters()), ids=lambda given: given if isinstance(given, str) else ""
)
def test_a_faulty_charter_is_refused(why: str, raw: bytes) -> None:
    with pytest.raises((Corrupt, Unsupported)):
        parse_charter(raw)


@given(charters(), st.data())
def test_a_damaged_charter_is_refused_or_another_one(charter: Charter, data: st.DataObject) -> None:
    raw = bytearray(charter.raw)
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with suppress(Corrupt, Unsupported):
        assert parse_charter(bytes(raw)).digest != charter.digest


def test_a_charter_larger_than_1_mib_is_not_looked_at() -> None:
    with pytest.raises(BudgetSpent):
        parse_charter(b"{" * (2**20 + 1))


@pytest.mark.parametrize(
    "fields",
    [
        {"title": "t" * 257},
        {"members": (Member("anna", "no key", "b" * 64),)},
        {"members": (Member("an\tna", "a" * 64, "b" * 64),), "voters": ("an\tna",)},
        {"recovery": ("A" * 64,)},
        {"cuts": (Cut("a" * 64, 0, digest_of(b"")),)},
        {"voters": ()},
        {"version": 2},
        {"rules": {"x": 1.5}},
        {"rules": {"x": "y" * 2**20}},
    ],
)
def test_a_charter_that_nobody_could_read_is_not_made(fields: dict[str, Any]) -> None:
    good: dict[str, Any] = {"title": "t", "members": (Member("anna", "a" * 64, "b" * 64),), "voters": ("anna",)}
    assert parse_charter(Charter(**good).raw).title == "t"
    with pytest.raises(Misuse):
        Charter(**(good | fields))
