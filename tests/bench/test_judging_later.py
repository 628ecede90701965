"""Merges that came before their parents are judged when the parents come, all of them."""

from __future__ import annotations

from imagiq.bench import Limits, Verdict
from imagiq.objects import BLOB_LIMIT
from tests.bench.town import Town


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
    town = Town(limits=Limits(model_bytes=20))
    study = town.benches["b"]
    assert town.schema.nbytes == 32 < BLOB_LIMIT
    entry = town.study("b")
    assert entry.digest in study.models.set_aside
    taker = town.benches["a"]
    taker.admit([entry.commit.raw], "b")
    asked = []
    while wants := taker.models.lacking(entry.commit):
        asked += [want.digest for want in wants]
        taker.models.receive(wants, {want.digest: study.store.read(want.digest) for want in wants})
    tree = study.models.tree(asked[0])
    assert asked == [tree.digest, tree.schema]
    assert taker.models.set_aside[entry.digest].startswith("model-size")
