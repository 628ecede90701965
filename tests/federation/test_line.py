"""Which versions of the charter are in force, and which one rules."""

from __future__ import annotations

from dataclasses import replace

import pytest

from imagiq.errors import Misuse
from imagiq.federation import check_successor
from imagiq.federation.votes import vote_in
from imagiq.objects import JSON, Recipe
from tests.federation.world import Reader, World, charter, read, successor

FIVE = ("A", "B", "C", "D", "E")


def founded(names: tuple[str, ...] = FIVE, recovery: int = 0) -> World:
    return World(charter(names, recovery=recovery)).found()


def test_version_1_is_in_force_only_when_every_founder_has_voted_for_it() -> None:
    world = World(charter("AB"))
    world.feeds["A"].vote(world.founding)
    assert read(world).standing.ruling is None
    world.feeds["B"].vote(world.founding)
    assert read(world).standing.ruling == world.founding


def test_a_founder_who_votes_twice_counts_once() -> None:
    world = World(charter("AB"))
    world.feeds["A"].vote(world.founding)
    world.feeds["A"].vote(world.founding)
    assert read(world).standing.ruling is None


def test_a_successor_is_in_force_with_more_than_half_of_the_voters_before_it() -> None:
    world = founded()
    proposal = successor(world.founding, add="F")
    world.enact(proposal, by="AB")
    assert read(world).standing.ruling == world.founding
    world.feeds["C"].vote(proposal)
    assert read(world).standing.ruling == proposal


def test_half_of_the_voters_are_not_enough() -> None:
    world = founded(("A", "B", "C", "D"))
    world.enact(successor(world.founding, add="E"), by="AB")
    assert read(world).standing.ruling == world.founding


def test_votes_of_several_ballots_do_not_add_up() -> None:
    world = founded()
    proposal = successor(world.founding, add="F")
    world.enact(proposal, by="AB")
    world.feeds["C"].vote(proposal, ballot=2)
    assert read(world).standing.ruling == world.founding


def test_who_is_no_voter_is_not_counted() -> None:
    world = World(charter("ABCDE", voters="ABC")).found()
    proposal = successor(world.founding, add="F")
    world.enact(proposal, by="DE")
    world.feeds["A"].vote(proposal)
    assert read(world).standing.ruling == world.founding


def test_who_joins_votes_on_the_next_version_but_not_on_its_own() -> None:
    world = founded(("A", "B"))
    joined = successor(world.founding, add="C")
    newcomer = world.feed("C")
    newcomer.vote(joined, under=world.founding)
    world.feeds["A"].vote(joined)
    assert read(world).standing.ruling == world.founding
    world.feeds["B"].vote(joined)
    next_one = successor(joined, rules={"audit_per_mille": 5})
    newcomer.vote(next_one)
    world.feeds["A"].vote(next_one)
    assert read(world).standing.ruling == next_one


def test_several_feeds_of_one_voter_count_as_one() -> None:
    world = founded(("A", "B", "C"))
    proposal = successor(world.founding, add="D")
    world.feeds["A"].vote(proposal)
    world.feed("A", number=2).vote(proposal)
    assert read(world).standing.ruling == world.founding


def test_a_vote_may_come_before_its_charter() -> None:
    world = founded(("A", "B"))
    second = world.enact(successor(world.founding, add="C"), by="AB")
    third = successor(second, add="D")
    world.enact(third, by="AB")
    reader = Reader(world.founding).learn(*world.commits.values())
    assert reader.standing.ruling == world.founding
    reader.learn(third)
    assert reader.standing.ruling == world.founding
    reader.learn(second)
    assert reader.standing.ruling == third


def test_charters_of_another_federation_are_not_learnt() -> None:
    world = founded(("A", "B"))
    other = charter("AC")
    reader = read(world).learn(other, successor(other, add="D"))
    assert set(reader.standing.charters) == {world.founding.digest}


@pytest.mark.parametrize("ballot", [0, -1, True, "1", ["1"]])
def test_a_ballot_is_a_number_from_1(ballot: JSON) -> None:
    world = founded(("A",))
    proposal = world.keep_charter(successor(world.founding, add="B"))
    world.feeds["A"].commit(Recipe("vote", 1, {"charter": proposal.digest, "ballot": ballot}))
    assert read(world).standing.ruling == world.founding


def test_a_vote_of_an_unknown_version_of_the_recipe_is_no_vote() -> None:
    world = founded(("A",))
    proposal = world.keep_charter(successor(world.founding, add="B"))
    world.feeds["A"].commit(Recipe("vote", 2, {"charter": proposal.digest, "ballot": 1}))
    assert read(world).standing.ruling == world.founding


def test_a_removed_site_key_never_comes_back() -> None:
    world = founded(("A", "B", "C"))
    without = successor(world.founding, remove="C")
    again = successor(without, add="C")
    with pytest.raises(Misuse) as error:
        check_successor((world.founding, without), again)
    assert error.value.code == "charter-key-again"
    world.enact(without, by="AB")
    world.enact(again, by="AB")
    assert read(world).standing.ruling == without


