"""Marks: what a model got on each patient, such that any resample of the patients can be scored.

**Dice.** Of a patient and a region it is ``2 common / (true + drawn)`` over all of the patient's pixels or voxels. It
is not defined where the region is absent both in truth and in the drawing; such a pair is left out of every mean. A
region that is drawn although it is not there, or there and not drawn, scores 0. A patient's Dice is the mean over its
regions for which it is defined; the Dice of a set of patients is the mean over those that have one. (Dice, Ecology,
1945; leaving empty pairs out instead of scoring them 1: Reinke et al., Nature Methods, 2024.)

**AUC of several classes** is the mean over classes of the AUC of each against all others (macro, one against rest).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imagiq.errors import Misuse
from imagiq.scoring.measures import (
    ACCURACY_MEASURE,
    AUC_MEASURE,
    DICE_MEASURE,
    HIT_MEASURE,
    MACRO_AUC_MEASURE,
    Measure,
    dice_of,
)
from imagiq.scoring.metrics import ACCURACY, AUC, Counts, Floats, checked

__all__ = ["FEW", "Marks", "dice", "marks_of_classes", "marks_of_overlaps", "patients_dice"]

FEW = 5
"""An AUC that rests on fewer cases of a class than this tells nothing."""

OfResamples: TypeAlias = Callable[[Counts], Floats]
"""From how often each patient is in each resample, [resamples, patients], to a measure of each; NaN: not defined."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Marks:
    """What a model got on patients.

    Attributes:
        patients: How many there are.
        measures: What is measured, the task's headline first.
        of_resamples: By a measure's name: see :data:`OfResamples`.
        silent: Measures that rest on too few cases to tell anything -> what there is too little of.
        classes: How many patients there are of each class; empty: there are no classes.
        each: By patient: the headline measure where it is defined of one patient, else empty.
    """

    patients: int
    measures: tuple[Measure, ...]
    of_resamples: Mapping[str, OfResamples]
    silent: Mapping[str, str] = field(default_factory=dict)
    classes: tuple[int, ...] = ()
    each: Floats = field(default_factory=lambda: np.zeros(0))

    def points(self) -> dict[str, float]:
        """Return each measure of all patients; NaN where it is not defined."""
        once = np.ones((1, self.patients), np.int64)
        return {name: float(of(once)[0]) for name, of in self.of_resamples.items()}


def marks_of_classes(truth: ArrayLike, score: ArrayLike) -> Marks:
    """Return the marks of a classification.

    Args:
        truth: The class of each case.
        score: The probability of class 1 of two, [cases]; or that of each class, [cases, classes].

    Raises:
        Misuse: the shapes do not fit, a truth is no class, a score is not finite, or there are no cases.
    """
    scores = np.asarray(score, np.float64)
    if scores.ndim == 2:
        return _several_classes(np.asarray(truth), scores)
    truths, scores = checked(truth, scores)
    positive = int(truths.sum())
    negative = truths.size - positive
    few = min((negative, "negative"), (positive, "positive"))
    return Marks(
        patients=truths.size,
        measures=(AUC_MEASURE, ACCURACY_MEASURE),
        of_resamples={
            "auc": lambda counts: AUC.of_resamples(truths, scores, counts),
            "accuracy": lambda counts: ACCURACY.of_resamples(truths, scores, counts),
        },
        silent={"auc": f"{few[0]} {few[1]} {_cases(few[0])}"} if few[0] < FEW else {},
        classes=(negative, positive),
    )


def _cases(number: int) -> str:
    return "case" if number == 1 else "cases"


def _several_classes(truths: NDArray[Any], scores: Floats) -> Marks:
    _check_classes(truths, scores)
    number = scores.shape[1]
    classes = tuple(np.bincount(truths, minlength=number).tolist())
    right = scores.argmax(axis=1) == truths
    present = [k for k in range(number) if 0 < classes[k] < truths.size]
    fewest = min(min(n, truths.size - n) for n in classes)

    def accuracy(counts: Counts) -> Floats:
        return _mean_of_present(counts, right.astype(np.float64))

    def auc(counts: Counts) -> Floats:
        if not present:
            return np.full(len(counts), np.nan)
        found = np.array([AUC.of_resamples(truths == k, scores[:, k], counts) for k in present], np.float64)
        return np.asarray(found.mean(axis=0), np.float64)

    return Marks(
        patients=truths.size,
        measures=(MACRO_AUC_MEASURE, HIT_MEASURE),
        of_resamples={"auc": auc, "accuracy": accuracy},
        silent={"auc": f"{fewest} {_cases(fewest)} of a class"} if fewest < FEW else {},
        classes=classes,
    )


