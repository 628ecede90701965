"""A site: sync, decide, act, commit."""

from __future__ import annotations

import json

import pytest

from imagiq.bench import Verdict
from imagiq.errors import ContractBroken
from imagiq.exchange import BenchPeer
from imagiq.federation import Evaluate, Train, Wait
from imagiq.federation.notices import stop_recipe
from imagiq.history import Entry
from imagiq.learning import Learner
from imagiq.objects import Recipe
from imagiq.site import Planned, Site
from tests.bench.town import Town, feed_key
from tests.site.plain import Plain, site_in


@pytest.fixture
def town() -> Town:
    return Town()


def act(site: Site) -> Entry | None:
    planned = site.plan()
    assert isinstance(planned, Planned), planned
    site.begin(planned)
    return site.finish(planned)


def visit(guest: Site, host: Site) -> int:
    return guest.sync(BenchPeer(host.name, host.bench))


def test_a_site_trains_until_the_budget_is_spent(town: Town) -> None:
    study = town.study("a", steps=3)
    site = site_in(town, "a")
    made = [act(site) for _ in range(3)]
    assert [entry.commit.recipe.parameters["step"] for entry in made if entry is not None] == [1, 2, 3]
    assert all(entry is not None and entry.commit.study == study.digest for entry in made)
    assert isinstance(site.plan(), Wait)


def test_what_is_not_finite_is_left_out_of_the_metrics(town: Town) -> None:
    town.study("a")
    entry = act(site_in(town, "a"))
    assert entry is not None
    assert dict(entry.commit.metrics) == {"loss": "1"}


def test_a_site_that_was_restarted_goes_on_where_it_was(town: Town) -> None:
    town.study("a", steps=3)
    act(site_in(town, "a"))
    town.reopen("a")
    site = site_in(town, "a")
    entry = act(site)
    assert entry is not None
    assert entry.commit.recipe.parameters["step"] == 2


def test_a_started_mark_is_durable_before_the_work_is_done(town: Town) -> None:
    town.study("a")
    site = site_in(town, "a")
    planned = site.plan()
    assert isinstance(planned, Planned)
    assert site.begin(planned) == 1
    town.reopen("a")
    again = site_in(town, "a")
    assert again.plan() == planned
    assert again.begin(planned) == 2


def test_a_model_is_measured_once_on_cases_that_were_held_back(town: Town) -> None:
    town.study("a", steps=1)
    site = site_in(town, "a", held_back=range(4))
    act(site)
    planned = site.plan()
    assert isinstance(planned, Planned)
    assert isinstance(planned.work, Evaluate)
    entry = act(site)
    assert entry is not None
    assert dict(entry.commit.metrics) == {"accuracy": "0.5", "auc": "0.5"}
    assert entry.commit.cases == 4
    scores = site.bench.store.sidecar_read(entry.digest, "scores")
    assert scores is not None
    assert json.loads(scores) == {"score": ["0.5"] * 4, "truth": [0, 1, 0, 1]}
    assert isinstance(site.plan(), Wait)


def test_a_learner_is_let_go_once_nothing_is_left_to_do_in_its_study_and_not_before(town: Town) -> None:
    town.study("a", steps=2)
    gone: list[Learner] = []
    learner = Plain()
    site = site_in(town, "a", learner=learner, held_back=range(4), dismiss=gone.append)
    while not isinstance(planned := site.plan(), Wait):
        assert gone == []
        site.begin(planned)
        site.finish(planned)
    assert gone == [learner]
    assert isinstance(site.plan(), Wait)
    assert gone == [learner]


def test_a_learner_is_let_go_when_its_study_is_stopped_but_not_while_it_trains(town: Town) -> None:
    study = town.study("a", steps=9)
    gone: list[Learner] = []
    site = site_in(town, "a", dismiss=gone.append)
    act(site)
    planned = site.plan()
    assert isinstance(planned, Planned)
    site.begin(planned)
    town.benches["a"].commit(stop_recipe(), study=study.digest)
    assert site.is_stopped(planned.study)
    assert isinstance(site.plan(), Wait)
    assert gone == []
    site.finish(planned)
    assert isinstance(site.plan(), Wait)
    assert len(gone) == 1


@pytest.mark.parametrize("error", [ValueError("patient 17"), ContractBroken("own", "It broke.", "Mend it.")])
def test_a_failing_learner_is_backed_off_from_and_told_of_once(town: Town, error: Exception) -> None:
    town.study("a")
    learner = Plain()
    learner.fails_with = error
    site = site_in(town, "a", learner=learner)
    for _ in range(5):
        assert act(site) is None
        waiting = site.plan()
        assert isinstance(waiting, Wait)
        assert waiting.until_s is not None
        town.clock.advance_to(waiting.until_s)
    told = [entry.commit for entry in site.bench.history if entry.commit.recipe.name == "trouble"]
    assert len(told) == 1
    assert b"patient" not in told[0].raw
    learner.fails_with = None
    assert act(site) is not None