def test_a_site_that_was_removed_comes_back_with_a_new_key() -> None:
    world = founded(("A", "B", "C"))
    without = world.enact(successor(world.founding, remove="C"), by="AB")
    again = world.enact(successor(without, add="C", keys={"C": "C's new key"}), by="AB")
    assert read(world).standing.ruling == again


def test_a_site_key_keeps_its_name_so_that_no_site_counts_twice() -> None:
    founding = charter("AB")
    renamed = successor(founding, keys={"A": "B", "B": "A"})
    with pytest.raises(Misuse) as error:
        check_successor((founding,), renamed)
    assert error.value.code == "charter-key-renamed"
    world = World(founding).found()
    world.enact(renamed)
    assert read(world).standing.ruling == founding


def test_a_version_that_skips_a_number_never_comes_into_force() -> None:
    world = founded(("A",))
    world.enact(replace(successor(world.founding, add="B"), version=3, raw=b""))
    assert read(world).standing.ruling == world.founding


def test_votes_for_what_cannot_follow_do_not_block_a_ballot() -> None:
    world = founded(("A", "B", "C"))
    impossible = replace(successor(world.founding, add="D"), version=3, raw=b"")
    world.enact(impossible, by="AB")
    assert read(world).standing.votes == tuple(v for v in read(world).standing.votes if v.founds)


class TestTwoSuccessorsInForce:
    """A voter breaks the rule, and two successors win."""

    def world(self) -> World:
        self.founded = founded(("A", "B", "C"), recovery=3)
        self.one, self.two = (successor(self.founded.founding, add=name) for name in "DE")
        self.founded.enact(self.one, by="AB")
        self.founded.enact(self.two, by="BC")
        return self.founded

    def test_sites_stay_with_the_version_before_and_say_so(self) -> None:
        world = self.world()
        standing = read(world).standing
        assert standing.ruling == world.founding
        assert set(standing.line.rivals) == {self.one.digest, self.two.digest}

    def test_both_stay_admitted(self) -> None:
        standing = read(self.world()).standing
        assert standing.in_force(self.one.digest)
        assert standing.in_force(self.two.digest)

    def test_the_double_voter_is_proven(self) -> None:
        (proof,) = read(self.world()).standing.double_votes
        assert (proof.voter, proof.ballot, len(proof.commits)) == ("B", 1, 2)

    @pytest.mark.parametrize("which", [0, 1])
    def test_recovery_keys_settle_on_one_of_them(self, which: int) -> None:
        world = self.world()
        world.feeds["A"].recover((self.one, self.two)[which], [0, 1])
        assert read(world).standing.ruling == (self.one, self.two)[which]

    def test_recovery_keys_settle_on_a_third(self) -> None:
        world = self.world()
        third = successor(world.founding, remove="B")
        world.feeds["A"].recover(third, [0, 2])
        standing = read(world).standing
        assert standing.ruling == third
        assert standing.line.rivals == ()
        assert standing.in_force(self.one.digest)

    def test_half_of_the_recovery_keys_settle_nothing(self) -> None:
        world = self.world()
        world.feeds["A"].recover(self.one, [0])
        assert read(world).standing.ruling == world.founding

    def test_signatures_of_recovery_keys_add_up_over_commits(self) -> None:
        world = self.world()
        world.feeds["A"].recover(self.one, [0])
        world.feeds["C"].recover(self.one, [2])
        assert read(world).standing.ruling == self.one

    def test_a_wrong_signature_does_not_count(self) -> None:
        world = self.world()
        commit = world.feeds["A"].recover(self.one, [0, 1])
        signatures = commit.recipe.parameters["signatures"]
        assert isinstance(signatures, dict)
        wrong = dict.fromkeys(signatures, "00" * 64)
        del world.commits[commit.digest]
        feed = world.feeds["C"]
        feed.commit(Recipe("recover", 1, {"charter": self.one.digest, "signatures": wrong}))
        assert read(world).standing.ruling == world.founding

    def test_work_continues_from_what_was_settled_on(self) -> None:
        world = self.world()
        world.feeds["A"].recover(self.one, [0, 1])
        after = world.enact(successor(self.one, add="F"), by="ABC")
        assert read(world).standing.ruling == after


def test_recovery_keys_win_over_votes() -> None:
    world = founded(("A", "B", "C"), recovery=1)
    voted = world.enact(successor(world.founding, add="D"))
    assert read(world).standing.ruling == voted
    signed = successor(world.founding, remove="A")
    world.feeds["B"].recover(signed, [0])
    assert read(world).standing.ruling == signed


def test_votes_on_a_cut_feed_still_count() -> None:
    world = founded(("A", "B", "C"))
    last = world.feeds["C"].note("stands")
    proposal = successor(world.founding, remove="C", cuts=[last])
    rival = successor(world.founding, add="D")
    beyond = world.feeds["C"].vote(rival)
    world.enact(proposal, by="AB")
    reader = read(world)
    assert reader.standing.ruling == proposal
    assert vote_in(reader.history[beyond.digest], reader.standing.charters) is not None
    assert reader.state(beyond) == "sound"