def _check_classes(truths: NDArray[Any], scores: Floats) -> None:
    if truths.shape != scores.shape[:1] or scores.shape[1] < 2:
        raise Misuse(
            "score-shape",
            f"There are truths of shape {list(truths.shape)} and scores of shape {list(scores.shape)}.",
            "Give one truth for each case, and one score for each case and class.",
        )
    if not truths.size:
        raise Misuse("score-empty", "There are no cases to score.", "Give one or more.")
    if not np.isin(truths, np.arange(scores.shape[1])).all():
        raise Misuse("score-truth", "A truth is the number of no class.", "Give a score for each class that there is.")
    if not np.isfinite(scores).all():
        raise Misuse("score-finite", "A score is NaN or infinite.", "Look at the model that gave it.")


def marks_of_overlaps(regions: Sequence[str], true: ArrayLike, drawn: ArrayLike, common: ArrayLike) -> Marks:
    """Return the marks of a segmentation.

    Args:
        regions: Names of the regions.
        true: How many pixels or voxels of each region there are, [patients, regions].
        drawn: How many the model draws.
        common: How many are both.

    Raises:
        Misuse: the counts do not fit each other, or there are no patients.
    """
    found = dice(true, drawn, common)
    if found.shape[1:] != (len(regions),) or len(set(regions)) != len(regions):
        raise Misuse(
            "score-shape",
            f"There are {len(regions)} names of regions, and counts of shape {list(found.shape)}.",
            "Name each region once.",
        )
    each = patients_dice(found)
    of_resamples: dict[str, OfResamples] = {"dice": lambda counts: _mean_of_present(counts, each)}
    for place, region in enumerate(regions):
        of_resamples[f"dice {region}"] = _mean_over(found[:, place])
    parts = tuple(dice_of(region) for region in regions) if len(regions) > 1 else ()
    if not parts:
        of_resamples = {"dice": of_resamples["dice"]}
    return Marks(patients=len(each), measures=(DICE_MEASURE, *parts), of_resamples=of_resamples, each=each)


def dice(true: ArrayLike, drawn: ArrayLike, common: ArrayLike) -> Floats:
    """Return the Dice of each patient and region, [patients, regions]; NaN where the region is in neither.

    Raises:
        Misuse: the counts do not fit each other, or there are no patients.
    """
    counts = [np.asarray(each) for each in (true, drawn, common)]
    trues, drawns, commons = counts
    if trues.ndim != 2 or not trues.shape == drawns.shape == commons.shape:
        shapes = ", ".join(str(list(each.shape)) for each in counts)
        raise Misuse(
            "score-shape",
            f"There are true, drawn and common counts of shapes {shapes}.",
            "Give each of them for all patients and regions.",
        )
    if not trues.size:
        raise Misuse("score-empty", "There are no patients or no regions to score.", "Give one or more.")
    fits = all(np.issubdtype(each.dtype, np.integer) for each in counts)
    if not fits or (commons < 0).any() or (commons > np.minimum(trues, drawns)).any():
        raise Misuse(
            "score-overlaps",
            "Counts of an overlap are no whole numbers, or an overlap is larger than what overlaps.",
            "Count the pixels of both masks, and those that lie in both.",
        )
    whole = trues.astype(np.float64) + drawns
    found = np.full(trues.shape, np.nan)
    np.divide(2.0 * commons, whole, out=found, where=whole > 0)
    return found


def patients_dice(found: Floats) -> Floats:
    """Return the mean over each patient's regions that are defined, [patients]; NaN where none is."""
    defined = ~np.isnan(found)
    number = defined.sum(axis=1)
    mean = np.full(len(found), np.nan)
    np.divide(np.where(defined, found, 0.0).sum(axis=1), number, out=mean, where=number > 0)
    return mean


def _mean_over(values: Floats) -> OfResamples:
    return lambda counts: _mean_of_present(counts, values)


def _mean_of_present(counts: Counts, values: Floats) -> Floats:
    """Return the mean of each resample over the patients that have a value; NaN where none has."""
    defined = ~np.isnan(values)
    number = (counts * defined).sum(axis=1)
    mean = np.full(len(counts), np.nan)
    np.divide((counts * np.where(defined, values, 0.0)).sum(axis=1), number, out=mean, where=number > 0)
    return mean