def test_back_off_doubles(town: Town) -> None:
    town.study("a")
    learner = Plain()
    learner.fails_with = ValueError()
    site = site_in(town, "a", learner=learner)
    waits = []
    for _ in range(4):
        act(site)
        waiting = site.plan()
        assert isinstance(waiting, Wait)
        assert waiting.until_s is not None
        waits.append(waiting.until_s - town.clock.now_s())
        town.clock.advance_to(waiting.until_s)
    assert waits == [10.0, 20.0, 40.0, 80.0]


def test_a_strategy_that_is_not_installed_is_waited_for_by_name(town: Town) -> None:
    study = town.study("a", strategy="telepathy")
    action = site_in(town, "a").actions()[study.digest]
    assert isinstance(action, Wait)
    assert "telepathy" in action.why


def test_only_the_blobs_that_the_next_actions_need_are_fetched(town: Town) -> None:
    study = town.study("a", steps=2)
    first, second = site_in(town, "a"), site_in(town, "b")
    trained = act(first)
    assert trained is not None
    visit(second, first)
    assert study.digest in second.bench.models.complete
    assert trained.digest in second.bench.history
    assert trained.digest not in second.bench.models.complete


def test_who_waits_for_the_last_model_of_a_round_fetches_the_others_meanwhile(town: Town) -> None:
    town.study("a", "fedavg")
    sites = {name: site_in(town, name) for name in "abc"}
    for name in "bc":
        visit(sites[name], sites["a"])
    act(sites["a"])
    entry = act(sites["b"])
    assert entry is not None
    assert visit(sites["a"], sites["b"]) == 2, "a commit and its model"
    assert entry.digest in town.benches["a"].models.complete
    assert isinstance(sites["a"].plan(), Wait)
    assert visit(sites["c"], sites["a"]) > 0
    assert entry.digest not in town.benches["c"].models.complete


def test_a_merge_brings_the_models_that_it_needs(town: Town) -> None:
    study = town.study("a", strategy="latest-of-each", steps=1)
    sites = [site_in(town, name) for name in town.names]
    act(sites[0])
    visit(sites[1], sites[0])
    made = [act(sites[1]) for _ in range(2)]
    assert [entry.commit.recipe.name for entry in made if entry is not None] == ["merge", "train"]
    assert all(entry is not None and entry.commit.study == study.digest for entry in made)


def test_a_false_merge_is_called_false_and_others_recompute_it(town: Town) -> None:
    study = town.study("b")
    one = town.train("b", study.digest, 1.0, study.digest)
    two = town.train("b", study.digest, 3.0, study.digest, 2)
    false = town.merge("b", {one.digest: 1, two.digest: 1}, study.digest, tree=town.model("b", 9.0))
    liar, witness, reader = (site_in(town, name) for name in ("b", "a", "c"))
    town.give("b", "a", study, one, two)
    witness.bench.admit([false.commit.raw], "b")
    town.fetch("b", "a", false)
    visit(witness, liar)
    claims = [e.commit for e in witness.bench.history if e.commit.recipe.name == "attest"]
    assert [dict(c.recipe.parameters) for c in claims] == [{"verdict": "FALSE"}]
    visit(witness, liar)
    assert len([e for e in witness.bench.history if e.commit.recipe.name == "attest"]) == 1
    visit(reader, witness)
    assert reader.bench.verdicts == {false.digest: Verdict.FALSE}
    assert false.digest in reader.bench.models.set_aside


@pytest.mark.parametrize(("drawn", "attested"), [(499, 1), (500, 0)])
def test_a_true_merge_is_attested_when_it_is_drawn(drawn: int, attested: int) -> None:
    town = Town(audit_per_mille=500)
    study = town.study("b")
    one = town.train("b", study.digest, 1.0, study.digest)
    merge = town.merge("b", {one.digest: 1}, study.digest)
    town.give("b", "a", study, one, merge)
    site = site_in(town, "a", audit_draw=drawn)
    for _ in range(2):
        visit(site, site_in(town, "b"))
    words = [e.commit.recipe.parameters for e in site.bench.history if e.commit.recipe.name == "attest"]
    assert [dict(word) for word in words] == [{"verdict": "verified"}] * attested


def test_a_site_whose_key_was_used_twice_opens_a_new_feed(town: Town) -> None:
    study = town.study("a", steps=5)
    site = site_in(town, "a")
    clone = town.open("a")
    other = clone.commit(Recipe("hello"))
    act(site)
    site.bench.admit([other.commit.raw], "thief")
    entry = act(site)
    assert entry is not None
    assert entry.commit.feed == feed_key("a2").public
    assert entry.commit.certificate is not None
    assert entry.commit.certificate.number == 2
    assert entry.commit.recipe.parameters["step"] == 1
    assert isinstance(site.actions()[study.digest], Train)


def test_a_removed_site_does_nothing_more(town: Town) -> None:
    town.study("a", steps=5)
    site = site_in(town, "c")
    visit(site, site_in(town, "a"))
    assert isinstance(site.plan(), Planned)
    site.name = "nobody"
    assert isinstance(site.plan(), Wait)
    assert site.actions() == {}
