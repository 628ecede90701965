"""What a voter may do next: split votes, next ballots, and proofs against who breaks the rules."""

from __future__ import annotations

from imagiq.federation import Standing, ballot_for, preferred
from imagiq.objects import Digest
from tests.federation.world import World, charter, read, successor

NAMES = ("A", "B", "C", "D")


class Election:
    """A founded federation of A to D, and three proposals."""

    def __init__(self, names: tuple[str, ...] = NAMES) -> None:
        self.world = World(charter(names)).found()
        self.base = self.world.founding
        self.x, self.y, self.z = (successor(self.base, add=[name]) for name in ("X", "Y", "Z"))

    @property
    def standing(self) -> Standing:
        return read(self.world).standing

    def ballot(self, voter: str) -> int | None:
        return ballot_for(self.base, self.standing.votes, voter)

    def preferred(self) -> Digest | None:
        return preferred(self.base, self.standing.votes, [self.x.digest, self.y.digest, self.z.digest])


def test_the_vote_for_version_1_is_in_no_ballot_on_its_successor() -> None:
    election = Election()
    assert [election.ballot(name) for name in NAMES] == [1, 1, 1, 1]
    election.world.enact(election.x)
    assert election.standing.double_votes == ()
    assert election.standing.ruling == election.x


def test_who_has_voted_waits() -> None:
    election = Election()
    election.world.feeds["A"].vote(election.x)
    assert election.ballot("A") is None
    assert election.ballot("B") == 1


def test_who_is_no_voter_has_no_ballot() -> None:
    assert Election().ballot("Q") is None


def test_a_split_vote_leads_to_the_next_ballot() -> None:
    election = Election()
    election.world.enact(election.x, by="AB")
    election.world.enact(election.y, by="C")
    assert election.ballot("A") is None, "D may still decide for X"
    election.world.enact(election.y, by="D")
    assert [election.ballot(name) for name in NAMES] == [2, 2, 2, 2]


def test_a_ballot_is_over_before_all_have_voted_when_nothing_can_win_it() -> None:
    election = Election(("A", "B", "C", "D", "E", "F"))
    for proposal, voters in ((election.x, "AB"), (election.y, "CD"), (election.z, "E")):
        election.world.enact(proposal, by=voters)
    assert election.ballot("F") == 2


def test_a_ballot_that_has_been_won_is_never_over() -> None:
    election = Election()
    election.world.enact(election.x, by="ABC")
    assert [election.ballot(name) for name in NAMES] == [None, None, None, 1]


def test_votes_in_later_ballots_do_not_end_an_earlier_one() -> None:
    election = Election()
    election.world.feeds["A"].vote(election.x, ballot=7)
    assert election.ballot("B") == 1


def test_voters_without_a_will_prefer_what_had_most_voters_in_the_latest_ballot() -> None:
    election = Election()
    low, high = sorted((election.x, election.y), key=lambda proposal: proposal.digest)
    assert election.preferred() == min(p.digest for p in (election.x, election.y, election.z))
    election.world.enact(low, by="AB")
    election.world.enact(high, by="CD")
    assert election.preferred() in {low.digest, election.z.digest, min(low.digest, high.digest)}
    election.world.feeds["A"].vote(high, ballot=2)
    assert election.preferred() == high.digest


def test_a_double_vote_is_two_charters_in_one_ballot_by_one_voter() -> None:
    election = Election()
    feed = election.world.feeds["A"]
    feed.vote(election.x)
    feed.vote(election.x)
    assert not election.standing.double_votes, "the same vote twice breaks nothing"
    feed.vote(election.y)
    (proof,) = election.standing.double_votes
    assert proof.voter == "A"
    feed.vote(election.y, ballot=2)
    assert len(election.standing.double_votes) == 1


def test_a_double_vote_over_two_feeds_is_found() -> None:
    election = Election()
    election.world.feeds["A"].vote(election.x)
    election.world.feed("A", number=2).vote(election.y)
    assert [proof.voter for proof in election.standing.double_votes] == ["A"]


def test_who_goes_on_although_a_ballot_is_won_is_proven() -> None:
    election = Election()
    election.world.enact(election.x, by="ABC")
    for name in "BCD":
        election.world.feeds[name].vote(election.y, ballot=2)
    standing = election.standing
    assert len(standing.line.rivals) == 2
    assert standing.double_votes == ()
    assert {vote.voter for vote in standing.early_votes} == {"B", "C", "D"}


def test_who_was_misled_by_a_double_voter_is_not_accused() -> None:
    election = Election(("A", "B", "C", "D", "E"))
    election.world.enact(election.x, by="AB")
    election.world.enact(election.y, by="CD")
    election.world.feeds["E"].vote(election.z)
    assert election.ballot("A") == 2
    election.world.feeds["A"].vote(election.y, ballot=2)
    election.world.feeds["E"].vote(election.x)
    assert [proof.voter for proof in election.standing.double_votes] == ["E"]
    assert election.standing.early_votes == ()
