"""When a site forgets, and what it keeps because it needs it."""

from __future__ import annotations

from imagiq.history import Entry
from imagiq.objects import Digest, Parent, Recipe
from imagiq.site import Planned
from imagiq.site.retaining import Retainer
from tests.bench.town import Town
from tests.site.plain import site_in


def trained_by_both(town: Town) -> tuple[Entry, Entry, Entry]:
    study = town.study("a", "latest-of-each", steps=9)
    town.give("a", "b", study)
    mine, theirs = (town.train(name, study.digest, value, study.digest) for name, value in (("a", 1.0), ("b", 2.0)))
    town.give("b", "a", theirs)
    return study, mine, theirs


def is_due(retainer: Retainer) -> bool:
    return retainer.is_due


def test_what_work_that_is_under_way_stands_on_stays() -> None:
    town = Town(("a", "b"), keeps=1)
    study, mine, theirs = trained_by_both(town)
    site = site_in(town, "a")
    planned = site.plan()
    assert isinstance(planned, Planned)
    assert {parent.commit for parent in planned.work.parents} == {mine.digest, theirs.digest}
    site.begin(planned)
    newer = [town.train("b", theirs.digest, value, study.digest, step) for step, value in ((2, 3.0), (3, 4.0))]
    town.give("b", "a", *newer)
    portion = Retainer(site).forget()
    assert portion.commits == (newer[0].digest,)
    assert site.finish(planned) is not None
    assert Retainer(site).forget().commits == (), "what a merge was made from stays while the merge is kept"


def test_it_is_looked_again_when_there_is_something_new_and_not_before() -> None:
    town = Town(("a", "b"), keeps=1)
    study, mine, _ = trained_by_both(town)
    retainer = Retainer(site_in(town, "a"))
    assert is_due(retainer)
    retainer.forget()
    assert not is_due(retainer)
    last = mine
    for step in range(2, 6):
        assert not is_due(retainer)
        last = town.train("a", last.digest, float(step), study.digest, step)
    assert is_due(retainer)
    assert len(retainer.forget().commits) == 4
    retainer.look_again()
    assert is_due(retainer)


def test_without_the_rule_nothing_is_ever_due() -> None:
    town = Town(("a", "b"))
    trained_by_both(town)
    retainer = Retainer(site_in(town, "a"))
    assert not retainer.is_due
    assert not list(retainer.plan())


def test_a_claim_about_a_merge_that_nobody_keeps_is_not_looked_into_and_one_that_was_found_true_stays() -> None:
    town = Town(("a", "b", "c"), keeps=1)
    study = town.study("a", "latest-of-each", steps=9)
    town.give("a", "b", study)
    first = town.train("b", study.digest, 2.0, study.digest)
    false = town.merge("b", {first.digest: 10}, study.digest, tree=town.model("b", 7.0))
    town.give("b", "a", first, false)
    later = [town.merge("b", {first.digest: 10, study.digest: n}, study.digest) for n in (1, 2, 3)]
    town.give("b", "a", *later)
    site = site_in(town, "a")
    site.attest()
    Retainer(site).forget()
    assert town.benches["a"].models.holds(false.commit.tree or Digest("")), "evidence is forgotten"
    claims = [e for e in town.benches["a"].history if e.commit.recipe.name == "attest"]
    assert len(claims) == 1

    newcomer = town.benches["c"]
    newcomer.admit([e.commit.raw for e in town.benches["a"].history], "a")
    assert newcomer.known.accused
    assert false.digest not in site_in(town, "c").wanted()


def test_what_this_site_gave_a_name_is_wanted_again() -> None:
    town = Town(("a", "b"), keeps=1)
    study, _, theirs = trained_by_both(town)
    newer = [town.train("b", theirs.digest, value, study.digest, step) for step, value in ((2, 3.0), (3, 4.0))]
    town.give("b", "a", *newer)
    site, bench = site_in(town, "a"), town.benches["a"]
    Retainer(site).forget()
    assert {theirs.digest, newer[0].digest} <= bench.models.forgotten
    assert newer[0].digest not in site.wanted()
    bench.commit(Recipe("tag", 1, {"name": "second"}), parents=[Parent("input", newer[0].digest)])
    assert newer[0].digest in site.wanted()
    town.fetch("b", "a", newer[0])
    Retainer(site).forget()
    assert newer[0].digest in bench.models.complete
