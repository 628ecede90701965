"""What a site needs models for, beside its next actions: claims and requests to look into, and what has a name."""

from __future__ import annotations

from collections.abc import Iterable

from imagiq.bench import Bench, Verdict
from imagiq.errors import Corrupt, ImagiqError, NotFound, Refused
from imagiq.federation import Retention, State, retention_in
from imagiq.federation.notices import ASK_CHECK
from imagiq.objects import Digest
from imagiq.site.releasing import rests_on, tags_in

__all__ = ["accused", "asked", "look_again", "named_by", "pinned", "retention_of", "to_check"]


def retention_of(bench: Bench) -> Retention | None:
    """Return the rule of the ruling charter; None: there is none, or it cannot be read: everything is kept."""
    try:
        return None if bench.standing.ruling is None else retention_in(bench.standing.ruling.rules)
    except Refused:
        return None


def _with_inputs(bench: Bench, merges: Iterable[Digest]) -> list[Digest]:
    return [name for merge in merges for name in (merge, *bench.history[merge].commit.parents_in("input"))]


def accused(bench: Bench) -> list[Digest]:
    """Return the merges that others call FALSE, and their inputs: a site recomputes such a claim itself.

    Those are left out that it has recomputed, and those that lie before what is kept: nobody needs to have them.
    """
    retention = retention_of(bench)
    claims = (merge for merge in bench.known.accused if merge not in bench.verdicts)
    return _with_inputs(bench, (merge for merge in claims if not _is_past(bench, retention, merge)))


def _is_past(bench: Bench, retention: Retention | None, digest: Digest) -> bool:
    steps = bench.studies.get(bench.history[digest].commit.study or digest)
    step = None if steps is None else steps.get(digest)
    return retention is not None and steps is not None and step is not None and retention.is_past(steps, step)


def asked(bench: Bench, me: str) -> set[Digest]:
    """Return the merges of others that somebody asks all members to recompute. ``me``: this site's name."""
    history, standing = bench.history, bench.standing
    asks = (d for d in bench.known.notices[ASK_CHECK] if standing.state(d) is not State.VOID)
    merges = {parent for digest in asks for parent in history[digest].commit.parents_in("input")}
    return {d for d in merges if history[d].commit.recipe.name == "merge" and standing.name_of(history[d]) != me}


def to_check(bench: Bench, me: str) -> list[Digest]:
    """Return those of the merges that are :func:`asked` about that this site has not recomputed, and their inputs."""
    return _with_inputs(bench, (merge for merge in asked(bench, me) if merge not in bench.verdicts))


def named_by(bench: Bench, me: str) -> list[Digest]:
    """Return the commits that this site has given a name: it wants to have their models."""
    return [tagged.commit for tagged in tags_in(bench) if tagged.by == me]


def pinned(bench: Bench) -> set[Digest]:
    """Return the commits whose models no site forgets that has them, whatever lies behind them.

    What anybody has given a name, with the merge that it rests on; and the merges that are evidence: called FALSE by
    somebody, and not found to be right here.
    """
    named = {tagged.commit for tagged in tags_in(bench)}
    merges = {merge.digest for digest in named for merge in rests_on(bench, bench.history[digest])}
    claimed = {merge for merge in bench.known.accused if bench.verdicts.get(merge) is not Verdict.VERIFIED}
    false = {merge for merge, verdict in bench.verdicts.items() if verdict is Verdict.FALSE}
    return named | set(_with_inputs(bench, merges | claimed | false))


def look_again(bench: Bench, error: ImagiqError, commits: Iterable[Digest]) -> None:
    """Work on these commits' models has failed: if by what is damaged or gone on this disk, that is fetched again.

    Raises:
        Unreachable: the disk failed.
    """
    if isinstance(error, Corrupt | NotFound):
        for entry in filter(None, map(bench.history.get, commits)):
            bench.models.look_again(entry.commit)
