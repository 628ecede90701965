"""Random histories: members work, vote, propose, fork, certify twice, are cut; and random orders to learn them in."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from imagiq.federation import ballot_for
from imagiq.objects import Charter, Commit, Digest
from tests.federation.world import Feed, Reader, World, admissible, charter, successor

NAMES = ("A", "B", "C", "D", "E", "F")


@dataclass
class Play:
    """A world in which members do whatever the drawn numbers say; ``pens`` are the feeds and forks they write."""

    random: Random
    world: World
    pens: list[Feed]
    study: Commit
    proposals: list[Charter]
    known: Reader
    certificates: int = 1

    def step(self) -> None:
        often = [self.work, self.train, self.vote] * 2
        acts = [*often, self.train, self.vote, self.merge, self.vote_wildly, self.propose, self.fork]
        self.random.choice([*acts, self.new_feed, self.recover])()

    def pen(self) -> Feed:
        return self.random.choice(self.pens)

    def under(self, pen: Feed) -> Charter | None:
        """Return the newest charter in force that has the pen's site, as its author sees it."""
        standing = self.known.learn_all(self.world).standing
        having = [
            c
            for d, c in self.world.charters.items()
            if standing.in_force(d) and pen.site_key.public in c.names_by_site_key
        ]
        return max(having, key=lambda c: (c.version, c.digest), default=None)

    def work(self) -> None:
        pen = self.pen()
        parents = self.random.sample(list(self.world.commits.values()), k=min(2, len(self.world.commits)))
        pen.note(str(self.random.random()), parents=parents, under=self.under(pen))

    def steps(self) -> list[Commit]:
        return [c for c in self.world.commits.values() if c.study == self.study.digest]

    def train(self) -> None:
        pen = self.pen()
        base = self.random.choice([self.study, *self.steps()])
        action = Digest(f"{self.random.randrange(3):064x}") if self.random.random() < 0.5 else None
        pen.train(self.study, base, under=self.under(pen), cases=self.random.choice((None, 0, 5)), action=action)

    def merge(self) -> None:
        pen = self.pen()
        steps = self.steps()
        if len(steps) > 1:
            base = self.random.choice([None, self.study, *steps])
            pen.merge(self.study, self.random.sample(steps, k=2), base, under=self.under(pen))

    def propose(self) -> None:
        base = self.random.choice(self.proposals)
        victim = self.random.choice(NAMES)
        notes = [c for c in self.world.commits.values() if c.number > 1]
        cuts = self.random.sample(notes, k=min(len(notes), self.random.randrange(3)))
        if self.random.random() < 0.5 and len(base.members) > 1 and victim in {m.name for m in base.members}:
            proposal = successor(base, remove=victim, cuts=cuts)
        else:
            proposal = successor(base, add={"G", "H"} - {m.name for m in base.members}, cuts=cuts)
        self.proposals.append(self.world.keep_charter(proposal))

    def vote(self) -> None:
        """Vote as the rules ask."""
        standing = self.known.learn_all(self.world).standing
        ruling = standing.ruling
        pen = self.pen()
        if ruling is not None and (voter := ruling.names_by_site_key.get(pen.site_key.public)) is not None:
            ballot = ballot_for(ruling, standing.votes, voter)
            candidates = [c for c in self.proposals if c.previous == ruling.digest]
            if ballot is not None and candidates:
                pen.vote(self.random.choice(candidates), ballot)

    def vote_wildly(self) -> None:
        """Vote on the successor of any version, in any ballot; now and then with all pens."""
        proposal, ballot = self.random.choice(self.proposals), self.random.randrange(1, 3)
        pens = self.pens if self.random.random() < 0.2 else [self.pen()]
        base = self.world.charters.get(proposal.previous or proposal.digest)
        standing = self.known.learn_all(self.world).standing
        for pen in pens:
            if base is not None and standing.in_force(base.digest) and pen.site_key.public in base.names_by_site_key:
                pen.vote(proposal, ballot)

    def recover(self) -> None:
        pen = self.pen()
        if self.random.random() < 0.3:
            pen.recover(self.random.choice(self.proposals), self.random.sample(range(3), k=self.random.randrange(1, 3)))

    def fork(self) -> None:
        pen = self.pen()
        chain = [c for c in self.world.commits.values() if c.feed == pen.key.public]
        if chain and len(self.pens) < 12:
            self.pens.append(pen.fork(self.random.choice(chain)))

    def new_feed(self) -> None:
        """Open another feed of a site, now and then under a number that is taken."""
        pen = self.pen()
        self.certificates += self.random.random() < 0.7
        if len(self.pens) < 12:
            name = f"feed {len(self.pens)} {self.random.random()}"
            self.pens.append(Feed(self.world, pen.site, name, number=self.certificates))


def play(seed: int, sites: int, steps: int) -> World:
    """Return a world with a random history."""
    random = Random(seed)
    world = World(charter(NAMES[:sites], recovery=3)).found()
    study = world.feeds["A"].study("fedavg", NAMES[:sites], steps=4)
    game = Play(random, world, list(world.feeds.values()), study, [world.founding], Reader(world.founding))
    game.propose()
    for _ in range(steps):
        game.step()
    return world


def arrivals(world: World, seed: int) -> list[Commit | Charter]:
    """Return a random order in which to learn a world: each commit after what it names, charters whenever."""
    random = Random(seed)
    reader = Reader(world.founding)
    waiting: list[Commit | Charter] = [*world.commits.values(), *world.charters.values()]
    order: list[Commit | Charter] = []
    for _ in range(500):
        random.shuffle(waiting)
        later = []
        for item in waiting:
            if (isinstance(item, Charter) or admissible(reader, item)) and random.random() < 0.7:
                reader.learn(item)
                order.append(item)
            else:
                later.append(item)
        waiting = later
        if not waiting:
            return order
    raise AssertionError("what was admitted where it was made is not admitted everywhere")


def in_random_order(world: World, seed: int) -> Reader:
    """Learn a world in a random order."""
    return Reader(world.founding).learn(*arrivals(world, seed))
