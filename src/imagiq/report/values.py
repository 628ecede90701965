"""What a report says, as values; :mod:`imagiq.report.written` writes them as JSON and reads them again.

Nothing here names a patient, a file or a folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from imagiq.scoring import Interval, Measure

__all__ = ["Commit", "Picture", "Point", "Report", "Score", "Site", "Way", "Work", "score_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A site.

    Attributes:
        name: In the charter.
        title: For people.
        training: Number of training cases; None: not known here.
        held_back: Number of held-back cases; None: not known here.
        training_images: Number of images of the training cases; None: cases are no images, or that is not known here.
        held_back_images: Number of images of the held-back cases.
        takes_part: False: models are only tried on its cases.
        speed: How fast it computes beside others; None: not known.
        note: What there is to know about its cases; empty: nothing.
    """

    name: str
    title: str
    training: int | None = None
    held_back: int | None = None
    training_images: int | None = None
    held_back_images: int | None = None
    takes_part: bool = True
    speed: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """A way of working together: a study, or the pooled line.

    Attributes:
        title: The study's title.
        strategy: Its strategy's name.
        role: "alone", "pooled", or "together".
        study: The commit that opened it; empty: pooled.
        recipe: Its terms as TOML, to copy; empty: pooled.
        seed: All public randomness of it follows from this.
        sites: How many take part.
        finished: How many of them have nothing left to do; None: not known here.
        share_of_pooled: The mean of the headline measure as a share of the pooled line's; None: no such line.
        bytes_moved: How many bytes passed between sites; None: not known here.
        commits: How many commits were made.
        busy_s: How long all sites computed; None: not known here.
        ended_s: Seconds from the report's beginning to its last commit.
        trouble: What sites told of work that failed.
    """

    title: str
    strategy: str
    role: str = "together"
    study: str = ""
    recipe: str = ""
    seed: int | None = None
    sites: int = 0
    finished: int | None = None
    share_of_pooled: float | None = None
    bytes_moved: int | None = None
    commits: int = 0
    busy_s: float | None = None
    ended_s: float | None = None
    trouble: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """A measure of one model, or of several in the mean, with its interval.

    Attributes:
        way: Title of the way.
        kind: "own": a site's model on its own held-back cases; "mean": the mean of these over sites; "elsewhere": a
            site's model at another or its own site; "across": the mean over all such pairs; "unseen": a site's model
            at a site that takes no part; "unseen mean": the mean of these.
        site: Whose model; empty: a mean.
        at: Whose cases; empty: a mean.
        measure: Name of the measure.
        value: The measure.
        low: Lower end of its interval over patients; None: there is none here.
        high: Upper end.
        gain: How much better than the models that the sites train alone; None: nothing to compare with.
        gain_low: Lower end of the gain's interval, paired by patient.
        gain_high: Upper end.
        share_of_pooled: The value as a share of what the pooled line reaches at the same place; None: no such line.
        counts: Whether it rests on enough cases to tell anything; where not, it is left out of means.
        reported: Whether it is only what the site said in its commit.
    """

    way: str
    kind: str
    site: str = ""
    at: str = ""
    measure: str
    value: float
    low: float | None = None
    high: float | None = None
    gain: float | None = None
    gain_low: float | None = None
    gain_high: float | None = None
    share_of_pooled: float | None = None
    counts: bool = True
    reported: bool = False

    def of_few(self) -> Score:
        """Return it without its intervals: of few patients they would be too narrow to be believed."""
        return replace(self, low=None, high=None, gain_low=None, gain_high=None)


