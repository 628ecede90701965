"""What came of a simulation, as values; :meth:`Outcome.to_json` is described in ``docs/simulate.md``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from imagiq.federation import Study
from imagiq.objects import Digest
from imagiq.report import Picture
from imagiq.scoring import Interval, Measure
from imagiq.simulation.course import Course

__all__ = ["POOLED", "Abroad", "Hospital", "Measures", "Outcome", "SiteResult", "Way"]

POOLED = "pooled"
"""The title of the line that only a simulation can draw."""


@dataclass(frozen=True, kw_only=True)
class Measures:
    """How good a model is, or how much better than another: by a measure's name, each with its interval over patients.

    Attributes:
        of: Name of a measure -> its value; None: it is not defined on these patients, or there are none.
    """

    of: Mapping[str, Interval | None] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Interval | None:
        """Return one measure; None where it is not defined, or was not measured."""
        return self.of.get(name)

    def to_json(self) -> dict[str, object]:
        """Return it as it is printed."""
        return {name: _interval(self.of[name]) for name in sorted(self.of)}


@dataclass(frozen=True, kw_only=True)
class Hospital:
    """A site and its cases.

    Attributes:
        name: In the charter.
        title: For people.
        speed: How fast it computes.
        training: Number of training cases.
        held_back: Number of held-back cases.
        training_images: Number of images of the training cases, each of which is a patient; None: cases are no images.
        held_back_images: Number of images of the held-back cases.
        split: By which rule its cases were parted; empty: not told.
        image: What such an image is called: "slice", "volume" or "image"; empty: cases are no images.
        classes: How many of these are of each class; empty: the task has none, or there are no cases.
        silent: Measures that tell nothing here, since they rest on too few cases, and are left out of means -> what
            there is too little of.
        warnings: What may make results here worthless.
    """

    name: str
    title: str
    speed: float
    training: int
    held_back: int
    training_images: int | None = None
    held_back_images: int | None = None
    image: str = ""
    split: Mapping[str, bool | int | float | str] = field(default_factory=dict)
    classes: tuple[int, ...] = ()
    silent: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def positive(self) -> int | None:
        """How many held-back cases are of class 1 of two; None: there are not two classes."""
        return self.classes[1] if len(self.classes) == 2 else None

    def to_json(self) -> dict[str, object]:
        """Return it as it is printed."""
        return {
            "name": self.name,
            "title": self.title,
            "speed": self.speed,
            "cases": {"training": self.training, "held_back": self.held_back, "held_back_positive": self.positive},
            "held_back_classes": list(self.classes),
            "auc_tells": bool(self.classes) and "auc" not in self.silent,
            "tells_nothing": sorted(self.silent),
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
        elsewhere: How good it is on the held-back cases of each site, this one too, by the site's name.
        unseen: How good it is on the cases of each site that takes no part, by its name.
        patients: The headline measure of each held-back patient, in the order of their names, by the site that it was
            tried at; empty: it is not one of single patients. It is not part of :meth:`to_json`.
        finished: Whether nothing is left for it to do.
        waits_for: What it waits for if it is not finished.
        commits: How many commits it made.
        busy_s: How long it computed, in virtual seconds.
    """

    site: str
    model: Digest | None = None
    score: Measures = field(default_factory=Measures)
    gain: Measures | None = None
    elsewhere: Mapping[str, Measures] = field(default_factory=dict)
    unseen: Mapping[str, Measures] = field(default_factory=dict)
    patients: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    finished: bool = True
    waits_for: str = ""
    commits: int = 0
    busy_s: float = 0.0

    def to_json(self) -> dict[str, object]:
        """Return it as it is printed."""
        return {
            "model": self.model,
            **self.score.to_json(),
            "gain_over_alone": _measures(self.gain),
            "elsewhere": {name: measures.to_json() for name, measures in self.elsewhere.items()},
            "unseen": {name: measures.to_json() for name, measures in self.unseen.items()},
            "finished": self.finished,
            "waits_for": self.waits_for or None,
            "commits": self.commits,
            "busy_s": round(self.busy_s, 6),
        }


