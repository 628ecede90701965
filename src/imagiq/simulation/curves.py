"""The course of a simulation after its end: when who worked, and how good models were meanwhile."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from imagiq.simulation.course import Checkpoint, Made, Worked
from imagiq.simulation.judging import Judge
from imagiq.simulation.world import World

__all__ = ["checkpoints_of", "worked_in"]


def worked_in(world: World) -> tuple[Worked, ...]:
    """Return who worked when; who is down in the end is down until then."""
    end_s = max([world.clock.now_s(), *world.down_since_s.values()])
    down = [
        Worked(site=name, study=None, kind="down", from_s=since_s, to_s=end_s)
        for name, since_s in sorted(world.down_since_s.items())
    ]
    return (*world.worked, *down)


def checkpoints_of(world: World, judge: Judge, measure: str, number: int) -> Iterator[Checkpoint]:
    """Yield how good the models of each study were at times that lie evenly between its beginning and its end.

    Args:
        world: A world that has run.
        judge: Scores models.
        measure: Name of the measure.
        number: How many times after the beginning; 0: none at all.
    """
    if number <= 0:
        return
    for title, study in world.studies.items():
        made = [one for one in world.made if one.study == study.digest]
        end_s = world.ended_s.get(study.digest, 0.0)
        for place in range(number + 1):
            at_s = end_s * place / number
            known = [one for one in made if one.at_s <= at_s]
            points = [_point(world, judge, measure, known, site) for site in study.sites]
            told = [point for point in points if point is not None]
            if told:
                yield Checkpoint(
                    way=title,
                    at_s=at_s,
                    nbytes=max((one.nbytes for one in known), default=0),
                    measure=measure,
                    value=sum(told) / len(told),
                )


def _point(world: World, judge: Judge, measure: str, known: Sequence[Made], site: str) -> float | None:
    model = _model_of(known, site)
    if model is None or not world.is_up(model.site):
        return None
    return judge.point(world.bench(model.site), model.commit, site, measure)


def _model_of(known: Sequence[Made], site: str) -> Made | None:
    """Return the model that a site has at some time.

    That is its newest merge; where others merge, theirs; where one model goes round, the newest of it; where nobody
    gives a model away, what the site trained; before that, the first.
    """
    author = {one.commit: one.site for one in known if one.recipe == "train"}
    goes_round = any(author.get(p, one.site) != one.site for one in known if one.recipe == "train" for p in one.parents)
    trained = ("train", "" if goes_round else site)
    for recipe, maker in (("merge", site), ("merge", ""), trained, ("study", "")):
        found = [one for one in known if one.recipe == recipe and maker in {"", one.site}]
        if found:
            return found[-1]
    return None
