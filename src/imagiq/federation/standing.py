"""The standing of commits: which are void, contested or tainted. A function of the set of known commits alone."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from imagiq.federation.line import DoubleVote, Line, Recovery, Vote, double_votes, line_of, recovery_in, vote_in
from imagiq.history import Entry, History
from imagiq.objects import Charter, Cut, Digest

__all__ = ["Standing", "State"]

NEVER_VOID = frozenset({"vote", "recover"})


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
        self._pending: dict[Digest, Entry] = {}
        self._states: dict[Digest, State] = {}
        self._forks_known = (0, 0)
        self._doubly_certified: set[tuple[str, int]] = set()
        self._cut_chains: dict[str, frozenset[Digest]] = {}
        self.line = Line()
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
    def ruling(self) -> Charter | None:
        """The ruling charter; None before the federation is founded."""
        return self.line.ruling

    def in_force(self, charter: Digest) -> bool:
        """Tell whether a charter is, or was, in force; version 1 always counts, for its founders' votes."""
        return charter == self._founding.digest or charter in self.line.enacted

    def learn_charter(self, charter: Charter) -> None:
        """Take a charter into account; it may have votes already."""
        if charter.founding == self._founding.digest and charter.digest not in self._charters:
            self._charters[charter.digest] = charter
            for entry in self._pending.values():
                self._count(entry)
            self._follow_line()

    def note(self, entry: Entry) -> None:
        """Take a commit into account that was just added to the history."""
        if entry.commit.recipe.name in NEVER_VOID:
            self._pending[entry.digest] = entry
            self._count(entry)
            self._follow_line()
        if entry.commit.number == 1 and len(self._history.certified(entry.site, entry.certificate)) > 1:
            self._doubly_certified.add((entry.site, entry.certificate))
        forks = (sum(self._history.forks.values()) + len(self._history.forks) * 2**40, len(self._doubly_certified))
        cut_arrived = any(cut.commit == entry.digest for cut in self._cuts())
        if forks != self._forks_known or cut_arrived:
            self._forks_known = forks
            self._judge_all()
        elif entry.digest not in self._states:
            self._states[entry.digest] = self._judge(entry)

    def state(self, digest: Digest) -> State:
        """Return the state of a known commit."""
        return self._states[digest]

    def name_of(self, entry: Entry) -> str:
        """Return the name of the author's site in the charter that the commit was made under."""
        return self._charters[entry.commit.charter].names_by_site_key.get(entry.site, entry.site[:12])

    def _count(self, entry: Entry) -> None:
        if vote := vote_in(entry, self._charters):
            self._votes[entry.digest] = vote
        elif recovery := recovery_in(entry, self._charters):
            self._recoveries[entry.digest] = recovery
        else:
            return
        del self._pending[entry.digest]

    def _follow_line(self) -> None:
        line = line_of(self._founding, self._charters, self._votes.values(), self._recoveries.values())
        changed = line.ruling != self.line.ruling
        self.line = line
        if changed:
            self._judge_all()

    def _cuts(self) -> tuple[Cut, ...]:
        return () if self.ruling is None else self.ruling.cuts

    def _judge_all(self) -> None:
        self._cut_chains = {
            cut.feed: frozenset(entry.digest for entry in self._history.chain(cut.commit))
            for cut in self._cuts()
            if cut.commit in self._history
        }
        before, self._states = self._states, {}
        for entry in self._history:
            self._states[entry.digest] = self._judge(entry)
        self.epoch += any(self._states[digest] is not state for digest, state in before.items())

    def _judge(self, entry: Entry) -> State:
        if entry.commit.recipe.name not in NEVER_VOID and self._is_void(entry):
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
        commit = entry.commit
        if self.ruling is not None and commit.feed in self.ruling.cuts_by_feed:
            return False
        forked_at = self._history.forks.get(commit.feed)
        if forked_at is not None and commit.number >= forked_at:
            return True
        return (entry.site, entry.certificate) in self._doubly_certified
