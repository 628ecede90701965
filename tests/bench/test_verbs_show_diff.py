"""What is shown of one commit, and of two."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from imagiq.bench.diff import diff
from imagiq.bench.repository import open_repository
from imagiq.bench.show import show
from imagiq.errors import Corrupt
from imagiq.merging import blobs_of, schema_of
from imagiq.objects import Parent, Recipe
from tests.bench.repositories import Repositories, close, town_on_disk


def test_a_merge_is_shown_with_parents_weights_children_and_who_has_it(sites: Repositories) -> None:
    bench = open_repository(sites["a"])
    shown = show(bench, bench.history[sites.merge])
    assert (shown.site, shown.study_title, shown.state, shown.model) == ("a", "local", "sound", "complete")
    assert {(p.digest, p.role, p.site, p.recipe) for p in shown.parents} == {
        (sites.trained[0], "input", "a", "train"),
        (sites.trained[1], "input", "b", "train"),
    }
    assert {parent.digest: parent.weight for parent in shown.parents} == dict(zip(sites.trained, (10, 30), strict=True))
    assert [(child.digest, child.recipe) for child in shown.children] == [(sites.attest, "attest")]
    assert shown.attested == {"b": "verified"}
    assert shown.seen_by == ("b",), "c has it as well, but no commit of c proves that"


def test_a_model_is_summed_up_by_its_tensors(sites: Repositories) -> None:
    bench = open_repository(sites["a"])
    shown = show(bench, bench.history[sites.trained[1]])
    assert [(t.name, t.group, t.dtype, t.shape) for t in shown.tensors] == [
        ("weight", "weights", "float32", (2, 3)),
        ("bias", "weights", "float32", (2,)),
    ]
    assert [t.norm for t in shown.tensors] == [pytest.approx(3 * math.sqrt(6)), pytest.approx(3 * math.sqrt(2))]
    assert show(bench, bench.history[sites.trained[1]], tensors=False).tensors == ()


def test_a_model_that_is_not_here_is_said_not_to_be(sites: Repositories) -> None:
    bench = open_repository(sites["c"])
    shown = show(bench, bench.history[sites.merge])
    assert (shown.model, shown.tensors) == ("not held", ())


def test_a_commit_without_a_model_is_shown(sites: Repositories) -> None:
    bench = open_repository(sites["a"])
    shown = show(bench, bench.history[sites.attest])
    assert (shown.model, shown.tensors, shown.parents[0].weight) == ("none", (), None)


def test_a_damaged_model_is_not_summed_up(sites: Repositories) -> None:
    _, blobs = sites.tree_of("a", sites.merge)
    sites.object("a", blobs[0]).write_bytes(bytes(32))
    bench = open_repository(sites["a"])
    shown = show(bench, bench.history[sites.merge])
    assert shown.tensors == ()
    assert "object-damaged" in shown.why


def test_a_model_that_was_set_aside_is_shown_with_the_reason(sites: Repositories) -> None:
    bench = sites.writable("a")
    tree = bench.models.keep(
        schema := schema_of({"w": np.array([np.nan], "f4")}), blobs_of(schema, {"w": np.array([np.nan], "f4")})
    )
    entry = bench.commit(Recipe("note", 1), tree=tree)
    shown = show(bench, entry)
    assert shown.model == "set aside"
    assert "gate-not-finite" in shown.why
    assert math.isnan(shown.tensors[0].norm)
    bench.store.close()


def test_a_difference_tells_which_tensors_and_how_much(sites: Repositories) -> None:
    bench = open_repository(sites["a"])
    found = diff(bench, bench.history[sites.trained[0]], bench.history[sites.trained[1]])
    assert (found.models, found.first.site, found.second.site) == ("compared", "a", "b")
    weight, bias = found.tensors
    assert (weight.name, weight.changed, weight.largest, weight.relative) == ("weight", True, 2.0, 2.0)
    assert bias.distance == pytest.approx(2 * math.sqrt(2))


def test_a_commit_does_not_differ_from_itself(sites: Repositories) -> None:
    bench = open_repository(sites["a"])
    assert diff(bench, bench.history[sites.merge], bench.history[sites.merge]).models == "equal"


def test_what_cannot_be_compared_is_said_not_to_be_and_the_rest_still_shown(sites: Repositories) -> None:
    bench = open_repository(sites["c"])
    found = diff(bench, bench.history[sites.trained[0]], bench.history[sites.merge])
    assert (found.models, found.tensors) == ("not compared", ())
    assert "is not here" in found.why
    assert found.second.recipe.name == "merge"
    found = diff(bench, bench.history[sites.attest], bench.history[sites.merge])
    assert "holds no model" in found.why


def test_a_damaged_model_is_not_compared(sites: Repositories) -> None:
    _, blobs = sites.tree_of("a", sites.trained[0])
    sites.object("a", blobs[0]).write_bytes(bytes(32))
    bench = open_repository(sites["a"])
    with pytest.raises(Corrupt, match="damaged on this disk"):
        diff(bench, bench.history[sites.trained[0]], bench.history[sites.trained[1]])


def test_different_schemas_are_told_apart_in_words(tmp_path: Path) -> None:
    town = town_on_disk(tmp_path)
    bench = town.benches["a"]
    one = {"x": np.zeros((2, 2), "f4"), "y": np.zeros(1, "f4"), "z": np.zeros(3, "f4")}
    other = {"z": np.zeros(3, "f8"), "x": np.zeros((2, 3), "f4"), "new": np.zeros((), "i8")}
    entries = []
    for arrays in (one, other):
        schema = schema_of(arrays)
        entries.append(bench.commit(Recipe("import", 1), tree=bench.models.keep(schema, blobs_of(schema, arrays))))
    found = diff(bench, entries[0], entries[1])
    assert found.models == "schemas differ"
    assert found.schemas == (
        "Only the first has the tensor 'y'.",
        "Only the second has the tensor 'new'.",
        "Tensor 'x' has the shape 2x2, then 2x3.",
        "Tensor 'z' has the dtype float32, then float64.",
        "The tensors stand in another order.",
    )
    assert found.tensors == ()
    close(town)


def test_a_seen_commit_proves_that_its_author_had_what_it_stands_on(sites: Repositories) -> None:
    bench = sites.writable("c")
    bench.commit(Recipe("note", 1), parents=[Parent("input", sites.attest)])
    shown = show(bench, bench.history[sites.trained[0]])
    assert shown.seen_by == ("b", "c")
    bench.store.close()