def score_of(
    value: Interval,
    gain: Interval | None,
    *,
    way: str,
    kind: str,
    site: str = "",
    at: str = "",
    measure: str,
    counts: bool,
) -> Score:
    """Return the score that a measure and what it gains make."""
    return Score(
        way=way,
        kind=kind,
        site=site,
        at=at,
        measure=measure,
        value=value.point,
        low=value.low,
        high=value.high,
        gain=None if gain is None else gain.point,
        gain_low=None if gain is None else gain.low,
        gain_high=None if gain is None else gain.high,
        counts=counts,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A point of a learning curve.

    Attributes:
        way: Title of the way.
        site: Whose model; empty: the mean over sites.
        measure: What is measured: a measure's name, or "loss".
        at_s: When, in seconds from the report's beginning.
        nbytes: How many bytes had passed between sites by then; None: not known here.
        value: The value.
    """

    way: str
    site: str = ""
    measure: str
    at_s: float
    nbytes: int | None = None
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A time in which a site was busy, or down.

    Attributes:
        site: Its name.
        way: Title of the way; empty: it was down.
        kind: "train", "merge", "evaluate" or "down".
        from_s: When it began, in seconds from the report's beginning.
        to_s: When it ended.
        failed: Whether nothing came of it.
    """

    site: str
    way: str
    kind: str
    from_s: float
    to_s: float
    failed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """A commit of a study.

    Attributes:
        commit: Its digest.
        site: Who made it.
        way: Title of the way.
        kind: By what it was made: "study", "train", "merge", "evaluate", ...
        parents: What it was made from.
        at_s: When, in seconds from the report's beginning.
        cases: How many cases were used; None: none.
        metrics: What was measured.
    """

    commit: str
    site: str
    way: str
    kind: str
    parents: tuple[str, ...]
    at_s: float
    cases: int | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class Picture:
    """A slice of a patient, with what is true and what models draw.

    Attributes:
        site: Whose patient.
        rank: "best", "median" or "worst" among the site's held-back patients, by the way that ``ranked_by`` names.
        ranked_by: Title of that way.
        channel: What the image shows, such as ``FLAIR``.
        image: Grey values, uint8 [height, width].
        truth: Labels, uint8 [height, width].
        drawn: Title of a way -> the labels that the site's model draws, uint8 [height, width].
        scores: Title of a way -> the patient's headline measure, over all of its images.
        labels: Name of a label -> its number.
    """

    site: str
    rank: str
    ranked_by: str
    channel: str
    image: NDArray[np.uint8]
    truth: NDArray[np.uint8]
    drawn: Mapping[str, NDArray[np.uint8]]
    scores: Mapping[str, float]
    labels: Mapping[str, int]


@dataclass(frozen=True, kw_only=True, eq=False)
class Report:
    """All that a report says.

    Attributes:
        kind: "simulation", or "repository": what one site's repository tells.
        title: The federation's name.
        federation: Its digest.
        seed: The simulation's seed; None: there is none.
        clock: What seconds are: "virtual", or "created" (the clocks of the sites, as they wrote into commits).
        begins: Date and time of the report's beginning, if the clock is that of the sites.
        case: What a case is called: "patient" where it is all images of one, else "case".
        image: What an image of a patient is called: "slice" or "volume"; empty: there are none, or that is not known.
        measures: What was measured, the task's headline first.
        sites: The sites.
        ways: The ways of working together.
        scores: How good models are.
        points: Learning curves.
        work: Who was busy when; empty: not known here.
        commits: The commits of the studies.
        pictures: Slices with truth and drawings.
        no_pictures: Why there are none; empty: there are, or there is nothing to show.
        versions: Name of a program -> its version.
        split: By which rule each site's cases were parted into those to train on and those held back, as TOML; empty: not
            known here.
        findings: Sentences: what the numbers can and cannot tell.
        warnings: Sentences: what went wrong, or may be worthless.
    """

    kind: str
    title: str
    federation: str
    seed: int | None = None
    clock: str = "virtual"
    begins: str = ""
    case: str = "case"
    image: str = ""
    measures: tuple[Measure, ...] = ()
    sites: tuple[Site, ...] = ()
    ways: tuple[Way, ...] = ()
    scores: tuple[Score, ...] = ()
    points: tuple[Point, ...] = ()
    work: tuple[Work, ...] = ()
    commits: tuple[Commit, ...] = ()
    pictures: tuple[Picture, ...] = ()
    no_pictures: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    split: str = ""
    findings: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def headline(self) -> Measure | None:
        """The task's headline measure; None: nothing was measured."""
        return self.measures[0] if self.measures else None

    @property
    def titles(self) -> dict[str, str]:
        """Name of a site -> what people call it."""
        return {site.name: site.title for site in self.sites}

    def _repr_html_(self) -> str:
        """Return the report as a notebook shows it; :func:`imagiq.report.page.page` makes all of it."""
        from imagiq.report.as_html import report_as_html  # noqa: PLC0415 - it knows this class

        return report_as_html(self)

    def scores_of(self, kind: str, measure: str) -> dict[tuple[str, str, str], Score]:
        """Return the scores of one kind and measure by way, site and place."""
        return {(s.way, s.site, s.at): s for s in self.scores if (s.kind, s.measure) == (kind, measure)}
