"""What is measured, by name: the words for it in tables, commits and reports.

A measure's name is what commits and JSON call it, such as ``auc``, ``dice`` or ``dice whole tumour``.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "ACCURACY_MEASURE",
    "AUC_MEASURE",
    "DICE_MEASURE",
    "HIT_MEASURE",
    "MACRO_AUC_MEASURE",
    "Measure",
    "dice_of",
    "measure_of",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """Something that is measured of a model on patients; the higher the better.

    Attributes:
        name: In commits and JSON.
        title: For people.
        what: What it says, in half a sentence.
        is_part: Whether it is a part of the task's headline measure, such as the Dice of one region.
        chance: What a model that knows nothing reaches, where that can be said.
    """

    name: str
    title: str
    what: str
    is_part: bool = False
    chance: float | None = None


AUC_MEASURE = Measure(
    name="auc",
    title="AUC",
    what="how well a site's model tells its held-back cases apart; 0.5 is chance",
    chance=0.5,
)
MACRO_AUC_MEASURE = Measure(
    name="auc",
    title="AUC",
    what="how well a site's model tells each class from all others, mean over classes; 0.5 is chance",
    chance=0.5,
)
ACCURACY_MEASURE = Measure(name="accuracy", title="Accuracy", what="share of held-back cases on the right side of 0.5")
HIT_MEASURE = Measure(
    name="accuracy", title="Accuracy", what="share of held-back cases whose class has the highest score"
)
DICE_MEASURE = Measure(
    name="dice", title="Dice", what="overlap of drawn and true regions, mean over a patient's regions, then patients"
)


def dice_of(region: str) -> Measure:
    """Return the measure of one region's Dice."""
    return Measure(
        name=f"dice {region}",
        title=f"Dice, {region}",
        what=f"overlap of drawn and true {region}, mean over the patients where either is there",
        is_part=True,
    )


def measure_of(name: str) -> Measure:
    """Return the measure of this name, as it stands in a commit; one that is not known is called by its name."""
    known = {measure.name: measure for measure in (AUC_MEASURE, ACCURACY_MEASURE, DICE_MEASURE)}
    if name in known:
        return known[name]
    if name.startswith("dice "):
        return dice_of(name.removeprefix("dice "))
    return Measure(name=name, title=name, what="as the sites recorded it")
