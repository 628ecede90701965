"""A decision of each strategy in a study of 100,000 commits by 20 sites, right after one more commit came."""

from __future__ import annotations

import gc
import statistics
from collections.abc import Iterator, Sequence
from itertools import islice

from benchmarks.budgets.federation import Founded, found
from benchmarks.budgets.long_history import PATTERNS, Feeds, commits_of
from benchmarks.table import Row
from benchmarks.timing import resident_bytes, seconds
from imagiq.bench import Bench
from imagiq.clock import VirtualClock
from imagiq.errors import Unsupported
from imagiq.federation import Named
from imagiq.learning import Learner
from imagiq.objects import Commit
from imagiq.site import Local, MemoryMark, Site
from imagiq.site.sources import SiteCases
from imagiq.store import MemoryStore
from imagiq.strategies import BUILT_IN

SITES, DECISION_MS = 20, 50
NEWS = 5


def measure(*, quick: bool) -> Sequence[Row]:
    """Measure each strategy on a history of its own."""
    federation = found(SITES)
    return [row for name in PATTERNS for row in _measure(name, federation, 5_000 if quick else 100_000)]


def site_of(name: str, bench: Bench) -> Site:
    """Return a site without any case, that decides and never trains."""
    local = Local(
        cases=lambda: SiteCases(training=(), held_back=()),
        data="",
        learner_of=_no_learner,
        strategies=BUILT_IN,
        accepts=lambda _: True,
        audit_draw=lambda _: 999,
    )
    return Site(name, bench, local, clock=VirtualClock(), mark=MemoryMark())


def _no_learner(task: Named) -> Learner:
    raise Unsupported("benchmark-learner", f"Nothing learns '{task.name}' here.", "Only decide.")


def _measure(strategy: str, federation: Founded, count: int) -> Sequence[Row]:
    names = list(federation.authors)
    author = federation.authors[names[0]]
    bench = Bench(MemoryStore(), federation.charter, clock=VirtualClock(), author=author)
    bench.admit([vote.raw for vote in federation.votes], "founding")
    before = resident_bytes()
    commits = commits_of(strategy, Feeds(federation, signed=False))
    for commit in islice(commits, count - NEWS):
        _know(bench, commit)
    grown = resident_bytes() - before
    sites = [site_of(name, bench) for name in (names[0], names[SITES // 2], names[-1])]
    slowest_ms = [1000 * statistics.median(column) for column in _decisions(strategy, bench, sites, commits)]
    del bench, sites, commits
    gc.collect()
    return [
        Row(
            what=f"decide, {strategy}, {count:,} commits",
            measured=max(slowest_ms),
            unit="ms",
            budget=f"{DECISION_MS} ms",
            most=DECISION_MS,
            note=f"A history of unsigned commits takes {grown / 2**20:.0f} MiB, their making included.",
        )
    ]


def _decisions(
    strategy: str, bench: Bench, sites: Sequence[Site], commits: Iterator[Commit]
) -> Sequence[Sequence[float]]:
    """Return the seconds of each site's decisions, one after each of the next commits."""
    return list(zip(*([_decide(strategy, bench, site) for site in sites] for _ in _news(bench, commits)), strict=True))


def _news(bench: Bench, commits: Iterator[Commit]) -> Iterator[None]:
    for commit in islice(commits, NEWS):
        _know(bench, commit)
        yield


def _decide(strategy: str, bench: Bench, site: Site) -> float:
    (steps,) = bench.studies.values()
    return seconds(lambda: BUILT_IN[strategy, 1](site.view(steps), site.name))


def _know(bench: Bench, commit: Commit) -> None:
    """Take in a commit whose signature nobody needs, as if its model were here."""
    bench.known.add(commit)
    bench.models.complete.add(commit.digest)
