"""Terms of the charter that read otherwise when more than half of the voters have said so."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagiq.errors import Misuse, NotFound, Refused
from imagiq.federation import State
from imagiq.federation.membership import Amendment, successor, wishes_in
from imagiq.federation.votes import vote_recipe
from imagiq.objects import JSON, Charter, Recipe
from imagiq.site.amending import amendments, said, terms
from imagiq.site.releasing import acceptance_of, refuse_unsound
from tests.bench.town import Town, forked, founding_charter
from tests.site.homes import Homes

CHARTER = founding_charter(("a", "b", "c"))
RULES = """
title = "Heart"
[rules]
strategies = ["fedavg"]
"""


@pytest.fixture
def homes(tmp_path: Path) -> Homes:
    homes = Homes(tmp_path)
    homes.init("alba", "bert")
    homes.found("alba", RULES)
    homes.join("bert", "alba")
    return homes


def terms_at(homes: Homes, name: str) -> dict[str, object]:
    found = homes.at(name, "amend", "--json").json["terms"]
    assert isinstance(found, dict)
    return found


def test_a_term_reads_otherwise_when_more_than_half_have_said_so(homes: Homes) -> None:
    assert terms_at(homes, "alba")["audit_per_mille"] == 100
    told = homes.at("alba", "amend", "audit_per_mille=200", "title=Heart and lung", "--yes").out
    assert "audit_per_mille: 100 -> 200" in told
    homes.sync("alba", "bert")
    items = homes.at("bert", "requests", "--json").json["requests"]
    assert [(item["kind"], item["name"], item["approved_by"]) for item in items] == [
        ("amend", "audit_per_mille", ["alba"]),
        ("amend", "title", ["alba"]),
    ]
    assert "100 -> 200" in homes.at("bert", "requests").out
    for item in items:
        homes.at("bert", "approve", item["name"])
    homes.sync("bert", "alba", rounds=2)
    for name in ("alba", "bert"):
        found = terms_at(homes, name)
        assert (found["audit_per_mille"], found["title"]) == (200, "Heart and lung")
        assert found["strategies"] == ["fedavg"]
    assert "nothing waits" in homes.at("bert", "requests").out


def test_two_rules_that_are_changed_at_once_are_both_in_force_in_the_end(homes: Homes) -> None:
    homes.at("alba", "amend", "release_checks=0", "--yes")
    homes.at("bert", "amend", "--drop", "strategies", "--yes")
    homes.sync("alba", "bert", "alba", rounds=2)
    assert homes.version("alba") == 2, "each has its own will, and half is no majority"
    homes.at("alba", "approve", "strategies")
    homes.at("bert", "approve", "release_checks")
    homes.sync("alba", "bert", rounds=4)
    for name in ("alba", "bert"):
        assert terms_at(homes, name)["release_checks"] == 0
        assert "strategies" not in terms_at(homes, name)


def test_who_does_not_vote_amends_nothing(homes: Homes) -> None:
    homes.at("alba", "amend", 'voters=["alba"]', "--yes")
    homes.sync("alba", "bert")
    homes.at("bert", "approve", "voters")
    homes.sync("bert", "alba", "bert", rounds=2)
    assert homes.error("bert", "amend", "audit_per_mille=1", "--yes") == "site-no-voter"


@pytest.mark.parametrize(
    ("given_texts", "dropped", "error", "words"),
    [
        (["audit_per_mille=2000"], [], Misuse, "is 2000"),
        (["audit_per_mille=often"], [], Misuse, "not a whole number"),
        (["older_models=lost"], [], Misuse, "'lost'"),
        (["retries={ steps ="], [], Misuse, "cannot be read"),
        (["audit"], [], Misuse, "names no term"),
        (["simulated=true"], [], Misuse, "cannot be amended"),
        (["title=town"], [], Misuse, "says so already"),
        (['voters=["a", "d"]'], [], Misuse, "'d', which is no member"),
        (["voters=[]"], [], Misuse, "Nobody would be left"),
        (['recovery=["abc"]'], [], Misuse, "no key"),
        ([], ["audits"], NotFound, "called 'audits'"),
        ([], ["title"], NotFound, "called 'title'"),
    ],
)
def test_what_the_charter_cannot_hold_is_refused_in_words(
    given_texts: list[str], dropped: list[str], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        amendments(CHARTER, given_texts, dropped)


VALUES = st.recursive(
    st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=3,
)


@given(
    st.dictionaries(
        st.sampled_from(["audit_per_mille", "tasks", "retention", "x.y", ""]), VALUES | st.none(), min_size=1
    )
)
def test_a_successor_holds_what_was_wished_and_shows_it(rules: dict[str, JSON]) -> None:
    wishes = {Amendment.of(f"rules.{name}", value) for name, value in rules.items()}
    after = successor(CHARTER, wishes)
    for name, value in rules.items():
        assert after.rules.get(name) == value
        said(value)
    found = wishes_in(CHARTER, after)
    assert found <= wishes
    assert successor(CHARTER, found).raw == after.raw
    untouched = terms(CHARTER).keys() - rules.keys()
    assert {name: terms(after)[name] for name in untouched} == {name: terms(CHARTER)[name] for name in untouched}


def enacted(town: Town, charter: Charter, *voters: str) -> None:
    """Let voters vote, and all know it."""
    votes = []
    for voter in voters:
        bench = town.benches[voter]
        bench.store.add([charter.raw])
        bench.learn_charter(charter)
        votes.append(bench.commit(vote_recipe(charter.digest, 1)))
    for voter in voters:
        town.benches[voter].admit([vote.commit.raw for vote in votes], "others")


def test_a_tainted_model_is_released_only_if_the_voters_accept_it() -> None:
    town = Town()
    study = town.study("a")
    town.give("a", "b", study)
    theirs = town.train("b", study.digest, 2.0, study.digest)
    town.give("b", "a", theirs)
    mine = town.train("a", study.digest, 1.0, study.digest)
    merge = town.merge("a", {mine.digest: 1, theirs.digest: 1}, study.digest)
    bench = town.benches["a"]
    refuse_unsound(bench, merge, "v1", "a")
    again = forked(theirs.commit, "b", Recipe("note", 1, {"text": "another"}), "2025-01-01T00:00:00Z")
    bench.admit([again], "b")
    assert bench.standing.state(merge.digest) is State.TAINTED
    with pytest.raises(Refused) as refused:
        refuse_unsound(bench, merge, "v1", "a")
    assert refused.value.code == "release-tainted"
    assert f"--accept {merge.digest[:12]}" in refused.value.advice
    wishes = amendments(bench.founding, [f"{acceptance_of(merge.digest)}=true"], [])
    enacted(town, successor(bench.founding, wishes), "a", "c")
    refuse_unsound(bench, merge, "v1", "a")
    with pytest.raises(Refused, match="contested"):
        refuse_unsound(bench, theirs, "v1", "a")
