"""Merges that came before their parents are judged when these come, all of them; what is too large never comes."""

from __future__ import annotations

from imagiq.bench import Limits, Verdict
from imagiq.merging import schema_of
from tests.bench.town import SHAPE, Town


def test_several_merges_wait_for_one_parent() -> None:
    town = Town()
    study = town.study("b")
    one = town.train("b", study.digest, 1.0, study.digest)
    two = town.train("b", study.digest, 4.0, study.digest, 2)
    true = town.merge("b", {one.digest: 2, two.digest: 1}, study.digest)
    false = town.merge("b", {one.digest: 1, two.digest: 1}, study.digest, tree=town.model("b", 9.0))
    third = town.merge("b", {one.digest: 1, two.digest: 5}, study.digest)
    bench = town.benches["a"]
    bench.admit([entry.commit.raw for entry in (study, one, two, true, false, third)], "b")
    for entry in (study, true, false, third):
        assert town.fetch("b", "a", entry)
    assert bench.verdicts == {}
    town.fetch("b", "a", one)
    town.fetch("b", "a", two)
    assert bench.verdicts == {
        true.digest: Verdict.VERIFIED,
        false.digest: Verdict.FALSE,
        third.digest: Verdict.VERIFIED,
    }


def test_a_model_that_is_too_large_is_set_aside_before_its_blobs_are_asked_for() -> None:
    town = Town(limits=Limits(model_bytes=25))
    town.schema = schema_of(SHAPE, groups={"first": ("weight",), "second": ("bias",)})
    assert town.schema.blob_sizes == (24, 8), "each blob is small enough, and the model is not"
    entry = town.study("b")
    giver, taker = town.benches["b"], town.benches["a"]
    assert entry.digest in giver.models.set_aside
    taker.admit([entry.commit.raw], "b")
    asked = []
    while wants := taker.models.lacking(entry.commit):
        asked += [want.digest for want in wants]
        taker.models.receive(filter(None, (want.met_by(giver.store.read(want.digest)) for want in wants)))
    tree = giver.models.tree(asked[0])
    assert asked == [tree.digest, tree.schema]
    assert taker.models.set_aside[entry.digest].startswith("model-size")
