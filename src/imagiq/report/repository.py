"""The report of a repository: what its history tells, and the own sidecars of the site that it belongs to.

What other sites measured is what they said in their commits. Only of evaluations whose sidecar is here, those of the
own site, there are intervals; they are drawn from a seed that follows from the federation and the site.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from imagiq.bench import Bench
from imagiq.bench.repository import open_repository
from imagiq.errors import ImagiqError
from imagiq.federation import Study
from imagiq.history import Entry
from imagiq.learning import Overlaps, Predictions
from imagiq.objects import Digest, digest_of
from imagiq.report.recipes import recipe_of
from imagiq.report.values import Commit, Point, Report, Score, Site, Way, Work, score_of
from imagiq.scoring import FEW, Resampled, measure_of, resampled
from imagiq.site import SCORES, marks_of, parse_scores

__all__ = ["report_of_bench", "report_of_repository"]

ALONE = "local"
HEADLINES = ("dice", "auc", "accuracy")


def report_of_repository(path: Path) -> Report:
    """Return the report of a repository.

    Raises:
        NotFound: there is none.
        Corrupt: it is damaged.
    """
    return report_of_bench(open_repository(path))


def report_of_bench(bench: Bench) -> Report:
    """Return the report of a repository that is open."""
    return _Reader(bench).report()


@dataclass(frozen=True, eq=False)
class _Evaluation:
    """An evaluation that a site recorded, and what its sidecar says, if that is here."""

    entry: Entry
    site: str
    way: str
    said: Predictions | Overlaps | None


class _Reader:
    """Reads a report from a bench."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._studies = {
            digest: steps.study
            for digest, steps in sorted(bench.studies.items(), key=lambda one: _place(bench, one[0]))
        }
        self._titles = _unique({digest: study.title for digest, study in self._studies.items()})
        self._entries = sorted(bench.history, key=lambda entry: (entry.height, entry.digest))
        times = {entry.digest: _seconds(entry.commit.created) for entry in self._entries}
        told = [at_s for at_s in times.values() if at_s is not None]
        self._begin_s = min(told, default=0.0)
        self._at_s = {digest: 0.0 if at_s is None else at_s - self._begin_s for digest, at_s in times.items()}
        self._site_of = {entry.digest: bench.standing.name_of(entry) for entry in self._entries}
        self._of_studies = [entry for entry in self._entries if self._study(entry) in self._studies]

    def _study(self, entry: Entry) -> Digest | None:
        return entry.digest if entry.commit.recipe.name == "study" else entry.commit.study

    def _way(self, entry: Entry) -> str:
        return self._titles[self._study(entry) or entry.digest]

    def report(self) -> Report:
        """Return the report."""
        ruling = self._bench.standing.ruling
        evaluations = list(self._evaluations())
        scores = tuple(self._scores(evaluations))
        names = Counter(score.measure for score in scores)
        return Report(
            kind="repository",
            title=ruling.title if ruling is not None else "A federation that is not founded yet",
            federation=str(self._bench.founding.digest),
            clock="created",
            begins=_date(self._begin_s) if self._entries else "",
            case="patient" if self._studies and all(map(_is_of_images, self._studies.values())) else "case",
            measures=tuple(map(measure_of, sorted(names, key=_rank))),
            sites=tuple(self._sites()),
            ways=tuple(self._ways()),
            scores=scores,
            points=tuple(self._losses()),
            work=tuple(self._moments()),
            commits=tuple(self._commits()),
            findings=tuple(self._findings(evaluations)),
            warnings=tuple(self._warnings()),
        )

    def _sites(self) -> Iterator[Site]:
        ruling = self._bench.standing.ruling
        for member in () if ruling is None else ruling.members:
            used: dict[str, int] = {}
            for entry in self._of_studies:
                if self._site_of[entry.digest] == member.name and entry.commit.cases is not None:
                    used[entry.commit.recipe.name] = entry.commit.cases
            yield Site(name=member.name, title=member.name, training=used.get("train"), held_back=used.get("evaluate"))

    def _ways(self) -> Iterator[Way]:
        for digest, study in self._studies.items():
            mine = [entry for entry in self._of_studies if self._study(entry) == digest]
            yield Way(
                title=self._titles[digest],
                strategy=study.strategy.name,
                role="alone" if study.strategy.name == ALONE else "together",
                study=digest,
                recipe=recipe_of(study),
                seed=study.seed,
                sites=len(study.sites),
                commits=len(mine),
                ended_s=max((self._at_s[entry.digest] for entry in mine), default=0.0),
                trouble=tuple(self._trouble(study)),
            )

    def _trouble(self, study: Study) -> Iterator[str]:
        told = {
            f"{self._site_of[entry.digest]}: {entry.commit.recipe.parameters.get('code')}"
            for entry in self._of_studies
            if entry.commit.recipe.name == "trouble" and entry.commit.study == study.digest
        }
        yield from sorted(told)

    def _warnings(self) -> Iterator[str]:
        for digest, study in self._studies.items():
            for told in self._trouble(study):
                yield f"{self._titles[digest]}: work failed again and again at {told}."

    # ------------------------------------------------------------------------------------------------- scores

    def _evaluations(self) -> Iterator[_Evaluation]:
        """Yield the newest evaluation of each study by each site."""
        newest: dict[tuple[str, str], Entry] = {}
        for entry in self._of_studies:
            if entry.commit.recipe.name == "evaluate" and entry.commit.metrics:
                newest[self._way(entry), self._site_of[entry.digest]] = entry
        for (way, site), entry in newest.items():
            yield _Evaluation(entry, site, way, self._said(entry))

    def _said(self, entry: Entry) -> Predictions | Overlaps | None:
        """Return what the sidecar of an evaluation holds; None: it is another site's, or damaged."""
        try:
            raw = self._bench.store.sidecar_read(entry.digest, SCORES)
            return None if raw is None else parse_scores(raw)
        except ImagiqError:
            return None

    def _scores(self, evaluations: list[_Evaluation]) -> Iterator[Score]:
        alone_ways = {self._titles[digest] for digest, study in self._studies.items() if study.strategy.name == ALONE}
        alone = {one.site: one.said for one in evaluations if one.way in alone_ways and one.said is not None}
        for one in evaluations:
            if one.said is None:
                for name, value in one.entry.commit.metrics.items():
                    number = float(value)
                    yield Score(
                        way=one.way, kind="own", site=one.site, at=one.site, measure=name, value=number, reported=True
                    )
            else:
                before = None if one.way in alone_ways else alone.get(one.site)
                yield from self._resampled(one, one.said, before)

    def _resampled(
        self, one: _Evaluation, said: Predictions | Overlaps, before: Predictions | Overlaps | None
    ) -> Iterator[Score]:
        seed = int(digest_of(f"imagiq patients\n{self._bench.founding.digest}\n{one.site}".encode())[:12], 16)
        marks = marks_of(said)
        found = resampled(marks, seed)
        others: Mapping[str, Resampled] = {}
        if before is not None and _are_of_the_same_cases(said, before):
            others = resampled(marks_of(before), seed)
        for name, each in found.items():
            interval = each.interval()
            if interval is None:
                continue
            gain = each.minus(others[name]).interval() if name in others else None
            counts = name not in marks.silent
            score = score_of(
                interval, gain, way=one.way, kind="own", site=one.site, at=one.site, measure=name, counts=counts
            )
            yield score if marks.patients >= FEW else score.of_few()

    def _findings(self, evaluations: list[_Evaluation]) -> Iterator[str]:
        own = sorted({one.site for one in evaluations if one.said is not None})
        others = sorted({one.site for one in evaluations} - set(own))
        if own:
            yield (
                f"What {', '.join(own)} measured has intervals (95 %, over patients), since its score of each case is "
                "here; it never left."
            )
        if others:
            yield (
                f"What {', '.join(others)} measured is what they said of themselves in signed commits: this repository "
                "cannot check it, and knows no interval."
            )

    # ------------------------------------------------------------------------------------------------- history

    def _losses(self) -> Iterator[Point]:
        for entry in self._of_studies:
            if entry.commit.recipe.name == "train" and "loss" in entry.commit.metrics:
                yield Point(
                    way=self._way(entry),
                    site=self._site_of[entry.digest],
                    measure="loss",
                    at_s=self._at_s[entry.digest],
                    value=float(entry.commit.metrics["loss"]),
                )

    def _moments(self) -> Iterator[Work]:
        """Yield the moments at which commits were made: how long that took stands nowhere in the history."""
        for entry in self._of_studies:
            if entry.commit.recipe.name in {"train", "merge", "evaluate"}:
                at_s = self._at_s[entry.digest]
                yield Work(
                    site=self._site_of[entry.digest],
                    way=self._way(entry),
                    kind=entry.commit.recipe.name,
                    from_s=at_s,
                    to_s=at_s,
                )

    def _commits(self) -> Iterator[Commit]:
        for entry in self._of_studies:
            yield Commit(
                commit=entry.digest,
                site=self._site_of[entry.digest],
                way=self._way(entry),
                kind=entry.commit.recipe.name,
                parents=tuple(parent.commit for parent in entry.commit.parents),
                at_s=self._at_s[entry.digest],
                cases=entry.commit.cases,
                metrics={name: float(value) for name, value in entry.commit.metrics.items()},
            )


