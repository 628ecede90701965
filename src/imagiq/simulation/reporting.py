"""From what came of a simulation to the values of its report."""

from __future__ import annotations

import platform
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version

from imagiq.report import Commit, Point, Report, Score, Site, Work, recipe_of, score_of, split_as_toml
from imagiq.report import Way as ReportedWay
from imagiq.scoring import FEW, Interval
from imagiq.simulation.outcome import Hospital, Measures, Outcome, SiteResult, Way

__all__ = ["report_of"]

PROGRAMS = ("imagiq", "numpy", "torch", "monai")


def report_of(outcome: Outcome) -> Report:
    """Return the report of a simulation."""
    titles = {way.study: way.title for way in outcome.ways}
    course = outcome.course
    images = {each.image for each in (*outcome.hospitals, *outcome.unseen)} or {""}
    return Report(
        kind="simulation",
        title=outcome.title,
        federation=outcome.federation,
        seed=outcome.seed,
        case="patient" if all(images) else "case",
        image="" if not all(images) else images.pop() if len(images) == 1 else "image",
        measures=outcome.measures,
        sites=(*map(_site, outcome.hospitals), *(_site(each, takes_part=False) for each in outcome.unseen)),
        ways=tuple(_way(way, outcome) for way in outcome.lines),
        scores=_with_shares([score for way in outcome.lines for score in _scores(way, outcome)], outcome.pooled),
        points=(*_checkpoints(outcome), *_losses(outcome)),
        work=tuple(
            Work(
                site=each.site,
                way=titles.get(each.study, "") if each.study else "",
                kind=each.kind,
                from_s=round(each.from_s, 6),
                to_s=round(each.to_s, 6),
                failed=each.failed,
            )
            for each in course.worked
        ),
        commits=tuple(
            Commit(
                commit=each.commit,
                site=each.site,
                way=titles[each.study],
                kind=each.recipe,
                parents=each.parents,
                at_s=round(each.at_s, 6),
                cases=each.cases,
                metrics=each.metrics,
            )
            for each in course.made
        ),
        pictures=outcome.pictures,
        no_pictures=outcome.no_pictures,
        versions=_versions(),
        split=split_as_toml(outcome.hospitals[0].split) if outcome.hospitals else "",
        findings=outcome.findings,
        warnings=outcome.warnings,
    )


def _site(hospital: Hospital, *, takes_part: bool = True) -> Site:
    positive, each = hospital.positive, "patients" if hospital.image else "cases"
    return Site(
        name=hospital.name,
        title=hospital.title,
        training=hospital.training if takes_part else None,
        held_back=hospital.held_back,
        training_images=hospital.training_images,
        held_back_images=hospital.held_back_images,
        takes_part=takes_part,
        speed=hospital.speed if takes_part else None,
        note="" if positive is None else f"{positive / hospital.held_back:.0%} of the held-back {each} are positive",
    )


def _way(way: Way, outcome: Outcome) -> ReportedWay:
    is_pooled = way is outcome.pooled
    return ReportedWay(
        title=way.title,
        strategy=way.strategy,
        role="pooled" if is_pooled else "alone" if way.strategy == "local" else "together",
        study=way.study or "",
        recipe="" if way.terms is None else recipe_of(way.terms),
        seed=None if way.terms is None else way.terms.seed,
        sites=len(way.sites),
        finished=sum(result.finished for result in way.sites),
        share_of_pooled=way.share_of_pooled.get(outcome.headline),
        bytes_moved=None if is_pooled else way.bytes_moved,
        commits=way.commits,
        busy_s=None if is_pooled else round(way.busy_s, 6),
        ended_s=None if is_pooled else round(way.ended_s, 6),
        trouble=way.trouble,
    )


def _scores(way: Way, outcome: Outcome) -> Iterator[Score]:
    for measure in (measure.name for measure in outcome.measures):
        yield from _score(way, "mean", measure, way.mean, way.gain)
        for kind, abroad in (("across", way.across), ("unseen mean", way.unseen)):
            if abroad is not None:
                yield from _score(way, kind, measure, abroad.mean, abroad.gain)
        for result in way.sites:
            yield from _scores_of(way, result, measure, outcome)


def _scores_of(way: Way, result: SiteResult, measure: str, outcome: Outcome) -> Iterator[Score]:
    counts = {h.name: measure not in h.silent for h in (*outcome.hospitals, *outcome.unseen)}
    few = {h.name for h in (*outcome.hospitals, *outcome.unseen) if h.held_back < FEW}
    yield from _score(
        way, "own", measure, result.score, result.gain, at=result.site, site=result.site, counts=counts, few=few
    )
    for kind, tried in (("elsewhere", result.elsewhere), ("unseen", result.unseen)):
        for at, measures in tried.items():
            yield from _score(way, kind, measure, measures, None, site=result.site, at=at, counts=counts, few=few)


def _score(
    way: Way,
    kind: str,
    measure: str,
    measures: Measures,
    gains: Measures | None,
    *,
    site: str = "",
    at: str = "",
    counts: Mapping[str, bool] | None = None,
    few: Collection[str] = (),
) -> Iterator[Score]:
    """Yield a score, if it is defined."""
    value = measures[measure]
    gain: Interval | None = None if gains is None or way.strategy == "local" else gains[measure]
    if value is not None:
        tells = counts is None or counts.get(at, True)
        score = score_of(value, gain, way=way.title, kind=kind, site=site, at=at, measure=measure, counts=tells)
        yield score.of_few() if at in few else score


def _with_shares(scores: list[Score], pooled: Way | None) -> tuple[Score, ...]:
    """Return scores with the share of what the pooled line reaches at the same place."""
    reached = {
        (one.kind, one.site, one.at, one.measure): one.value
        for one in scores
        if pooled is not None and one.way == pooled.title and one.value > 0
    }
    shares = [reached.get((one.kind, one.site, one.at, one.measure)) for one in scores]
    return tuple(
        one
        if whole is None or pooled is None or one.way == pooled.title
        else replace(one, share_of_pooled=one.value / whole)
        for one, whole in zip(scores, shares, strict=True)
    )


def _checkpoints(outcome: Outcome) -> Iterator[Point]:
    for each in outcome.course.checkpoints:
        yield Point(way=each.way, measure=each.measure, at_s=round(each.at_s, 6), nbytes=each.nbytes, value=each.value)


def _losses(outcome: Outcome) -> Iterator[Point]:
    titles = {way.study: way.title for way in outcome.ways}
    for each in outcome.course.made:
        if each.recipe == "train" and "loss" in each.metrics:
            yield Point(
                way=titles[each.study],
                site=each.site,
                measure="loss",
                at_s=round(each.at_s, 6),
                nbytes=each.nbytes,
                value=each.metrics["loss"],
            )


def _versions() -> dict[str, str]:
    found = {"Python": platform.python_version()}
    for program in PROGRAMS:
        try:
            found[program] = version(program)
        except PackageNotFoundError:
            continue
    return found
