"""What came of a simulation, as values; :meth:`Outcome.to_json` is described in ``docs/simulate.md``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from imagiq.objects import Digest
from imagiq.scoring import Interval

__all__ = ["POOLED", "Hospital", "Measures", "Outcome", "SiteResult", "Way"]

POOLED = "pooled"
"""The title of the line that only a simulation can draw."""


@dataclass(frozen=True, kw_only=True)
class Measures:
    """How good a model is, or how much better than another, each with its interval over patients.

    Attributes:
        accuracy: Share of cases on the right side of 0.5; None: there are no held-back cases.
        auc: Area under the ROC curve; None: one class is lacking among the held-back cases.
    """

    accuracy: Interval | None = None
    auc: Interval | None = None

    def to_json(self) -> dict[str, object]:
        """Return it as it is printed."""
        return {"accuracy": _interval(self.accuracy), "auc": _interval(self.auc)}


@dataclass(frozen=True, kw_only=True)
class Hospital:
    """A site and its cases.

    Attributes:
        name: In the charter.
        title: For people.
        speed: How fast it computes.
        training: Number of training cases.
        held_back: Number of held-back cases.
        positive: How many of these are of class 1.
        auc_tells: Whether there are enough held-back cases of each class for an AUC to tell anything; where not, it
            is left out of means.
        warnings: What may make results here worthless.
    """

    name: str
    title: str
    speed: float
    training: int
    held_back: int
    positive: int
    auc_tells: bool
    warnings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, object]:
        """Return it as it is printed."""
        return {
            "name": self.name,
            "title": self.title,
            "speed": self.speed,
            "cases": {"training": self.training, "held_back": self.held_back, "held_back_positive": self.positive},
            "auc_tells": self.auc_tells,
            "warnings": list(self.warnings),
        }


@dataclass(frozen=True, kw_only=True)
class SiteResult:
    """What a way of working together brought one site.

    Attributes:
        site: Its name.
        model: The commit of the model that it ends up with; None: pooled, or it has none.
        score: How good that model is on the site's own held-back cases.
        gain: How much better than the model that the site trains alone; None: no study in which each works alone.
        finished: Whether nothing is left for it to do.
        waits_for: What it waits for if it is not finished.
        commits: How many commits it made.
        busy_s: How long it computed, in virtual seconds.
    """

    site: str
    model: Digest | None = None
    score: Measures = field(default_factory=Measures)
    gain: Measures | None = None
    finished: bool = True
    waits_for: str = ""
    commits: int = 0
    busy_s: float = 0.0

    def to_json(self) -> dict[str, object]:
        """Return it as it is printed."""
        return {
            "model": self.model,
            **self.score.to_json(),
            "gain_over_alone": None if self.gain is None else self.gain.to_json(),
            "finished": self.finished,
            "waits_for": self.waits_for or None,
            "commits": self.commits,
            "busy_s": round(self.busy_s, 6),
        }


@dataclass(frozen=True, kw_only=True)
class Way:
    """A way of working together: a study, or the pooled line.

    Attributes:
        title: The study's title.
        strategy: Its strategy's name.
        study: The commit that opened it; None: pooled.
        sites: What it brought each site that took part, in the scenario's order.
        mean: The mean of the sites' scores, each site counting the same.
        gain: How much better the mean is than that of the sites working alone.
        share_of_pooled: The mean as a share of the pooled line's, by measure.
        bytes_moved: How many bytes of commits and models passed between sites.
        commits: How many commits were made.
        ended_s: Virtual seconds from the beginning to its last commit.
        trouble: What sites told of work that failed.
    """

    title: str
    strategy: str
    study: Digest | None = None
    sites: tuple[SiteResult, ...]
    mean: Measures
    gain: Measures | None = None
    share_of_pooled: Mapping[str, float] = field(default_factory=dict)
    bytes_moved: int = 0
    commits: int = 0
    ended_s: float = 0.0
    trouble: tuple[str, ...] = ()

    @property
    def busy_s(self) -> float:
        """How long all sites computed, in virtual seconds."""
        return sum(result.busy_s for result in self.sites)

    def to_json(self) -> dict[str, object]:
        """Return it as it is printed."""
        return {
            "title": self.title,
            "strategy": self.strategy,
            "study": self.study,
            "sites": {result.site: result.to_json() for result in self.sites},
            "mean": self.mean.to_json(),
            "gain_over_alone": None if self.gain is None else self.gain.to_json(),
            "share_of_pooled": dict(self.share_of_pooled),
            "bytes_moved": self.bytes_moved,
            "commits": self.commits,
            "busy_s": round(self.busy_s, 6),
            "ended_s": round(self.ended_s, 6),
            "trouble": list(self.trouble),
        }


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of a simulation.

    Attributes:
        title: The federation's name.
        federation: Its digest.
        seed: The scenario's seed.
        hospitals: The sites.
        ways: The studies.
        pooled: The learner trained on the training cases of all sites together, with as many updates as all sites
            together; None: its cases cannot be put together.
        duration_s: Virtual seconds until the last commit.
        histories: Digest of all commits that a site knows in the end, by its name: equal if they agree.
        findings: Sentences: what these numbers can and cannot tell.
        warnings: Sentences: what went wrong, or may be worthless.
    """

    title: str
    federation: Digest
    seed: int
    hospitals: tuple[Hospital, ...]
    ways: tuple[Way, ...]
    pooled: Way | None
    duration_s: float
    histories: Mapping[str, Digest]
    findings: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def lines(self) -> tuple[Way, ...]:
        """All ways, the pooled line last."""
        return (*self.ways, *(() if self.pooled is None else (self.pooled,)))

    def way(self, title: str) -> Way:
        """Return a way by its title.

        Raises:
            KeyError: there is none such.
        """
        return {way.title: way for way in self.lines}[title]

    def to_json(self) -> dict[str, object]:
        """Return it as ``--json`` prints it."""
        return {
            "title": self.title,
            "federation": self.federation,
            "seed": self.seed,
            "hospitals": [hospital.to_json() for hospital in self.hospitals],
            "ways": [way.to_json() for way in self.ways],
            "pooled": None if self.pooled is None else self.pooled.to_json(),
            "duration_s": round(self.duration_s, 6),
            "histories": dict(self.histories),
            "findings": list(self.findings),
            "warnings": list(self.warnings),
        }


def _interval(interval: Interval | None) -> dict[str, float] | None:
    if interval is None:
        return None
    return {"value": interval.point, "low": interval.low, "high": interval.high, "level": interval.level}
