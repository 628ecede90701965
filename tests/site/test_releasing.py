"""Tags, releases that members have checked, and the audit of all of it."""

from __future__ import annotations

import pytest

from imagiq.bench.audit import audit
from imagiq.bench.names import resolve
from imagiq.errors import Conflict, Refused
from imagiq.exchange import BenchPeer
from imagiq.federation.notices import ask_check_recipe, tag_recipe
from imagiq.history import Entry
from imagiq.objects import Parent
from imagiq.site.releasing import checked, is_asked, refuse_unsound, tags_in
from tests.bench.town import Town
from tests.site.plain import site_in


@pytest.fixture
def town() -> Town:
    return Town()


def merged(town: Town, value: float | None = None) -> tuple[Entry, Entry, Entry]:
    study = town.study("a")
    one = town.train("a", study.digest, 1.0, study.digest)
    two = town.train("a", one.digest, 2.0, study.digest, 2)
    tree = None if value is None else town.model("a", value)
    return study, one, town.merge("a", {one.digest: 1, two.digest: 1}, study.digest, tree=tree)


def meet(town: Town, name: str) -> None:
    """Let a site learn what "a" knows and do what it is asked, and "a" learn of that."""
    site_in(town, name).sync(BenchPeer("a", town.benches["a"]))
    site_in(town, "a").sync(BenchPeer(name, town.benches[name]))


def test_a_release_waits_for_the_members_that_are_asked_to_recompute_its_merge(town: Town) -> None:
    _, _, merge = merged(town)
    trained = town.train("a", merge.digest, 3.0, merge.commit.study or merge.digest, 3)
    bench = town.benches["a"]
    refuse_unsound(bench, trained, "v1", "a")
    assert (checked(bench, trained).missing, checked(bench, trained).needed) == ((merge.digest,), 1)
    assert not is_asked(bench, merge.digest)
    meet(town, "b")
    assert checked(bench, trained).missing == (merge.digest,), "nobody was asked, and the draw was not for it"
    bench.commit(ask_check_recipe(), parents=[Parent("input", merge.digest)])
    assert is_asked(bench, merge.digest)
    meet(town, "b")
    assert checked(bench, trained).merges == {merge.digest: ("b",)}
    assert checked(bench, trained).missing == ()


def test_a_model_without_a_merge_below_it_needs_no_check(town: Town) -> None:
    _, trained, _ = merged(town)
    assert checked(town.benches["a"], trained).missing == ()


def test_a_merge_that_somebody_calls_false_is_not_released(town: Town) -> None:
    _, _, false = merged(town, value=99.0)
    bench = town.benches["a"]
    bench.commit(ask_check_recipe(), parents=[Parent("input", false.digest)])
    meet(town, "b")
    with pytest.raises(Refused) as refused:
        refuse_unsound(bench, false, "v1", "a")
    assert refused.value.code == "release-false"


def test_what_holds_no_model_or_is_called_otherwise_is_not_released(town: Town) -> None:
    study, one, merge = merged(town)
    bench = town.benches["a"]
    asked = bench.commit(ask_check_recipe(), parents=[Parent("input", merge.digest)])
    with pytest.raises(Refused):
        refuse_unsound(bench, asked, "v1", "a")
    bench.commit(tag_recipe("v1", release=True), parents=[Parent("input", study.digest)])
    with pytest.raises(Conflict):
        refuse_unsound(bench, one, "v1", "a")
    refuse_unsound(bench, one, "v1", "b")
    (tag,) = tags_in(bench)
    assert (tag.name, tag.commit, tag.by, tag.release) == ("v1", study.digest, "a", True)


def test_the_audit_says_who_did_what_in_causal_order(town: Town) -> None:
    _, _, merge = merged(town)
    bench = town.benches["a"]
    bench.commit(ask_check_recipe(), parents=[Parent("input", merge.digest)])
    meet(town, "b")
    bench.commit(tag_recipe("v1", release=True), parents=[Parent("input", merge.digest)])
    found = audit(bench)
    said = [(deed.site, deed.did) for deed in found.deeds if not deed.did.startswith("voted")]
    short = merge.digest[:12]
    assert said[:4] == [
        ("a", "opened a study"),
        ("a", "trained on 10 cases"),
        ("a", "trained on 10 cases"),
        ("a", "merged 2 models"),
    ]
    assert set(said[4:6]) == {("a", f"asked all to recompute {short}"), ("b", f"recomputed {short}: verified")}
    assert said[6:] == [("a", f"released {short} 'v1'")]
    assert [deed.checked for deed in found.deeds if deed.did.startswith("merged")] == ["holds, verified"]
    assert {deed.checked for deed in found.deeds if not deed.did.startswith("merged")} == {"holds"}
    assert {deed.charter for deed in found.deeds} == {1}
    assert {deed.site for deed in audit(bench, site="b").deeds} == {"b"}
    assert resolve(bench, merge.digest[:12]) == merge
