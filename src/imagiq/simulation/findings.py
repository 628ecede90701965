"""Sentences about the numbers of a simulation: what can be told apart, and what cannot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from imagiq.scoring import FEW, Measure
from imagiq.simulation.outcome import Hospital, Outcome

__all__ = ["with_findings"]

WIDE = 0.3
"""Shares of positive cases that lie further apart than this make accuracy a measure of the share."""


def with_findings(outcome: Outcome, *, updates: int) -> Outcome:
    """Return an outcome with its findings.

    Args:
        outcome: An outcome without any.
        updates: How many optimiser updates the pooled line took.
    """
    found = [
        sentence for measure in outcome.measures if not measure.is_part and (sentence := _told_apart(outcome, measure))
    ]
    found += _shares(outcome.hospitals)
    found += _few(outcome)
    found += _few_patients(outcome.hospitals)
    if any(score is not None for way in outcome.ways for score in way.mean.of.values()):
        found.append(
            "Intervals (95 %) are over patients, for this one seed, and not widened for the number of comparisons: with "
            "another seed another way may stand out, so look at several (--seed) before you believe one."
        )
    if outcome.pooled is not None:
        found.append(
            f"Pooled is one model trained on the cases of all sites together, with {updates} updates, as many as all "
            "sites together make in a study; only a simulation can draw that line."
        )
    return replace(outcome, findings=tuple(found))


def _told_apart(outcome: Outcome, measure: Measure) -> str:
    compared = [
        (way.title, gain)
        for way in outcome.ways
        if way.strategy != "local" and way.gain is not None and (gain := way.gain[measure.name]) is not None
    ]
    if not compared:
        return ""
    better = [f"{title} (+{gain.point:.3f})" for title, gain in compared if gain.low > 0]
    worse = [f"{title} ({gain.point:.3f})" for title, gain in compared if gain.high < 0]
    alike = [title for title, gain in compared if gain.low <= 0 <= gain.high]
    parts = []
    for names, said in (
        (better, "better than each alone"),
        (worse, "worse than each alone"),
        (alike, "not to be told apart from each alone"),
    ):
        if names:
            parts.append(f"{_listed(names)} {'is' if len(names) == 1 else 'are'} {said}")
    telling = [hospital.title for hospital in outcome.hospitals if measure.name not in hospital.silent]
    mean = f"mean of {_listed(telling) if len(telling) < len(outcome.hospitals) else 'all'}"
    return f"By {_in_a_sentence(measure.title)} ({mean}), {'; '.join(parts)}."


def _in_a_sentence(title: str) -> str:
    """Return a title as it stands within a sentence: an abbreviation or a name keeps its capitals."""
    return title.lower() if title == "Accuracy" else title


def _shares(hospitals: Sequence[Hospital]) -> Iterator[str]:
    shares = {h.title: h.positive / h.held_back for h in hospitals if h.positive is not None}
    if shares and max(shares.values()) - min(shares.values()) > WIDE:
        low, high = min(shares, key=shares.__getitem__), max(shares, key=shares.__getitem__)
        yield (
            f"From {shares[low]:.0%} ({low}) to {shares[high]:.0%} ({high}) of the held-back cases are positive: "
            "accuracy at one threshold mostly shows whether a model leans the way its site's cases do, which a model "
            "trained alone does by itself; AUC shows whether it tells cases apart."
        )


def _few(outcome: Outcome) -> Iterator[str]:
    titles = {measure.name: measure.title for measure in outcome.measures}
    for hospital in outcome.hospitals:
        for measure, few in hospital.silent.items():
            yield (
                f"{hospital.title} holds back {few}: its {titles.get(measure, measure)} tells nothing and is left out "
                "of means."
            )


def _few_patients(hospitals: Sequence[Hospital]) -> Iterator[str]:
    few = [hospital.title for hospital in hospitals if 0 < hospital.held_back < FEW]
    if few:
        yield (
            f"{_listed(few)} {'holds' if len(few) == 1 else 'hold'} back fewer than {FEW} patients: nothing is claimed of "
            f"{'it' if len(few) == 1 else 'them'}, and the interval of the mean is narrower than it should be."
        )


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else "none"