def _place(bench: Bench, study: Digest) -> tuple[int, int, str]:
    """Return where a study stands among others: by causal height, then as its author numbered it."""
    entry = bench.history[study]
    return entry.height, entry.commit.number, study


def _unique(titles: Mapping[Digest, str]) -> dict[Digest, str]:
    """Return titles of studies such that no two are the same."""
    times = Counter(titles.values())
    return {digest: f"{title} {digest[:8]}" if times[title] > 1 else title for digest, title in titles.items()}


def _is_of_images(study: Study) -> bool:
    """Tell whether a study's cases are patients with images: only of those does a task name the channels."""
    return "channels" in study.task.parameters


def _rank(name: str) -> tuple[int, str]:
    return HEADLINES.index(name) if name in HEADLINES else len(HEADLINES), name


def _seconds(created: str) -> float | None:
    """Return a date and time as seconds; None: it is none. Whoever wrote it may have written anything."""
    try:
        return datetime.fromisoformat(created).astimezone(UTC).timestamp()
    except (ValueError, OverflowError, OSError):
        return None


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")


def _are_of_the_same_cases(one: Predictions | Overlaps, other: Predictions | Overlaps) -> bool:
    if isinstance(one, Overlaps) and isinstance(other, Overlaps):
        return one.regions == other.regions and np.array_equal(one.true, other.true)
    if isinstance(one, Predictions) and isinstance(other, Predictions):
        return one.score.shape == other.score.shape and np.array_equal(one.truth, other.truth)
    return False
