"""Voters who hear of each other's votes late, in any order or never: never two successors, and always one in the end."""

from __future__ import annotations

import random

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from imagiq.errors import Misuse
from imagiq.federation import (
    Line,
    Recovery,
    Vote,
    ballot_for,
    check_successor,
    double_votes,
    early_votes,
    line_of,
    preferred,
)
from imagiq.keys import FeedKey, SiteKey, recovery_signature, verify_recovery
from imagiq.objects import Charter, Digest, Member, digest_of
from tests.machines.effort import effort
from tests.machines.model import Model

NAMES = "abcde"
KEYS = {name: SiteKey(name.encode() * 32) for name in "abcdefg"}
RECOVERY = {key.public: key.seed for key in (FeedKey(bytes([number]) * 32) for number in range(3))}
MOST_PROPOSALS = 7
PLACE = st.integers(0, 2**16)
PLACES = st.lists(PLACE, min_size=1, max_size=6)
CHEAT = st.sampled_from([None, 0, 1, 2])
RARELY = st.sampled_from([False, False, False, True])


class CharterMachine(RuleBasedStateMachine):
    """Votes are values here; that commits carry them as they should is the federation's machine."""

    @initialize(count=st.sampled_from([1, 2, 3, 3, 4, 4, 5]), stewards=st.sampled_from([2, 3, 5, 5]), cheat=CHEAT)
    def found(self, count: int, stewards: int, cheat: int | None) -> None:
        names = tuple(NAMES[:count])
        self.founding = Charter(
            title="0",
            members=tuple(Member(name, KEYS[name].public, KEYS[name].exchange_public) for name in names),
            voters=names[:stewards],
            recovery=tuple(sorted(RECOVERY)),
        )
        self.charters: dict[Digest, Charter] = {self.founding.digest: self.founding}
        self.names = names
        self.cheat = None if cheat is None else names[cheat % len(names)]
        self.has_cheated = False
        self.count = 0
        self.votes: set[Vote] = set()
        self.recoveries: set[Recovery] = set()
        self.known: dict[str, set[Vote | Recovery]] = {name: set() for name in names}
        self.before: dict[str, Line] = {}
        for name in names:
            self.say(name, Vote(self.founding.digest, 1, name, self.founding.digest, self.commit()))

    def commit(self) -> Digest:
        self.count += 1
        return digest_of(b"%d" % self.count)

    def say(self, name: str, word: Vote | Recovery) -> None:
        self.known[name].add(word)
        if isinstance(word, Vote):
            self.votes.add(word)
        else:
            self.recoveries.add(word)

    def votes_of(self, name: str) -> list[Vote]:
        return sorted(word for word in self.known[name] if isinstance(word, Vote))

    def line(self, name: str) -> Line:
        recoveries = [word for word in self.known[name] if isinstance(word, Recovery)]
        return line_of(self.founding, self.charters, self.votes_of(name), recoveries)

    def followers(self, versions: tuple[Charter, ...]) -> list[Charter]:
        """Return which proposals may follow; that is found again by hand."""
        found = []
        names = {member.site_key: member.name for version in versions for member in version.members}
        gone = set(names) - {member.site_key for member in versions[-1].members}
        for charter in sorted(self.charters.values(), key=lambda one: one.digest):
            renamed = any(names.get(member.site_key, member.name) != member.name for member in charter.members)
            returns = any(member.site_key in gone for member in charter.members)
            may = charter.previous == versions[-1].digest and not renamed and not returns
            try:
                check_successor(versions, charter)
            except Misuse:
                assert not may
            else:
                assert may, "a charter may follow that brings back or renames a site key, or skips a version"
                found.append(charter)
        return found

    def chain(self, charter: Charter) -> tuple[Charter, ...]:
        if charter.previous is None:
            return (charter,)
        return (*self.chain(self.charters[charter.previous]), charter)

    def proposals(self) -> list[Charter]:
        """Return the charters that may follow what each of them follows."""
        pasts = {charter.previous: self.chain(charter)[:-1] for charter in self.charters.values() if charter.previous}
        return [charter for past in pasts.values() for charter in self.followers(past)]

    def who(self, place: int) -> str:
        return self.names[place % len(self.names)]

    # --------------------------------------------------------------------------------------------- what happens

    @precondition(lambda self: len(self.charters) < MOST_PROPOSALS)
    @rule(place=PLACE, drop=st.booleans(), keep_voters=st.integers(1, 5), back=RARELY, rename=RARELY)
    def propose(self, place: int, drop: bool, keep_voters: int, back: bool, rename: bool) -> None:
        """Propose two successors of what this site takes for ruling; some remove a member, some bring one back."""
        versions = self.line(self.who(place)).versions
        for _ in range(2 if versions else 0):
            self.propose_after(versions, place, drop=drop, keep_voters=keep_voters, back=back, rename=rename)

    def propose_after(
        self, versions: tuple[Charter, ...], place: int, *, drop: bool, keep_voters: int, back: bool, rename: bool
    ) -> None:
        last = versions[-1]
        members = list(last.members)
        if drop and len(members) > 1:
            del members[place % len(members)]
        if back:
            present = {member.site_key for member in members}
            gone = [m for v in versions for m in v.members if m.site_key not in present]
            members = sorted({member.name: member for member in (*gone, *members)}.values())
        if rename:
            old = members[-1]
            members[-1] = Member("z" + old.name, old.site_key, old.exchange_key)
        voters = tuple(member.name for member in members if member.name in self.names)[:keep_voters]
        charter = Charter(
            title=str(len(self.charters)),
            version=last.version + 1,
            previous=last.digest,
            federation=self.founding.digest,
            members=tuple(members),
            voters=voters or (members[0].name,),
            recovery=last.recovery,
        )
        self.charters[charter.digest] = charter

    @rule(places=PLACES, choice=PLACE, follows=RARELY)
    def poll(self, places: list[int], choice: int, follows: bool) -> None:
        """Some vote, each as it likes; or all as a voter without a will of its own would."""
        for turn, place in enumerate(places):
            self.vote(place, choice >> turn, follows=follows)

    def vote(self, place: int, choice: int, *, follows: bool) -> None:
        """An honest voter votes when a ballot is open for it, as it likes or as all would."""
        name = self.who(place)
        versions, votes = self.line(name).versions, self.votes_of(name)
        if not versions or not (proposals := self.followers(versions)):
            return
        ballot = ballot_for(versions[-1], votes, name)
        assert ballot == self.open_ballot(versions[-1], votes, name)
        if ballot is None:
            return
        wanted = preferred(versions[-1], votes, [charter.digest for charter in proposals])
        assert wanted == self.favourite(versions[-1], votes, [charter.digest for charter in proposals])
        charter = wanted if follows and wanted is not None else proposals[choice % len(proposals)].digest
        self.say(name, Vote(versions[-1].digest, ballot, name, charter, self.commit()))

    @rule(place=PLACE)
    def repeat_in_another_feed(self, place: int) -> None:
        """A site is counted once, however many feeds its word stands in."""
        own = [vote for vote in self.votes_of(self.who(place)) if vote.voter == self.who(place)]
        if own:
            last = own[place % len(own)]
            self.say(last.voter, Vote(last.base, last.ballot, last.voter, last.charter, self.commit()))

    @precondition(lambda self: self.cheat is not None)
    @rule(choice=PLACE, place=PLACE, later=RARELY)
    def cheat_with_a_vote(self, choice: int, place: int, later: bool) -> None:
        """Vote for another charter in the same ballot, or go on to the next when nobody else would."""
        own = [vote for vote in sorted(self.votes) if vote.voter == self.cheat and not vote.founds]
        if not own:
            return
        first = own[place % len(own)]
        rivals = sorted(charter.digest for charter in self.proposals() if charter.previous == first.base)
        second = Vote(first.base, first.ballot + later, first.voter, rivals[choice % len(rivals)], self.commit())
        self.has_cheated |= later or second.charter != first.charter
        self.say(self.who(place), second)

    @rule(teller=PLACE, listeners=PLACES, part=st.integers(1, 2**12), everything=st.booleans())
    def hear(self, teller: int, listeners: list[int], part: int, everything: bool) -> None:
        words = sorted(self.known[self.who(teller)], key=repr)
        kept = [word for place, word in enumerate(words) if everything or part >> place % 12 & 1]
        for listener in listeners:
            self.known[self.who(listener)] |= set(kept)

    @rule()
    def meet(self) -> None:
        for name in self.names:
            self.known[name] = self.votes | self.recoveries

    @rule(choice=PLACE, place=PLACE, keys=st.integers(0, 7), forged=st.booleans())
    def recover(self, choice: int, place: int, keys: int, forged: bool) -> None:
        """Offline keys sign a successor; a forged signature counts nothing, and of three keys two are needed."""
        proposals = sorted(charter.digest for charter in self.proposals())
        if not proposals or keys not in {1, 3, 6}:
            return
        proposal = self.charters[proposals[choice % len(proposals)]]
        signers = [key for bit, key in enumerate(sorted(RECOVERY)) if keys >> bit & 1]
        for key in signers:
            verify_recovery(key, recovery_signature(RECOVERY[key], proposal.digest), proposal.digest)
        if proposal.previous is not None and not forged:
            self.say(self.who(place), Recovery(proposal.previous, proposal.digest, frozenset(signers)))

    @rule(seed=st.integers(0, 2**32 - 1))
    def a_while(self, seed: int) -> None:
        """Much happens; what is drawn here is one number, so that examples are deep and still few and small."""
        draw = random.Random(seed)
        for _ in range(20):
            place, places = draw.randrange(2**16), [draw.randrange(2**16) for _ in range(draw.randrange(1, 6))]
            what = draw.random()
            if what < 0.15 and len(self.charters) < MOST_PROPOSALS:
                odd = [draw.random() < chance for chance in (0.4, 0.2, 0.1)]
                self.propose(place, drop=odd[0], keep_voters=draw.randrange(1, 6), back=odd[1], rename=odd[2])
            elif what < 0.55:
                self.poll(places, place, follows=draw.random() < 0.25)
            elif what < 0.6:
                self.repeat_in_another_feed(place)
            elif what < 0.65 and self.cheat is not None:
                self.cheat_with_a_vote(place, places[0], later=draw.random() < 0.25)
            elif what < 0.67:
                self.recover(place, places[0], draw.choice([1, 3, 6]), forged=False)
            elif what < 0.72:
                self.meet()
            else:
                self.hear(place, places, draw.randrange(1, 2**12), everything=draw.random() < 0.5)
            self.check_line(self.who(place))

    # ------------------------------------------------------------------------------------------- what must hold

    def open_ballot(self, base: Charter, votes: list[Vote], voter: str) -> int | None:
        """Count by hand: the first ballot in which somebody can still win, unless the voter has voted in it."""
        for ballot in range(1, 2 + max((vote.ballot for vote in votes), default=0)):
            cast = {(v.voter, v.charter, v.ballot) for v in votes if v.base == base.digest != v.charter}
            present = {(voter, charter) for voter, charter, number in cast if number == ballot}
            silent = [name for name in base.voters if name not in {who for who, _ in present}]
            best = max((sum(c == charter for _, c in present) for _, charter in present), default=0)
            if (best + len(silent)) / len(base.voters) > 1 / 2:
                return ballot if voter in silent else None
        raise AssertionError

    def favourite(self, base: Charter, votes: list[Vote], proposals: list[Digest]) -> Digest:
        cast = {(v.ballot, v.charter, v.voter) for v in votes if v.base == base.digest and v.charter in proposals}
        last = max((ballot for ballot, _, _ in cast), default=0)
        ranked = [(-sum((b, c) == (last, name) for b, c, _ in cast), name) for name in proposals]
        return min(ranked)[1]

    def model_of(self, votes: set[Vote], recoveries: set[Recovery]) -> Model:
        """Return the model in which these words are known; the model takes them as if it had read them in commits."""
        model = Model([], {name: charter.raw for name, charter in self.charters.items()}, self.founding.digest)
        signed: dict[str, set[str]] = {}
        for recovery in recoveries:
            signed.setdefault(recovery.charter, set()).update(recovery.keys)
        vars(model).update(votes={(v.base, v.ballot, v.voter, v.charter) for v in votes}, recoveries=signed)
        return model

    @invariant()
    def each_sites_line_is_what_its_votes_say(self) -> None:
        for name in self.names:
            self.check_line(name)

    def check_line(self, name: str) -> None:
        line, before, words = self.line(name), self.before.get(name, Line()), self.known[name]
        votes = {word for word in words if isinstance(word, Vote)}
        expected = self.model_of(votes, {word for word in words if isinstance(word, Recovery)}).line
        assert tuple(charter.digest for charter in line.versions) == expected.versions
        assert (line.rivals, line.enacted) == (expected.rivals, expected.enacted)
        assert line.enacted >= before.enacted, "what was in force once is so for ever"
        self.before[name] = line

    @invariant()
    def honest_voters_never_elect_two_successors(self) -> None:
        everything = line_of(self.founding, self.charters, sorted(self.votes), ())
        if not self.has_cheated:
            assert everything.rivals == ()
            assert {charter.digest for charter in everything.versions} == everything.enacted
        doubles, early = double_votes(self.votes), early_votes(self.votes, self.charters)
        accused = {proof.voter for proof in doubles} | {vote.voter for vote in early}
        assert accused <= {self.cheat}, "an honest voter is accused"
        assert all(len(proof.commits) > 1 for proof in doubles)
        chosen = {(v.base, v.ballot, v.charter) for v in self.votes if v.voter == self.cheat and not v.founds}
        assert bool(doubles) == (len(chosen) > len({place[:2] for place in chosen})), "a double vote goes unseen"
        if everything.rivals:
            assert doubles or early, "two successors are in force, and nobody is to blame"

    @invariant()
    def a_site_does_not_leave_a_line_that_it_knows(self) -> None:
        if self.has_cheated or self.recoveries:
            return
        longest = line_of(self.founding, self.charters, sorted(self.votes), ()).versions
        for name in self.names:
            versions = self.line(name).versions
            assert versions == longest[: len(versions)]

    def teardown(self) -> None:
        """Everybody hears everything and follows the rule for split votes: a proposal is elected within three ballots."""
        if not hasattr(self, "names"):
            return
        self.meet()
        versions = self.line(self.names[0]).versions
        proposals = self.followers(versions)
        if not proposals or self.line(self.names[0]).rivals or self.has_cheated:
            return
        voters = [name for name in versions[-1].voters if name in self.names]
        for _ in range(3 * len(voters)):
            for name in voters:
                self.vote(self.names.index(name), 0, follows=True)
            self.meet()
        assert len(self.line(self.names[0]).versions) > len(versions), "a split vote was never settled"


TestCharterMachine = CharterMachine.TestCase
TestCharterMachine.settings = effort(examples=2)  # votes as values cost little
