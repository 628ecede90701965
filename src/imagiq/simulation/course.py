"""The course of a simulation, as values: who worked on what and when, what was committed, and how good models became."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from imagiq.objects import Digest

__all__ = ["Checkpoint", "Course", "Made", "Worked"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Worked:
    """A time in which a site computed, or was down.

    Attributes:
        site: Its name.
        study: For which study; None: it was down.
        kind: "train", "merge", "evaluate" or "down".
        from_s: When it began, in virtual seconds.
        to_s: When it ended.
        failed: Whether nothing came of it.
    """

    site: str
    study: Digest | None
    kind: str
    from_s: float
    to_s: float
    failed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A commit that a site made in a study.

    Attributes:
        commit: Its name.
        site: Who made it.
        study: In which study.
        recipe: By what it was made.
        parents: What it was made from.
        at_s: When, in virtual seconds.
        nbytes: How many bytes had passed between sites for the study by then.
        cases: How many cases were used; None: none.
        metrics: What was measured.
    """

    commit: Digest
    site: str
    study: Digest
    recipe: str
    parents: tuple[Digest, ...]
    at_s: float
    nbytes: int
    cases: int | None
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """How good the models of a way were at some time: the mean over sites, each on its own held-back cases.

    Attributes:
        way: The study's title.
        at_s: When, in virtual seconds.
        nbytes: How many bytes had passed between sites for the study by then.
        measure: Name of the measure.
        value: The mean.
    """

    way: str
    at_s: float
    nbytes: int
    measure: str
    value: float


@dataclass(frozen=True, kw_only=True)
class Course:
    """What happened.

    Attributes:
        worked: Who worked on what, in order of its end.
        made: The commits of all studies, in order.
        checkpoints: How good models became.
    """

    worked: tuple[Worked, ...] = ()
    made: tuple[Made, ...] = ()
    checkpoints: tuple[Checkpoint, ...] = field(default=())
