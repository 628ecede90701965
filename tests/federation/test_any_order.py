"""Whatever the order of arrival: one line, one set of states, one set of steps, one decision. Small steps equal a fresh look."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from imagiq.federation import StudyHistory, View, line_of
from imagiq.federation.votes import recovery_in, vote_in
from imagiq.objects import Digest
from imagiq.strategies import BUILT_IN
from tests.federation.histories import arrivals, in_random_order, play
from tests.federation.world import Reader, read

seeds = st.integers(0, 2**32 - 1)
sizes = st.integers(2, 6)


def steps_of(study: StudyHistory) -> dict[str, Any]:
    sites = study.study.sites
    known = {step.digest for step in study}
    return {
        "known": {step.digest: (step.kind, step.site, step.progress, study.is_input(step)) for step in study},
        "trainings": {site: [step.digest for step in study.trainings(site)] for site in sites},
        "merges": [step.digest for step in study.merges()],
        "merges by": {site: [step.digest for step in study.merges_by(site)] for site in sites},
        "trained from": {digest: [s.digest for s in study.trained_from(digest)] for digest in known},
        "merged into": {digest: [s.digest for s in study.merged_into(digest)] for digest in known},
        "progress": list(study.progress),
    }


def decisions(reader: Reader, study: StudyHistory) -> list[object]:
    members = frozenset(study.study.sites)
    view = View(study=study.study, steps=study, members=members)
    return [decide(view, me) for decide in BUILT_IN.values() for me in study.study.sites]


def all_of(reader: Reader) -> dict[str, Any]:
    line = reader.standing.line
    return {
        "line": ([version.digest for version in line.versions], line.rivals, line.enacted),
        "states": reader.states(),
        "votes": sorted(reader.standing.votes),
        "proofs": (reader.standing.double_votes, reader.standing.early_votes),
        "steps": [steps_of(study) for study in reader.studies.values()],
        "decisions": [decisions(reader, study) for study in reader.studies.values()],
    }


@given(seed=seeds, order=seeds, sites=sizes)
def test_any_order_of_arrival_gives_one_result(seed: int, order: int, sites: int) -> None:
    world = play(seed, sites, 40)
    assert all_of(in_random_order(world, order)) == all_of(in_random_order(world, order + 1)) == all_of(read(world))


def states_from_scratch(reader: Reader) -> dict[Digest, str]:
    """Judge as the definition says, commit by commit, from nothing."""
    history, ruling = reader.history, reader.standing.ruling
    feeds: dict[tuple[str, int], set[str]] = {}
    numbers: dict[str, Counter[int]] = {}
    for entry in history:
        feeds.setdefault((entry.site, entry.certificate), set()).add(entry.commit.feed)
        numbers.setdefault(entry.commit.feed, Counter())[entry.commit.number] += 1
    states: dict[Digest, str] = {}
    for entry in sorted(history, key=lambda e: e.order):
        commit, cut = entry.commit, None if ruling is None else ruling.cuts_by_feed.get(entry.commit.feed)
        chain = None if cut is None or cut.commit not in history else {e.digest for e in history.chain(cut.commit)}
        forks = any(n <= commit.number for n, count in numbers[commit.feed].items() if count > 1)
        void = ruling is not None and (
            entry.site not in ruling.names_by_site_key
            if cut is None
            else (commit.number > cut.number if chain is None else commit.digest not in chain)
        )
        is_word = commit.recipe.name in {"vote", "recover"} and commit.recipe.version == 1
        if void and not (is_word and commit.tree is None and not commit.parents):
            states[commit.digest] = "void"
        elif chain is None and (forks or len(feeds[entry.site, entry.certificate]) > 1):
            states[commit.digest] = "contested"
        elif any(states[parent.commit] != "sound" for parent in commit.parents):
            states[commit.digest] = "tainted"
        else:
            states[commit.digest] = "sound"
    return states


@given(seed=seeds, order=seeds, sites=sizes)
def test_states_kept_up_to_date_equal_those_judged_from_scratch(seed: int, order: int, sites: int) -> None:
    reader = in_random_order(play(seed, sites, 40), order)
    assert reader.states() == states_from_scratch(reader)


@given(seed=seeds, order=seeds, sites=sizes)
def test_the_line_kept_up_to_date_equals_one_from_scratch(seed: int, order: int, sites: int) -> None:
    reader = in_random_order(play(seed, sites, 40), order)
    charters = reader.standing.charters
    votes = [vote for entry in reader.history if (vote := vote_in(entry, charters)) is not None]
    recoveries = [found for entry in reader.history if (found := recovery_in(entry, charters)) is not None]
    assert (
        line_of(charters[reader.history.__iter__().__next__().commit.federation], charters, votes, recoveries)
        == reader.standing.line
    )


@given(seed=seeds, order=seeds, sites=sizes)
def test_a_study_kept_up_to_date_equals_one_built_anew(seed: int, order: int, sites: int) -> None:
    reader = in_random_order(play(seed, sites, 40), order)
    for kept in reader.studies.values():
        anew = StudyHistory(kept.study, reader.history[kept.study.digest])
        for entry in reader.history:
            if entry.commit.study == kept.study.digest:
                charter = reader.standing.charters[entry.commit.charter]
                name = charter.names_by_site_key.get(entry.site, "")
                anew.add(entry, name, is_input=reader.standing.state(entry.digest).is_input)
        assert steps_of(anew) == steps_of(kept)
        assert decisions(reader, anew) == decisions(reader, kept)


@given(seed=seeds, order=seeds, sites=sizes)
def test_what_is_in_force_stays_in_force(seed: int, order: int, sites: int) -> None:
    world = play(seed, sites, 40)
    reader, before = Reader(world.founding), frozenset[Digest]()
    for item in arrivals(world, order):
        reader.learn(item)
        assert before <= reader.standing.line.enacted
        before = reader.standing.line.enacted


@given(seed=seeds, order=seeds, sites=sizes)
def test_told_changes_are_all_changes(seed: int, order: int, sites: int) -> None:
    world = play(seed, sites, 40)
    reader = Reader(world.founding)
    for item in arrivals(world, order):
        before, epoch = reader.states(), reader.standing.epoch
        reader.changes.clear()
        reader.learn(item)
        changed = {digest for digest, state in before.items() if reader.states()[digest] != state}
        assert changed == frozenset().union(*reader.changes)
        assert (reader.standing.epoch > epoch) == bool(changed)


def test_random_histories_hold_what_they_should() -> None:
    """The tests above mean something only if all this happens."""
    found: set[str] = set()
    for seed in range(60):
        reader = read(play(seed, 2 + seed % 5, 40))
        found |= set(reader.states().values())
        standing = reader.standing
        ruling = standing.ruling
        facts = {
            "version 3": len(standing.line.versions) > 2,
            "rivals": bool(standing.line.rivals),
            "double vote": bool(standing.double_votes),
            "early vote": bool(standing.early_votes),
            "later ballot": any(vote.ballot > 1 for vote in standing.votes),
            "fork": bool(reader.history.forks),
            "cut not known": ruling is not None and any(cut.commit not in reader.history for cut in ruling.cuts),
            "cut": ruling is not None and bool(ruling.cuts),
            "progress": any(sum(study.progress) > 3 for study in reader.studies.values()),
        }
        found |= {fact for fact, holds in facts.items() if holds}
    assert found == {
        *("sound", "void", "contested", "tainted", "version 3", "rivals", "double vote", "early vote"),
        *("later ballot", "fork", "cut", "progress"),
    }
