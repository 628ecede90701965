"""Verify: every signature again from the bytes, every fork, and every merge that can be recomputed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from imagiq.bench.as_html import SHORT, table
from imagiq.bench.bench import Bench
from imagiq.bench.checks import Checks, Verdict
from imagiq.bench.reading import Progress, checked_read, silent
from imagiq.bench.show import attestations
from imagiq.errors import BudgetSpent, Corrupt, NotFound, Unsupported, Untrusted
from imagiq.federation import DoubleVote, State
from imagiq.history import Entry
from imagiq.objects import Digest, Tree, check_tree, parse_schema, parse_tree

__all__ = ["Fork", "MergeCheck", "Verification", "verify"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeCheck:
    """What can be said of one merge.

    Attributes:
        digest: The merge.
        site: Its author's name.
        finding: "verified": recomputed, bit for bit; "attested": not recomputed, but other sites say that they have;
            "forgotten": its parents, or itself, were forgotten as the charter's retention says, and nobody has attested
            it; "not held": they are not here; "not known": by a recipe that this version does not
            know; "damaged": what it takes is damaged on this disk; "FALSE": recomputed, and not what its recipe gives.
        attested_by: The other sites that say verified.
        called_false_by: The other sites that say FALSE: a claim, until it is recomputed.
        why: What is damaged, malformed or not known; "" otherwise.
    """

    digest: Digest
    site: str
    finding: str
    attested_by: tuple[str, ...] = ()
    called_false_by: tuple[str, ...] = ()
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fork:
    """Proof that a key was used twice.

    Attributes:
        site: Whose key.
        feed: The feed that forks; "" when the site's key certified two feeds under one number.
        number: The number that was used twice: of commits, or of certificates.
        evidence: The commits that prove it.
    """

    site: str
    feed: str
    number: int
    evidence: tuple[Digest, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What was verified, and what came of it.

    Attributes:
        commits: How many commits' signatures were checked.
        feeds: How many feeds' certificates were checked.
        sites: How many sites wrote them.
        forged: The commits whose bytes, signature or certificate do not hold, each with what is wrong.
        forks: The keys that were used twice.
        double_votes: The voters who voted twice in one ballot.
        rivals: Charters that have won against each other; they wait for the recovery keys.
        states: How many commits are sound, void, contested, tainted.
        merges: What can be said of each merge, in causal order.
    """

    commits: int
    feeds: int
    sites: int
    forged: Mapping[Digest, str] = field(default_factory=dict)
    forks: tuple[Fork, ...] = ()
    double_votes: tuple[DoubleVote, ...] = ()
    rivals: tuple[Digest, ...] = ()
    states: Mapping[str, int] = field(default_factory=dict)
    merges: tuple[MergeCheck, ...] = ()

    @property
    def problems(self) -> int:
        """How many things are forged, forked, voted twice or FALSE."""
        false = sum(merge.finding == Verdict.FALSE.value for merge in self.merges)
        return len(self.forged) + len(self.forks) + len(self.double_votes) + false

    def _repr_html_(self) -> str:
        """Return what was verified as a notebook shows it."""
        found = Counter(merge.finding for merge in self.merges)
        rows = [
            ("commits", self.commits),
            ("feeds", self.feeds),
            ("sites", self.sites),
            *(((f"commits {state}", number)) for state, number in self.states.items()),
            *((f"merges {finding}", number) for finding, number in found.items()),
        ]
        notes = [
            *(f"Commit {digest[:SHORT]} is forged: {why}" for digest, why in self.forged.items()),
            *(f"A key of {fork.site} was used twice at number {fork.number}." for fork in self.forks),
            *(["A voter voted twice."] if self.double_votes else []),
        ]
        what = "nothing is wrong" if not self.problems else f"{self.problems} problems"
        return table(f"Verified: {what}", ("", ""), rows, notes=notes)


def verify(bench: Bench, entry: Entry | None = None, *, progress: Progress = silent) -> Verification:
    """Verify all that a bench knows, or one commit and all that it was made from.

    Nothing that was found before is believed: bytes are read, hashed, checked and recomputed anew.

    Args:
        bench: Where the history is.
        entry: The commit; None: everything.
        progress: Told how far it is.
    """
    entries = list(bench.history) if entry is None else [entry, *bench.history.ancestors(entry.digest)]
    entries.sort(key=lambda one: one.order)
    checks = Checks()
    forged = _forged(bench, entries, checks, progress)
    feeds = {one.commit.feed for one in entries}
    return Verification(
        commits=len(entries),
        feeds=len(feeds),
        sites=len({one.site for one in entries}),
        forged=forged,
        forks=tuple(_forks(bench, feeds)),
        double_votes=bench.standing.double_votes if entry is None else (),
        rivals=bench.standing.line.rivals if entry is None else (),
        states=_states(bench, entries),
        merges=_merges(bench, entries, checks, progress),
    )


