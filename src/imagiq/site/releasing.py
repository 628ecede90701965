"""Tags and releases: names for commits, and whether members have checked what is released."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from imagiq.bench import Bench
from imagiq.bench.show import attestations
from imagiq.errors import Conflict, Refused
from imagiq.federation import State
from imagiq.federation.notices import ASK_CHECK, TAG
from imagiq.history import Entry
from imagiq.objects import Digest

__all__ = [
    "Checked",
    "Tagged",
    "acceptance_of",
    "checked",
    "is_accepted",
    "is_asked",
    "refuse_unsound",
    "rests_on",
    "tags_in",
]


@dataclass(frozen=True, kw_only=True)
class Tagged:
    """A name that a site gave to a commit.

    Attributes:
        name: The name.
        commit: What is called so.
        by: The site's name.
        release: Whether it is released.
        said: The commit that says it.
    """

    name: str
    commit: Digest
    by: str
    release: bool
    said: Digest


def tags_in(bench: Bench) -> tuple[Tagged, ...]:
    """Return the names that count, in causal order. Of a site, the first commit that it called so keeps the name."""
    found: dict[tuple[str, str, bool], Tagged] = {}
    for entry in sorted((bench.history[digest] for digest in bench.known.notices[TAG]), key=lambda entry: entry.order):
        recipe, inputs = entry.commit.recipe, entry.commit.parents_in("input")
        name = recipe.parameters.get("name")
        if recipe.version != 1 or len(inputs) != 1 or not isinstance(name, str):
            continue
        if bench.standing.state(entry.digest) is State.VOID:
            continue
        tagged = Tagged(
            name=name,
            commit=inputs[0],
            by=bench.standing.name_of(entry),
            release=recipe.parameters.get("release") is True,
            said=entry.digest,
        )
        found.setdefault((tagged.by, name, tagged.release), tagged)
    return tuple(found.values())


@dataclass(frozen=True, kw_only=True)
class Checked:
    """Who has recomputed the merges that a model rests on.

    Attributes:
        merges: For each such merge, the members other than its author that say verified.
        needed: How many must, by the charter.
    """

    merges: dict[Digest, tuple[str, ...]]
    needed: int

    @property
    def missing(self) -> tuple[Digest, ...]:
        """The merges that too few have recomputed."""
        return tuple(merge for merge, sites in self.merges.items() if len(sites) < self.needed)


def checked(bench: Bench, entry: Entry) -> Checked:
    """Return who has checked the merges that a commit is or was trained from, up to its study's first model."""
    rules = bench.standing.charter.rules
    needed = rules.get("release_checks", 1)
    said = attestations(bench)
    members = bench.standing.charter.names_by_site_key.values()
    merges = {
        merge.digest: tuple(
            s for s, verdict in said.get(merge.digest, {}).items() if verdict == "verified" and s in members
        )
        for merge in rests_on(bench, entry)
    }
    return Checked(merges=merges, needed=needed if isinstance(needed, int) else 1)


def rests_on(bench: Bench, entry: Entry) -> Iterator[Entry]:
    """Yield the merge that a commit is, or the one that its bases lead to."""
    at: Entry | None = entry
    while at is not None:
        if at.commit.recipe.name == "merge":
            yield at
            return
        bases = at.commit.parents_in("base")
        at = bench.history[bases[0]] if bases else None


def is_asked(bench: Bench, merge: Digest) -> bool:
    """Tell whether somebody has asked all members to recompute a merge already."""
    return any(
        merge in bench.history[digest].commit.parents_in("input")
        for digest in bench.known.notices[ASK_CHECK]
        if bench.standing.state(digest) is not State.VOID
    )


def acceptance_of(commit: Digest) -> str:
    """Return the name of the charter's rule that lets a tainted commit be released."""
    return f"accept {commit}"


def is_accepted(bench: Bench, commit: Digest) -> bool:
    """Tell whether the voters let a tainted commit be released."""
    return bench.standing.charter.rules.get(acceptance_of(commit)) is True


def refuse_unsound(bench: Bench, entry: Entry, name: str, site: str) -> None:
    """Check that a commit may be released under a name.

    Raises:
        Refused: it is not sound and not accepted by the voters, holds no model, or somebody says that a merge it rests on is FALSE.
        Conflict: this site has released something else under that name.
    """
    state = bench.standing.state(entry.digest)
    if entry.commit.tree is None:
        raise Refused("release-no-model", f"The commit {entry.digest[:12]} holds no model.", "Name one that does.")
    if state is State.TAINTED and not is_accepted(bench, entry.digest):
        raise Refused(
            "release-tainted",
            f"The commit {entry.digest[:12]} is tainted: it stands on something void or contested.",
            f"Release a sound one; or let the voters accept it: `imagiq amend --accept {entry.digest[:12]}`.",
        )
    if state not in {State.SOUND, State.TAINTED}:
        raise Refused(
            "release-unsound",
            f"The commit {entry.digest[:12]} is {state.value}.",
            "Release one that is sound: `imagiq show` tells what is wrong with this one.",
        )
    said = attestations(bench)
    for merge in rests_on(bench, entry):
        liars = [by for by, verdict in said.get(merge.digest, {}).items() if verdict == "FALSE"]
        if liars:
            raise Refused(
                "release-false",
                f"{', '.join(liars)} found that the merge {merge.digest[:12]} is not what its recipe gives.",
                "Recompute it with `imagiq verify`, and release another one.",
            )
    for tagged in tags_in(bench):
        if tagged.by == site and tagged.name == name and tagged.commit != entry.digest:
            raise Conflict(
                "tag-exists", f"This site has called {tagged.commit[:12]} '{name}' already.", "Choose another name."
            )
