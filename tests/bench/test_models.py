"""Models: complete, set aside, recomputed."""

from __future__ import annotations

import numpy as np
import pytest

from imagiq.bench import Verdict, Want, Whole
from imagiq.errors import Misuse, Refused, Unreachable
from imagiq.history import Entry
from imagiq.merging import blobs_of, schema_of
from imagiq.objects import Digest, Parent, Recipe, Tree, digest_of
from imagiq.store import MemoryStore
from tests.bench.town import SHAPE, Town


@pytest.fixture
def town() -> Town:
    return Town()


def trained_with(town: Town, tree: Tree) -> tuple[Entry, Entry]:
    study = town.study("b")
    recipe = Recipe("train", 1, {"step": 1, "updates": 1, "progress": "0"}, 7)
    step = town.benches["b"].commit(
        recipe, parents=[Parent("base", study.digest)], study=study.digest, tree=tree, cases=1
    )
    return study, step


def test_a_commit_is_complete_only_when_its_blobs_are_here(town: Town) -> None:
    study = town.study("b")
    taker = town.benches["a"]
    taker.admit([study.commit.raw], "b")
    assert not taker.settle(study.digest)
    assert study.digest not in taker.models.complete
    assert town.fetch("b", "a", study)
    assert study.digest in taker.models.complete
    assert study.digest in town.reopen("a").models.complete


def test_a_tree_alone_is_not_complete(town: Town) -> None:
    study = town.study("b")
    taker = town.benches["a"]
    taker.admit([study.commit.raw], "b")
    (want,) = taker.models.lacking(study.commit)
    found = want.met_by(town.benches["b"].models.fetch(want.digest, want.limit))
    assert found is not None
    taker.models.receive([found])
    assert not taker.settle(study.digest)
    assert taker.models.lacking(study.commit)


def test_a_wrong_blob_under_a_right_name_counts_as_missing() -> None:
    want = Want(digest_of(b"right"), 10)
    assert want.met_by(b"wrong") is None
    assert want.met_by(None) is None
    assert Want(want.digest, 4).met_by(b"right") is None
    assert want.met_by(b"right") == Whole(want.digest, b"right")


def test_a_model_with_nan_is_set_aside_with_its_reason(town: Town) -> None:
    weights = {**SHAPE, "bias": np.array([1.0, np.nan], np.float32)}
    tree = town.benches["b"].models.keep(town.schema, blobs_of(town.schema, weights))
    study, step = trained_with(town, tree)
    town.give("b", "a", study)
    town.benches["a"].admit([step.commit.raw], "b")
    assert not town.fetch("b", "a", step)
    assert town.benches["a"].models.set_aside[step.digest].startswith("gate-not-finite")
    assert "bias" in town.reopen("a").models.set_aside[step.digest]


def test_a_foreign_schema_is_set_aside_and_says_what_differs(town: Town) -> None:
    other = schema_of({"weight": np.zeros(4, np.float32)})
    tree = town.model("b", 1.0, other)
    study, step = trained_with(town, tree)
    town.give("b", "a", study)
    town.benches["a"].admit([step.commit.raw], "b")
    assert not town.fetch("b", "a", step)
    assert "'bias'" in town.benches["a"].models.set_aside[step.digest]


@pytest.mark.parametrize("blobs", [0, 2])
def test_a_tree_with_another_number_of_blobs_is_set_aside(town: Town, blobs: int) -> None:
    tree = Tree(town.schema.digest, (digest_of(b"x"),) * blobs)
    town.benches["b"].store.add([town.schema.raw, tree.raw, b"x"])
    study, step = trained_with(town, tree)
    town.give("b", "a", study)
    town.benches["a"].admit([step.commit.raw], "b")
    assert not town.fetch("b", "a", step)
    assert town.benches["a"].models.set_aside[step.digest].startswith("tree-schema")


def test_a_blob_of_another_size_is_set_aside(town: Town) -> None:
    tree = Tree(town.schema.digest, town.benches["b"].store.add([b"short"]))
    town.benches["b"].store.add([town.schema.raw, tree.raw])
    study, step = trained_with(town, tree)
    town.give("b", "a", study)
    town.benches["a"].store.add([b"short"])
    town.benches["a"].admit([step.commit.raw], "b")
    assert not town.fetch("b", "a", step)
    assert town.benches["a"].models.set_aside[step.digest].startswith("blob-size")


def two_trainings(town: Town) -> tuple[Entry, Entry, Entry]:
    study = town.study("b")
    one = town.train("b", study.digest, 1.0, study.digest)
    two = town.train("b", study.digest, 4.0, study.digest, 2)
    return study, one, two


def test_a_true_merge_is_verified_by_who_holds_its_parents(town: Town) -> None:
    study, one, two = two_trainings(town)
    merge = town.merge("b", {one.digest: 2, two.digest: 1}, study.digest)
    town.give("b", "a", study, one, two, merge)
    assert town.benches["a"].verdicts == {merge.digest: Verdict.VERIFIED}
    assert town.reopen("a").verdicts == {merge.digest: Verdict.VERIFIED}


