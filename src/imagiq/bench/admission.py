"""Admission: the one door for foreign commits, decided apart from I/O.

Bytes go in; what comes out is *admitted*, *waiting* for something named, or *refused* for what no later commit can
change. Whatever is wrong beyond that (an unknown recipe, a foreign schema, a false merge) is admitted, carried, and never
an input, so that one bad commit does not stop a feed.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from imagiq.errors import Corrupt, ImagiqError, Refused, Untrusted
from imagiq.federation import Standing
from imagiq.history import Entry, History
from imagiq.objects import JSON, Commit, Digest, parse_digest

__all__ = [
    "Admitted",
    "Limits",
    "Outcome",
    "RefusedCommit",
    "Waiting",
    "WaitingRoom",
    "charters_named",
    "examine",
    "missing_commits",
    "waiting_in",
    "waiting_record",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much of what others send a site is willing to keep.

    Attributes:
        waiting_commits: Commits that wait, per source and in all feeds together.
        waiting_bytes: Their bytes, per source.
        model_bytes: The largest model that is fetched.
    """

    waiting_commits: int = 20_000
    waiting_bytes: int = 64 * 2**20
    model_bytes: int = 64 * 2**30


@dataclass(frozen=True, slots=True)
class Admitted:
    """The commit is part of the history."""

    entry: Entry


@dataclass(frozen=True, slots=True)
class Waiting:
    """The commit waits for others. ``kept``: false when the room is full, so that it has to be sent again."""

    commit: Commit
    missing: frozenset[Digest]
    kept: bool = True


@dataclass(frozen=True, slots=True)
class RefusedCommit:
    """The bytes are no commit of this federation and never will be."""

    error: ImagiqError


Outcome = Admitted | Waiting | RefusedCommit


def examine(commit: Commit, history: History, standing: Standing, federation: Digest) -> frozenset[Digest]:
    """Return what a verified commit still waits for: previous, parents, study, charters; nothing: it is admissible.

    Raises:
        Refused: it belongs to another federation, or does not follow its previous.
        Untrusted: its site is no member by the charter that it names.
    """
    if commit.federation != federation:
        raise Refused(
            "commit-federation",
            f"A commit belongs to the federation {commit.federation[:12]}, not to {federation[:12]}.",
            "Open the repository of that federation.",
        )
    missing = set(missing_commits(commit, history))
    if not standing.in_force(commit.charter):
        missing.add(commit.charter)
    missing |= {name for name in charters_named(commit) if name not in standing.charters}
    _check_membership(commit, history, standing)
    return frozenset(missing)


def missing_commits(commit: Commit, history: History) -> frozenset[Digest]:
    """Return which of the commits that this one names as previous, parents or study are not known."""
    study = () if commit.study is None or commit.study in history else (commit.study,)
    return frozenset((*history.missing(commit), *study))


def charters_named(commit: Commit) -> frozenset[Digest]:
    """Return the charters that a commit names: the one it was made under, and the one it votes for or recovers."""
    named = {commit.charter}
    if commit.recipe.name in {"vote", "recover"}:
        with suppress(Corrupt):
            named.add(parse_digest(commit.recipe.parameters.get("charter"), "A proposal"))
    return frozenset(named)


def _check_membership(commit: Commit, history: History, standing: Standing) -> None:
    if commit.previous is None:
        site = commit.certificate.site if commit.certificate is not None else ""
    else:
        previous = history.get(commit.previous)
        if previous is None:
            return
        if previous.commit.feed != commit.feed or previous.commit.number + 1 != commit.number:
            raise Refused(
                "commit-chain", "A commit does not follow the one it names as its previous.", "Tell its author."
            )
        site = previous.site
    charter = standing.charters.get(commit.charter)
    if charter is not None and site not in charter.names_by_site_key:
        raise Untrusted(
            "commit-member",
            f"The site {site[:12]} is no member by the charter that its commit names.",
            "Ask the federation's voters to let it join.",
        )


@dataclass(slots=True)
class WaitingRoom:
    """Commits that wait, within limits per source."""

    limits: Limits
    _waiting: dict[Digest, tuple[Commit, str]] = field(default_factory=dict)
    _for: dict[Digest, set[Digest]] = field(default_factory=dict)
    _missing: dict[Digest, frozenset[Digest]] = field(default_factory=dict)
    _used: dict[str, tuple[int, int]] = field(default_factory=dict)

    def __len__(self) -> int:
        """Return how many commits wait."""
        return len(self._waiting)

    def __contains__(self, digest: object) -> bool:
        """Tell whether a commit waits."""
        return digest in self._waiting

    @property
    def missing(self) -> frozenset[Digest]:
        """Everything that some commit waits for and that does not itself wait."""
        return frozenset(self._for) - self._waiting.keys()

    def commits(self) -> list[tuple[Commit, str]]:
        """Return all that wait, each with its source."""
        return list(self._waiting.values())

    def enter(self, commit: Commit, missing: frozenset[Digest], source: str) -> bool:
        """Let a commit wait; false when its source has no room left."""
        if commit.digest in self._waiting:
            self._set_missing(commit.digest, missing)
            return True
        commits, size = self._used.get(source, (0, 0))
        if commits + 1 > self.limits.waiting_commits or size + len(commit.raw) > self.limits.waiting_bytes:
            return False
        self._used[source] = (commits + 1, size + len(commit.raw))
        self._waiting[commit.digest] = (commit, source)
        self._set_missing(commit.digest, missing)
        return True

    def _set_missing(self, digest: Digest, missing: frozenset[Digest]) -> None:
        for old in self._missing.get(digest, frozenset()) - missing:
            self._for[old].discard(digest)
            if not self._for[old]:
                del self._for[old]
        self._missing[digest] = missing
        for name in missing:
            self._for.setdefault(name, set()).add(digest)

    def waiting_for(self, digest: Digest) -> list[Commit]:
        """Return the commits that wait for an object, sorted by name."""
        return [self._waiting[name][0] for name in sorted(self._for.get(digest, ()))]

    def leave(self, digest: Digest) -> str | None:
        """Let a commit go, admitted or refused; return its source if it waited."""
        found = self._waiting.pop(digest, None)
        if found is None:
            return None
        self._set_missing(digest, frozenset())
        del self._missing[digest]
        commit, source = found
        commits, size = self._used[source]
        self._used[source] = (commits - 1, size - len(commit.raw))
        return source


def waiting_record(commit: Commit, source: str, at_s: float) -> dict[str, JSON]:
    """Return the journal's record of a commit that waits. ``at_s``: since when."""
    raw = base64.b64encode(commit.raw).decode("ascii")
    return {"kind": "waiting", "commit": raw, "source": source, "at_ms": round(at_s * 1000)}


def waiting_in(records: Iterable[Mapping[str, JSON]]) -> Iterator[tuple[bytes, str, int]]:
    """Yield the commits that a journal says are waiting, each with whom it came from, and when on the clock of then, in ms."""
    for record in records:
        if record.get("kind") == "waiting":
            at_ms = record.get("at_ms")
            at_ms = at_ms if isinstance(at_ms, int) else 0
            yield base64.b64decode(str(record.get("commit"))), str(record.get("source")), at_ms
