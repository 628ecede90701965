"""Forgetting: which blobs go when models may be forgotten, and letting them go.

Only blobs that a forgettable model names are ever removed, and of these only those that nothing else names: no model of
another commit, no model that is being made, and no object of another kind, whatever bytes a model's author chose. Trees
and schemas stay: they are small, and tell what is to be fetched should the model be needed again.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

from imagiq.bench.bench import Bench
from imagiq.bench.reading import checked_read
from imagiq.errors import Corrupt, NotFound, Unreachable
from imagiq.federation import Retention, forgettable
from imagiq.objects import Commit, Digest, Tree, parse_tree

__all__ = ["Portion", "forgettable_commits", "let_go", "only_theirs", "portions"]

MOST_BLOBS: Final = 65_536
"""So many blobs are looked at, at once: memory is bounded, and who wants the bench waits only shortly."""
MOST_COMMITS: Final = 4_096


@dataclass(frozen=True, slots=True, kw_only=True)
class Portion:
    """What goes at once.

    Attributes:
        commits: The commits whose models are forgotten, each after those that it stands on.
        whole: How many of these models are, or were a moment ago, whole here.
        blobs: The blobs that are removed.
        nbytes: How many bytes these have.
        more: Whether more can go.
    """

    commits: tuple[Digest, ...] = ()
    whole: int = 0
    blobs: tuple[Digest, ...] = ()
    nbytes: int = 0
    more: bool = False


def forgettable_commits(bench: Bench, retention: Retention, pinned: AbstractSet[Digest]) -> list[Commit]:
    """Return the commits of all studies whose models may be forgotten; see :func:`imagiq.federation.forgettable`."""
    state = bench.standing.state
    studies = (steps for _, steps in sorted(bench.studies.items()))
    return [step.commit for steps in studies for step in forgettable(steps, retention, state, pinned)]


def only_theirs(going: Iterable[Tree], staying: Iterable[Tree]) -> dict[Digest, None]:
    """Return the blobs that only models that go name. One tree is held at a time, beside the blobs of those that go."""
    found = {blob: None for tree in going for blob in tree.blobs}
    for tree in staying:
        for name in (tree.schema, *tree.blobs):
            found.pop(name, None)
    return found


def portions(bench: Bench, commits: Sequence[Commit], *, empty: Container[Digest] = frozenset()) -> Iterator[Portion]:
    """Yield what goes, portion by portion, if these commits' models, and no others, may be forgotten. Nothing is changed.

    Args:
        bench: Where they are.
        commits: All commits whose models may be forgotten.
        empty: Those of them of which nothing is here.

    Raises:
        Corrupt: what a model that stays consists of cannot be told, since its tree is damaged on this disk.
    """
    going = {commit.digest for commit in commits}
    left = [commit for commit in commits if not _is_gone(bench, commit, empty)]
    while left:
        trees: list[Tree] = []
        chosen: list[Commit] = []
        blobs = 0
        while len(chosen) < min(len(left), MOST_COMMITS) and blobs < MOST_BLOBS:
            chosen.append(left[len(chosen)])
            for tree in _trees_of(bench, chosen[-1]):
                trees.append(tree)
                blobs += len(tree.blobs)
        left = left[len(chosen) :]
        found = only_theirs(trees, _staying(bench, going))
        for name in _other_objects(bench, trees):
            found.pop(name, None)
        sizes = {blob: size for blob in found if (size := _size(bench, blob)) is not None}
        yield Portion(
            commits=tuple(commit.digest for commit in chosen),
            whole=sum(_was_whole(bench, commit.digest) for commit in chosen),
            blobs=tuple(sizes),
            nbytes=sum(sizes.values()),
            more=bool(left),
        )


def let_go(bench: Bench, commits: Sequence[Commit], *, empty: Container[Digest] = frozenset()) -> Portion | None:
    """Forget the first of the :func:`portions`; None: a model is being made just now, so that nothing can be.

    With the models goes what was kept beside their commits, such as an optimiser's moments. First it is remembered of all
    these commits that they are forgotten, durably, then blobs are removed: who is stopped in between goes on with that. On
    a full disk blobs go first, so that there is room to remember it.

    Raises:
        Corrupt: what a model that stays consists of cannot be told.
        Unreachable: the disk is read-only or failing; what was not removed is removed another time.
    """
    models = bench.models
    with models.making.undisturbed() as is_free:
        if not is_free:
            return None
        portion = next(portions(bench, commits, empty=empty), None)
        if portion is None:
            return Portion()
        fresh = [c.digest for c in commits if not _is_gone(bench, c, empty) and c.digest not in models.half_forgotten]
        is_said = _say(bench, fresh)
        bench.store.remove(portion.blobs)
        for commit in portion.commits:
            bench.store.sidecar_remove(commit)
        if not is_said:
            models.say_forgotten(fresh)
        models.note_gone(portion.commits, all_are=not portion.more)
        return portion


def _say(bench: Bench, commits: Sequence[Digest]) -> bool:
    """Remember durably that models are forgotten; false: there is no room for that yet."""
    try:
        bench.models.say_forgotten(commits)
    except Unreachable as error:
        if error.code != "disk-full":
            raise
        return False
    return True


def _is_gone(bench: Bench, commit: Commit, empty: Container[Digest]) -> bool:
    models = bench.models
    if commit.digest in models.complete or commit.digest in models.half_forgotten:
        return False
    is_here = commit.tree is not None and commit.digest not in models.forgotten and commit.digest not in empty
    return not is_here or not bench.store.has(commit.tree or commit.digest)


def _was_whole(bench: Bench, commit: Digest) -> bool:
    return commit in bench.models.complete or commit in bench.models.half_forgotten


def _trees_of(bench: Bench, commit: Commit) -> Iterator[Tree]:
    """Yield the tree of a model that goes, if it is here and whole."""
    try:
        if commit.tree is not None:
            yield parse_tree(checked_read(bench.store)(commit.tree))
    except (Corrupt, NotFound):
        return


def _staying(bench: Bench, going: AbstractSet[Digest]) -> Iterator[Tree]:
    """Yield the models of all other commits, as far as they are here, and those that no commit names yet."""
    names = {e.commit.tree for e in bench.history if e.digest not in going and e.commit.tree is not None}
    yield from bench.models.making.uncommitted()
    read = checked_read(bench.store)
    for name in names:
        if bench.store.has(name):
            yield from _as_tree(read(name))


def _as_tree(raw: bytes) -> Iterator[Tree]:
    """Yield a tree, unless its author made something else of it: then it never was a model."""
    try:
        yield parse_tree(raw)
    except Corrupt:
        return


def _other_objects(bench: Bench, going: Iterable[Tree]) -> Iterator[Digest]:
    """Yield the names of objects that are no blobs."""
    yield from bench.standing.charters
    yield from (tree.schema for tree in going)
    yield from (entry.commit.tree for entry in bench.history if entry.commit.tree is not None)


def _size(bench: Bench, blob: Digest) -> int | None:
    try:
        return bench.store.size(blob)
    except NotFound:
        return None