@dataclass(frozen=True, kw_only=True)
class Abroad:
    """How good the models of a way are on cases that are not their site's own.

    Attributes:
        mean: The mean over all pairs of a site's model and the cases that it is tried on, each counting the same.
        gain: How much better than that of the models that the sites train alone; None: no such study.
    """

    mean: Measures
    gain: Measures | None = None

    def to_json(self) -> dict[str, object]:
        """Return it as it is printed."""
        return {"mean": self.mean.to_json(), "gain_over_alone": _measures(self.gain)}


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
        across: Each site's model on the held-back cases of every site, its own too.
        unseen: Each site's model on the cases of sites that take no part; None: there are none.
        bytes_moved: How many bytes of commits and models passed between sites.
        commits: How many commits were made.
        ended_s: Virtual seconds from the beginning to its last commit.
        trouble: What sites told of work that failed.
        terms: The study; None: pooled. It is not part of :meth:`to_json`.
    """

    title: str
    strategy: str
    study: Digest | None = None
    sites: tuple[SiteResult, ...]
    mean: Measures
    gain: Measures | None = None
    share_of_pooled: Mapping[str, float] = field(default_factory=dict)
    across: Abroad | None = None
    unseen: Abroad | None = None
    bytes_moved: int = 0
    commits: int = 0
    ended_s: float = 0.0
    trouble: tuple[str, ...] = ()
    terms: Study | None = None

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
            "gain_over_alone": _measures(self.gain),
            "share_of_pooled": dict(self.share_of_pooled),
            "across_sites": None if self.across is None else self.across.to_json(),
            "unseen_sites": None if self.unseen is None else self.unseen.to_json(),
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
        measures: What was measured, the task's headline first; empty: nothing was.
        hospitals: The sites.
        unseen: Sites that take no part; every model is tried on their cases.
        ways: The studies.
        pooled: The learner trained on the training cases of all sites together, with as many updates as all sites
            together; None: its cases cannot be put together.
        duration_s: Virtual seconds until the last commit.
        histories: Digest of all commits that a site knows in the end, by its name: equal if they agree.
        findings: Sentences: what these numbers can and cannot tell.
        warnings: Sentences: what went wrong, or may be worthless.
        course: What happened meanwhile; it is not part of :meth:`to_json`, but of the report.
        pictures: Slices with truth and drawings; for the report, too.
        no_pictures: Why there are none; empty: there are, or there is nothing to show.
    """

    title: str
    federation: Digest
    seed: int
    measures: tuple[Measure, ...]
    hospitals: tuple[Hospital, ...]
    unseen: tuple[Hospital, ...] = ()
    ways: tuple[Way, ...]
    pooled: Way | None
    duration_s: float
    histories: Mapping[str, Digest]
    findings: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    course: Course = field(default_factory=Course)
    pictures: tuple[Picture, ...] = ()
    no_pictures: str = ""

    @property
    def headline(self) -> str:
        """The name of the task's headline measure; empty: nothing was measured."""
        return self.measures[0].name if self.measures else ""

    @property
    def lines(self) -> tuple[Way, ...]:
        """All ways, the pooled line last."""
        return (*self.ways, *(() if self.pooled is None else (self.pooled,)))

    def _repr_html_(self) -> str:
        """Return the outcome as a notebook shows it."""
        from imagiq.report.as_html import report_as_html  # noqa: PLC0415 - only a notebook asks
        from imagiq.simulation.reporting import report_of  # noqa: PLC0415 - it knows this class

        return report_as_html(report_of(self))

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
            "measures": [measure.name for measure in self.measures],
            "hospitals": [hospital.to_json() for hospital in self.hospitals],
            "unseen": [hospital.to_json() for hospital in self.unseen],
            "ways": [way.to_json() for way in self.ways],
            "pooled": None if self.pooled is None else self.pooled.to_json(),
            "duration_s": round(self.duration_s, 6),
            "histories": dict(self.histories),
            "findings": list(self.findings),
            "warnings": list(self.warnings),
        }


def _measures(measures: Measures | None) -> dict[str, object] | None:
    return None if measures is None else measures.to_json()


def _interval(interval: Interval | None) -> dict[str, float] | None:
    if interval is None:
        return None
    return {"value": interval.point, "low": interval.low, "high": interval.high, "level": interval.level}
