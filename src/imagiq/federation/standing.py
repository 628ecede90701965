"""The standing of commits: which are void, contested or tainted. A function of the set of known commits alone."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum

from imagiq.federation.ballots import DoubleVote, double_votes, early_votes
from imagiq.federation.line import Line, line_of
from imagiq.federation.votes import Recovery, Vote, missing_charter, recovery_in, vote_in
from imagiq.history import Entry, History
from imagiq.objects import Charter, Commit, Digest

__all__ = ["Standing", "State"]

WORDS_ON_CHARTERS = frozenset({"vote", "recover"})


class State(Enum):
    """What a commit is worth. Only sound and tainted commits are new inputs."""

    SOUND = "sound"
    VOID = "void"
    CONTESTED = "contested"
    TAINTED = "tainted"

    @property
    def is_input(self) -> bool:
        """Whether new work may stand on such a commit."""
        return self in {State.SOUND, State.TAINTED}


class Standing:
    """The line of charters and the state of each commit, kept up to date as a history grows.

    An ordinary commit costs microseconds. A fork, a second certificate of one number or the commit of a cut costs as
    much as the feed and what stands on it; another ruling charter costs a look at every commit.

    Args:
        history: The history; whoever adds to it calls :meth:`note` next.
        founding: Version 1 of the charter: the federation.
    """

    def __init__(self, history: History, founding: Charter) -> None:
        self._history = history
        self._founding = founding
        self._charters: dict[Digest, Charter] = {founding.digest: founding}
        self._votes: dict[Digest, Vote] = {}
        self._recoveries: dict[Digest, Recovery] = {}
        self._waiting: dict[Digest, list[Entry]] = {}
        self._states: dict[Digest, State] = {}
        self._children: dict[Digest, list[Entry]] = {}
        self._forked_at: dict[str, int] = {}
        self._doubly_certified: set[tuple[str, int]] = set()
        self._cut_chains: dict[str, frozenset[Digest]] = {}
        self._feeds_cut_at: dict[Digest, list[str]] = {}
        self.line = Line(enacted=frozenset({founding.digest}))
        self.epoch = 0
        """Counts how often states that were told before have changed."""

    @property
    def charters(self) -> Mapping[Digest, Charter]:
        """All charters known, in force or only proposed."""
        return self._charters

    @property
    def votes(self) -> tuple[Vote, ...]:
        """All votes known."""
        return tuple(self._votes.values())

    @property
    def double_votes(self) -> tuple[DoubleVote, ...]:
        """Who voted twice in one ballot."""
        return double_votes(self._votes.values())

    @property
    def early_votes(self) -> tuple[Vote, ...]:
        """Who went on to another ballot while the one before could still be won."""
        return early_votes(self._votes.values(), self._charters)

    @property
    def ruling(self) -> Charter | None:
        """The ruling charter; None before the federation is founded."""
        return self.line.ruling

    @property
    def charter(self) -> Charter:
        """The ruling charter; the founding one while none rules."""
        return self.line.ruling or self._founding

    def in_force(self, charter: Digest) -> bool:
        """Tell whether a charter is, or was, in force; version 1 always counts, for its founders' votes."""
        return charter in self.line.enacted

    def learn_charter(self, charter: Charter) -> frozenset[Digest]:
        """Take a charter into account; it may have votes already. Return as :meth:`note` does."""
        if charter.founding != self._founding.digest or charter.digest in self._charters:
            return frozenset()
        self._charters[charter.digest] = charter
        counted = [self._count(entry) for entry in self._waiting.pop(charter.digest, [])]
        return self._changed_since(self._follow_line() if any(counted) else {})

    def note(self, entry: Entry) -> frozenset[Digest]:
        """Take a commit into account that was just added to the history.

        Returns:
            The commits whose state was told before and is another now.
        """
        if entry.digest in self._states:
            return frozenset()
        for parent in entry.commit.parents:
            self._children.setdefault(parent.commit, []).append(entry)
        in_doubt = self._learn_evidence(entry)
        self._states[entry.digest] = self._judge(entry)
        told = self._judge_again(in_doubt)
        if entry.commit.recipe.name in WORDS_ON_CHARTERS and self._count(entry):
            told = self._follow_line() | told
        told.pop(entry.digest, None)
        return self._changed_since(told)

    def state(self, digest: Digest) -> State:
        """Return the state of a known commit."""
        return self._states[digest]

    def name_of(self, entry: Entry) -> str:
        """Return the name of the author's site in the charter that the commit was made under."""
        return self._charters[entry.commit.charter].names_by_site_key.get(entry.site, entry.site[:12])

    def _count(self, entry: Entry) -> bool:
        """Count what a commit says about charters, now or when the charters that it needs are known."""
        missing = missing_charter(entry, self._charters)
        if missing is not None:
            self._waiting.setdefault(missing, []).append(entry)
        elif vote := vote_in(entry, self._charters):
            self._votes[entry.digest] = vote
            return True
        elif recovery := recovery_in(entry, self._charters):
            self._recoveries[entry.digest] = recovery
            return True
        return False

    def _changed_since(self, told: Mapping[Digest, State]) -> frozenset[Digest]:
        changed = frozenset(digest for digest, state in told.items() if self._states[digest] is not state)
        self.epoch += bool(changed)
        return changed

    def _follow_line(self) -> dict[Digest, State]:
        """Find the ruling charter; where it is another one, judge all and return as :meth:`_judge_again` does."""
        before = self.ruling
        self.line = line_of(self._founding, self._charters, self._votes.values(), self._recoveries.values())
        ruling = self.ruling
        if ruling is None or (before is not None and before.digest == ruling.digest):
            return {}
        self._cut_chains, self._feeds_cut_at = {}, {}
        for cut in ruling.cuts:
            self._feeds_cut_at.setdefault(cut.commit, []).append(cut.feed)
            if cut.commit in self._history:
                self._cut_chains[cut.feed] = self._chain_to(cut.commit)
        return self._judge_again(self._history)

    def _chain_to(self, cut: Digest) -> frozenset[Digest]:
        return frozenset(entry.digest for entry in self._history.chain(cut))

    def _learn_evidence(self, entry: Entry) -> list[Entry]:
        """Learn what a new commit proves about its feed; return the commits about which that may change something."""
        commit = entry.commit
        in_doubt: list[Entry] = []
        forked_at = self._history.forks.get(commit.feed)
        if forked_at != self._forked_at.get(commit.feed) and forked_at is not None:
            self._forked_at[commit.feed] = forked_at
            in_doubt += self._from(commit.feed, forked_at)
        certificate = (entry.site, entry.certificate)
        if commit.number == 1 and len(feeds := self._history.certified(*certificate)) > 1:
            self._doubly_certified.add(certificate)
            in_doubt += [told for feed in feeds for told in self._from(feed, 1)]
        for feed in self._feeds_cut_at.get(entry.digest, ()):
            self._cut_chains[feed] = self._chain_to(entry.digest)
            in_doubt += self._from(feed, 1)
        return in_doubt

    def _from(self, feed: str, number: int) -> Iterator[Entry]:
        """Yield the commits of a feed from a number on."""
        while there := self._history.at(feed, number):
            yield from map(self._history.__getitem__, there)
            number += 1

    def _judge_again(self, entries: Iterable[Entry]) -> dict[Digest, State]:
        """Judge commits again, and what stands on them where that matters; return what the changed ones were before."""
        to_judge = {entry.digest: entry for entry in entries if entry.digest in self._states}
        waiting = [entry.order for entry in to_judge.values()]
        heapq.heapify(waiting)
        told: dict[Digest, State] = {}
        while waiting:
            digest = heapq.heappop(waiting)[1]
            before, now = self._states[digest], self._judge(to_judge[digest])
            if now is before:
                continue
            self._states[digest], told[digest] = now, before
            if (now is State.SOUND) != (before is State.SOUND):
                for child in self._children.get(digest, ()):
                    if child.digest not in to_judge:
                        to_judge[child.digest] = child
                        heapq.heappush(waiting, child.order)
        return told

    def _judge(self, entry: Entry) -> State:
        if not _is_never_void(entry.commit) and self._is_void(entry):
            return State.VOID
        if self._is_contested(entry):
            return State.CONTESTED
        stands_on = (self._states[parent.commit] for parent in entry.commit.parents)
        return State.SOUND if all(state is State.SOUND for state in stands_on) else State.TAINTED

    def _is_void(self, entry: Entry) -> bool:
        ruling, commit = self.ruling, entry.commit
        if ruling is None:
            return False
        cut = ruling.cuts_by_feed.get(commit.feed)
        if cut is None:
            return entry.site not in ruling.names_by_site_key
        chain = self._cut_chains.get(commit.feed)
        return commit.number > cut.number if chain is None else entry.digest not in chain

    def _is_contested(self, entry: Entry) -> bool:
        """Tell whether a key was used twice for this; a cut settles that as soon as its commit is known."""
        commit = entry.commit
        if commit.feed in self._cut_chains:
            return False
        forked_at = self._history.forks.get(commit.feed)
        if forked_at is not None and commit.number >= forked_at:
            return True
        return (entry.site, entry.certificate) in self._doubly_certified


def _is_never_void(commit: Commit) -> bool:
    """Tell whether a commit is a mere word on charters: nothing else may pass a cut in its clothes."""
    is_word = commit.recipe.name in WORDS_ON_CHARTERS and commit.recipe.version == 1
    return is_word and commit.tree is None and not commit.parents
