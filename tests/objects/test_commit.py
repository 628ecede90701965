"""Commits: one encoding, unknown fields carried, everything else refused in a way that can be told."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagiq.errors import BudgetSpent, Corrupt, Unsupported, Untrusted
from imagiq.keys import sign_commit, verify_certificate, verify_commit
from imagiq.objects import COMMIT_LIMIT, Commit, Draft, Recipe, digest_of, parse_commit
from spec.vectors.damage import bad_commits, changed, resigned, signed
from spec.vectors.make import sample
from tests.objects.strategies import FEDERATION, FEED, certificate, drafts, values

WORLD, FIRST, SECOND = sample()
REFUSALS = (Corrupt, Untrusted, BudgetSpent, Unsupported)


def admit(raw: bytes) -> Commit:
    commit = verify_commit(parse_commit(raw))
    if commit.number == 1:
        verify_certificate(commit)
    return commit


@given(drafts())
def test_reading_and_writing_again_keeps_the_digest(draft: Draft) -> None:
    commit = sign_commit(draft, FEED)
    assert commit.digest == digest_of(commit.raw)
    again = admit(commit.raw)
    fields = (field for field in Draft.__dataclass_fields__ if field not in {"parents", "seen", "metrics"})
    assert all(getattr(again, field) == getattr(draft, field) for field in fields)
    assert (again.parents, again.seen) == (tuple(sorted(draft.parents)), tuple(sorted(draft.seen)))
    written = Draft(**{field: getattr(again, field) for field in Draft.__dataclass_fields__})
    assert written.body() == commit.raw[64:]
    assert sign_commit(written, FEED) == commit


def test_a_recipe_without_parameters_and_a_commit_without_metrics_can_be_signed() -> None:
    draft = Draft(
        federation=FEDERATION, charter=FEDERATION, feed=FEED.public, number=1, recipe=Recipe("evaluate"), created="",
        certificate=certificate(),
    )  # fmt: skip
    commit = sign_commit(draft, FEED)
    assert (dict(commit.metrics), dict(commit.recipe.parameters)) == ({}, {})


@given(drafts(), values)
def test_unknown_fields_are_carried(draft: Draft, value: object) -> None:
    body = changed(draft.body(), {"later": value, "recipe.later": value})
    commit = admit(signed(body, FEED))
    assert commit.raw[64:] == body
    assert json.loads(commit.raw[64:])["later"] == value


@settings(max_examples=2 * settings().max_examples)
@given(st.integers(0, len(SECOND.raw) * 8 - 1))
def test_every_flipped_bit_is_refused(bit: int) -> None:
    raw = bytearray(SECOND.raw)
    raw[bit // 8] ^= 1 << bit % 8
    with pytest.raises(REFUSALS):
        admit(bytes(raw))


@given(st.integers(0, len(SECOND.raw) - 1))
def test_every_strict_prefix_is_refused(length: int) -> None:
    with pytest.raises(REFUSALS):
        admit(SECOND.raw[:length])


@given(st.binary(max_size=300), st.booleans())
def test_any_bytes_are_refused_in_a_way_that_can_be_told(raw: bytes, sign: bool) -> None:
    with pytest.raises(REFUSALS):
        admit(signed(raw, FEED) if sign else raw)


@settings(max_examples=3 * settings().max_examples)
@given(st.data())
def test_any_value_in_any_field_is_read_or_refused_in_a_way_that_can_be_told(data: st.DataObject) -> None:
    commit = data.draw(st.sampled_from([FIRST, SECOND]))
    paths = [*json.loads(commit.raw[64:]), "recipe.name", "recipe.version", "recipe.parameters", "recipe.seed"]
    if commit is SECOND:
        paths += ["parents.0", "parents.0.role", "parents.0.commit"]
    else:
        paths += [f"certificate.{key}" for key in ("federation", "feed", "site", "number", "ends", "signature")]
    body = changed(commit.raw[64:], {data.draw(st.sampled_from(sorted(paths))): data.draw(values)})
    with suppress(*REFUSALS):
        assert parse_commit(bytes(64) + body).body == body


@pytest.mark.parametrize(
    ("why", "raw"), list(bad_commits(FIRST, SECOND)), ids=lambda given: given if isinstance(given, str) else ""
)
def test_a_faulty_commit_is_refused(why: str, raw: bytes) -> None:
    with pytest.raises(REFUSALS):
        admit(raw)


def test_a_commit_larger_than_256_kib_is_not_looked_at() -> None:
    with pytest.raises(BudgetSpent):
        parse_commit(b"{" * (COMMIT_LIMIT + 1))
    room = COMMIT_LIMIT - len(resigned(SECOND, {"later": ""}).raw)
    assert len(admit(resigned(SECOND, {"later": "x" * room}).raw).raw) == COMMIT_LIMIT


def test_1025_parents_are_too_many() -> None:
    parents = [{"role": "input", "commit": f"{number:064x}"} for number in range(1025)]
    assert len(admit(resigned(SECOND, {"parents": parents[:1024]}).raw).parents) == 1024
    with pytest.raises(Corrupt):
        resigned(SECOND, {"parents": parents})


def test_equal_means_equal_digests() -> None:
    again = admit(SECOND.raw)
    assert again == SECOND
    assert hash(again) == hash(SECOND)
    assert again != FIRST
    assert (SECOND.base,) == SECOND.parents_in("base")
    assert FIRST.base is None