@pytest.mark.parametrize("order", ["merge first", "merge last"])
def test_a_false_merge_is_set_aside_whenever_its_parents_are_held(town: Town, order: str) -> None:
    study, one, two = two_trainings(town)
    merge = town.merge("b", {one.digest: 2, two.digest: 1}, study.digest, tree=town.model("b", 2.5))
    bench = town.benches["a"]
    bench.admit([entry.commit.raw for entry in (study, one, two, merge)], "b")
    entries = [study, merge, one, two] if order == "merge first" else [study, one, two, merge]
    for entry in entries:
        town.fetch("b", "a", entry)
    assert bench.verdicts == {merge.digest: Verdict.FALSE}
    assert merge.digest not in bench.models.complete
    assert bench.models.set_aside[merge.digest].startswith("merge-false")


def test_a_merge_whose_parents_are_not_held_is_not_judged(town: Town) -> None:
    study, one, two = two_trainings(town)
    merge = town.merge("b", {one.digest: 2, two.digest: 1}, study.digest)
    bench = town.benches["a"]
    bench.admit([entry.commit.raw for entry in (study, one, two, merge)], "b")
    town.fetch("b", "a", study)
    assert town.fetch("b", "a", merge)
    assert bench.verdicts == {}
    reopened = town.reopen("a")
    town.fetch("b", "a", one)
    town.fetch("b", "a", two)
    assert reopened.verdicts == {merge.digest: Verdict.VERIFIED}


@pytest.mark.parametrize("weights", [[0, 3], [-1, 4], [1], [1, 1, 1], ["1", "2"], [True, True], None])
def test_a_merge_with_weights_that_are_none_is_false(town: Town, weights: object) -> None:
    study, one, two = two_trainings(town)
    recipe = Recipe("merge", 1, {"rule": "mean", "weights": weights})  # type: ignore[dict-item]
    parents = [Parent("input", one.digest), Parent("input", two.digest)]
    merge = town.benches["b"].commit(recipe, parents=parents, study=study.digest, tree=town.model("b", 2.0))
    town.give("b", "a", study, one, two)
    town.benches["a"].admit([merge.commit.raw], "b")
    town.fetch("b", "a", merge)
    assert town.benches["a"].verdicts == {merge.digest: Verdict.FALSE}


class FullDisk(MemoryStore):
    """A store whose disk takes nothing while ``full``."""

    full = False

    def add_commits(self, raws: object) -> tuple[Digest, ...]:
        if self.full:
            raise Unreachable("disk-full", "The disk is full.", "Make room.")
        return super().add_commits(raws)  # type: ignore[arg-type]


def test_a_full_disk_loses_nothing_and_no_number_is_used_twice() -> None:
    store = FullDisk()
    town = Town(stores={"a": store})
    study = town.study("a")
    tree = town.model("a", 1.0)
    store.full = True
    with pytest.raises(Unreachable):
        town.benches["a"].commit(Recipe("train", 1, {}, 1), study=study.digest, tree=tree)
    store.full = False
    after = town.benches["a"].commit(Recipe("hello"))
    feed = [entry.commit for entry in town.benches["a"].history.chain(after.digest)]
    assert [commit.recipe.name for commit in feed] == ["hello", "train", "study", "vote"]
    assert [commit.number for commit in feed] == [4, 3, 2, 1]
    assert not town.benches["a"].history.forks


def test_a_bench_without_keys_refuses_to_commit(town: Town) -> None:
    bench = town.benches["a"]
    bench.author = None
    with pytest.raises(Misuse) as caught:
        bench.commit(Recipe("hello"))
    assert caught.value.code == "bench-read-only"


def test_what_a_bench_knows_is_the_same_after_a_restart(town: Town) -> None:
    study, one, two = two_trainings(town)
    merge = town.merge("b", {one.digest: 2, two.digest: 1}, study.digest)
    town.give("b", "a", study, one, two, merge)
    before = town.benches["a"]
    after = town.open("a")
    assert after.history.heads == before.history.heads
    assert {e.order for e in after.history} == {e.order for e in before.history}
    assert after.models.complete == before.models.complete
    assert [s.digest for s in after.studies[study.digest]] == [s.digest for s in before.studies[study.digest]]
    assert after.known.unwitnessed("") == before.known.unwitnessed("")


def test_a_model_of_which_one_tensor_changed_is_the_same_as_one_kept_whole(town: Town) -> None:
    models = town.benches["a"].models
    weights = {"large": np.ones(2**15, "<f4"), "small": np.ones(3, "<f4")}
    schema = schema_of(weights)
    base = models.keep(schema, blobs_of(schema, weights))
    small = np.array([1, 2, 3], "<f4")
    changed = models.keep_changed(base, {"small": small})
    assert changed == models.keep(schema, blobs_of(schema, {**weights, "small": small}))
    assert changed.blobs[0] == base.blobs[0]
    with pytest.raises(Refused):
        models.keep_changed(base, {"small": np.full(3, np.nan, "<f4")})