def _forged(bench: Bench, entries: Sequence[Entry], checks: Checks, progress: Progress) -> dict[Digest, str]:
    forged: dict[Digest, str] = {}
    for done, entry in enumerate(entries):
        progress("signatures", done, len(entries))
        try:
            checks.commit(bench.store.read_commit(entry.digest))
        except (BudgetSpent, Corrupt, NotFound, Unsupported, Untrusted) as error:
            forged[entry.digest] = f"{error.code}: {error.what}"
    progress("signatures", len(entries), len(entries))
    return forged


def _states(bench: Bench, entries: Iterable[Entry]) -> dict[str, int]:
    counts = Counter(bench.standing.state(entry.digest) for entry in entries)
    return {state.value: counts[state] for state in State}


def _forks(bench: Bench, feeds: set[str]) -> Iterable[Fork]:
    history = bench.history
    for feed, number in sorted(history.forks.items()):
        if feed in feeds:
            evidence = history.at(feed, number)
            site = bench.standing.name_of(history[evidence[0]])
            yield Fork(site=site, feed=feed, number=number, evidence=evidence)
    certified = {(e.site, e.certificate) for e in history if e.commit.number == 1}
    for site_key, number in sorted(certified):
        twice = history.certified(site_key, number)
        if len(twice) > 1 and twice & feeds:
            firsts = tuple(digest for feed in sorted(twice) for digest in history.at(feed, 1))
            yield Fork(site=bench.standing.name_of(history[firsts[0]]), feed="", number=number, evidence=firsts)


def _merges(bench: Bench, entries: Sequence[Entry], checks: Checks, progress: Progress) -> tuple[MergeCheck, ...]:
    merges = [entry for entry in entries if entry.commit.recipe.name == "merge"]
    said = attestations(bench)
    found = []
    for done, entry in enumerate(merges):
        progress("merges", done, len(merges))
        finding, why = _recompute(bench, entry, checks)
        by_site = said.get(entry.digest, {})
        attested_by = tuple(site for site, verdict in by_site.items() if verdict == Verdict.VERIFIED.value)
        if finding == "not held":
            finding = "attested" if attested_by else _why_not_held(bench, entry)
        check = MergeCheck(
            digest=entry.digest,
            site=bench.standing.name_of(entry),
            finding=finding,
            attested_by=attested_by,
            called_false_by=tuple(site for site, verdict in by_site.items() if verdict == Verdict.FALSE.value),
            why=why,
        )
        found.append(check)
    progress("merges", len(merges), len(merges))
    return tuple(found)


def _recompute(bench: Bench, entry: Entry, checks: Checks) -> tuple[str, str]:
    """Return what recomputing a merge gives, and what stands in its way."""
    commit, recipe = entry.commit, entry.commit.recipe
    if (recipe.version, recipe.parameters.get("rule")) != (1, "mean") or commit.tree is None:
        return "not known", ""
    names = [bench.history[parent].commit.tree for parent in commit.parents_in("input")]
    inputs = [name for name in names if name is not None]
    if len(inputs) != len(names):
        return Verdict.FALSE.value, ""
    read = checked_read(bench.store)
    try:
        tree = parse_tree(read(commit.tree))
        trees = [_whole_tree(bench, read(name)) for name in inputs]
        schema = parse_schema(read(tree.schema))
        check_tree(tree, schema)
        return checks.merge(commit, tree, schema, trees, read).value, ""
    except NotFound:
        return "not held", ""
    except (BudgetSpent, Unsupported) as error:
        return "not known", f"{error.code}: {error.what}"
    except Corrupt as error:
        # Bytes that do not have their name are this disk's fault; those that have it and make no model, the author's.
        finding = "damaged" if error.code == "object-damaged" else Verdict.FALSE.value
        return finding, f"{error.code}: {error.what}"


def _why_not_held(bench: Bench, entry: Entry) -> str:
    names = {entry.digest, *entry.commit.parents_in("input")}
    return "not held" if names.isdisjoint(bench.models.forgotten) else "forgotten"


def _whole_tree(bench: Bench, raw: bytes) -> Tree:
    """Return a tree of which every blob is here.

    Raises:
        NotFound: one is not.
    """
    tree = parse_tree(raw)
    for blob in tree.blobs:
        bench.store.size(blob)
    return tree
