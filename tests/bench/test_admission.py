"""The one door for foreign bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagiq.bench import Admitted, Limits, RefusedCommit, Waiting
from imagiq.errors import BudgetSpent, Corrupt, ImagiqError, Refused, Untrusted
from imagiq.federation import vote_recipe
from imagiq.keys import FeedKey, SiteKey, certify, sign_commit
from imagiq.objects import Charter, Commit, Digest, Draft, Member, Recipe
from tests.bench.town import Town, feed_key, site_key


@pytest.fixture
def town() -> Town:
    return Town()


def refusal(town: Town, raw: bytes) -> ImagiqError:
    before = len(town.benches["a"].history)
    (outcome,) = town.benches["a"].admit([raw], "stranger")
    assert isinstance(outcome, RefusedCommit), outcome
    assert len(town.benches["a"].history) == before
    return outcome.error


def first_commit(town: Town, site: SiteKey, feed: FeedKey, *, federation: Digest | None = None) -> Commit:
    federation = federation or town.founding.digest
    draft = Draft(
        federation=federation,
        charter=town.founding.digest,
        feed=feed.public,
        number=1,
        recipe=Recipe("hello"),
        created="2000-01-01T00:00:00Z",
        certificate=certify(site, federation=federation, feed=feed.public, number=1, ends=None),
    )
    return sign_commit(draft, feed)


def test_an_admitted_commit_is_there_after_a_restart(town: Town) -> None:
    study = town.study("b")
    town.benches["a"].admit([study.commit.raw], "b")
    assert study.digest in town.reopen("a").history


def test_admitting_again_changes_nothing(town: Town) -> None:
    study = town.study("b")
    first, second = town.benches["a"].admit([study.commit.raw] * 2, "b")
    assert first == second == Admitted(town.benches["a"].history[study.digest])


def test_a_commit_waits_for_its_previous_and_comes_in_with_it(town: Town) -> None:
    first = town.study("b")
    second = town.train("b", first.digest, 1.0, first.digest)
    (outcome,) = town.benches["a"].admit([second.commit.raw], "b")
    assert isinstance(outcome, Waiting)
    assert first.digest in outcome.missing
    town.benches["a"].admit([first.commit.raw], "b")
    assert second.digest in town.benches["a"].history
    assert len(town.benches["a"].waiting) == 0


def test_what_waits_still_waits_after_a_restart(town: Town) -> None:
    first = town.study("b")
    second = town.train("b", first.digest, 1.0, first.digest)
    town.benches["a"].admit([second.commit.raw], "b")
    bench = town.reopen("a")
    assert second.digest in bench.waiting
    bench.admit([first.commit.raw], "b")
    assert second.digest in bench.history


def test_a_restart_does_not_write_what_waits_again(town: Town) -> None:
    first = town.study("b")
    second = town.train("b", first.digest, 1.0, first.digest)
    town.benches["a"].admit([second.commit.raw], "b")
    for _ in range(3):
        town.reopen("a")
    assert [record["kind"] for record in town.stores["a"].journal.read()].count("waiting") == 1


def test_what_one_source_lets_wait_is_bounded() -> None:
    town = Town(limits=Limits(waiting_commits=3))
    study = town.study("b")
    steps = [town.train("b", study.digest, float(n), study.digest, n) for n in range(1, 7)]
    outcomes = town.benches["a"].admit([step.commit.raw for step in steps], "b")
    assert [outcome.kept for outcome in outcomes if isinstance(outcome, Waiting)] == [True] * 3 + [False] * 3
    assert len(town.benches["a"].waiting) == 3
    town.benches["a"].admit([study.commit.raw], "b")
    town.benches["a"].admit([step.commit.raw for step in steps], "b")
    assert all(step.digest in town.benches["a"].history for step in steps)


@given(data=st.data())
def test_any_change_of_a_commit_is_refused_with_words(data: st.DataObject) -> None:
    town = Town(names=("a", "b"))
    raw = bytearray(town.study("b").commit.raw)
    place = data.draw(st.integers(0, len(raw) - 1))
    raw[place] ^= data.draw(st.integers(1, 255))
    assert isinstance(refusal(town, bytes(raw)), ImagiqError)


@given(raw=st.binary(max_size=400))
def test_any_bytes_are_refused_with_words(raw: bytes) -> None:
    assert isinstance(refusal(Town(names=("a", "b")), raw), ImagiqError)


def test_an_oversized_commit_is_refused_unread(town: Town) -> None:
    assert isinstance(refusal(town, b"\0" * 64 + b'{"a":"' + b"x" * 2**19 + b'"}'), BudgetSpent)


def test_a_commit_of_another_federation_is_refused(town: Town) -> None:
    error = refusal(town, Town(title="another").study("b").commit.raw)
    assert (type(error), error.code) == (Refused, "commit-federation")


def test_a_commit_by_an_outsider_is_refused(town: Town) -> None:
    outsider = first_commit(town, site_key("outsider"), feed_key("outsider"))
    error = refusal(town, outsider.raw)
    assert (type(error), error.code) == (Untrusted, "commit-member")


def test_a_certificate_by_somebody_else_is_refused(town: Town) -> None:
    feed = feed_key("stolen")
    honest = certify(site_key("b"), federation=town.founding.digest, feed=feed_key("b").public, number=1, ends=None)
    draft = Draft(
        federation=town.founding.digest,
        charter=town.founding.digest,
        feed=feed.public,
        number=1,
        recipe=Recipe("hello"),
        created="2000-01-01T00:00:00Z",
        certificate=honest,
    )
    assert refusal(town, sign_commit(draft, feed).raw).code == "certificate-feed"


def test_a_commit_that_does_not_follow_its_previous_is_refused(town: Town) -> None:
    head = next(iter(town.benches["a"].history.heads[feed_key("b").public]))
    draft = Draft(
        federation=town.founding.digest,
        charter=town.founding.digest,
        feed=feed_key("b").public,
        number=5,
        previous=head,
        recipe=Recipe("hello"),
        created="2000-01-01T00:00:00Z",
    )
    assert refusal(town, sign_commit(draft, feed_key("b")).raw).code == "commit-chain"


def test_a_commit_under_an_unknown_charter_waits_for_it(town: Town) -> None:
    member = Member("d", site_key("d").public, site_key("d").exchange_public)
    proposal = Charter(
        title="town",
        version=2,
        previous=town.founding.digest,
        federation=town.founding.digest,
        members=(*town.founding.members, member),
        voters=town.founding.voters,
    )
    giver, taker = town.benches["b"], town.benches["a"]
    giver.store.add([proposal.raw])
    giver.learn_charter(proposal)
    vote = giver.commit(vote_recipe(proposal.digest, 1))
    (outcome,) = taker.admit([vote.commit.raw], "b")
    assert isinstance(outcome, Waiting)
    assert outcome.missing == {proposal.digest}
    taker.admit_charter(proposal.raw)
    assert vote.digest in taker.history
    assert proposal.digest in town.reopen("a").standing.charters


def test_a_charter_that_nobody_waits_for_is_not_kept(town: Town) -> None:
    stranger = Town(title="another").founding
    with pytest.raises(Refused) as caught:
        town.benches["a"].admit_charter(stranger.raw)
    assert caught.value.code == "charter-unasked"
    assert not town.benches["a"].store.has(stranger.digest)
    with pytest.raises(Corrupt):
        town.benches["a"].admit_charter(b"{}")


def test_an_unknown_recipe_is_admitted_and_carried_and_never_a_step(town: Town) -> None:
    study = town.study("b")
    strange = town.benches["b"].commit(Recipe("dream", 9, {"of": "sheep"}), study=study.digest)
    after = town.train("b", study.digest, 1.0, study.digest)
    town.give("b", "a", study, strange, after)
    steps = town.benches["a"].studies[study.digest]
    assert steps.get(strange.digest) is None
    assert steps.get(after.digest) is not None


def test_what_came_before_a_source_failed_is_kept(town: Town) -> None:
    study = town.study("b")

    def failing() -> object:
        yield study.commit.raw
        raise ConnectionError

    with pytest.raises(ConnectionError):
        town.benches["a"].admit(failing(), "b")  # type: ignore[arg-type]
    assert study.digest in town.reopen("a").history


def test_records_of_commits_that_no_longer_wait_are_left_out(town: Town) -> None:
    study = town.study("b")
    steps = [town.train("b", study.digest, float(n), study.digest, n) for n in range(1, 300)]
    bench = town.benches["a"]
    bench.admit([step.commit.raw for step in reversed(steps)], "b")
    bench.admit([study.commit.raw], "b")
    assert steps[-1].digest in bench.history
    assert not [record for record in bench.store.journal.read() if record["kind"] == "waiting"]
    assert steps[-1].digest in town.reopen("a").history
