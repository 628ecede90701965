"""From a world that has come to rest to what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from imagiq.federation import Action, Finished, Named, StudyHistory, Wait
from imagiq.imaging.cases import ImageCases
from imagiq.learning import Learner
from imagiq.objects import Digest, digest_of
from imagiq.scoring import Measure
from imagiq.simulation.course import Course
from imagiq.simulation.curves import checkpoints_of, worked_in
from imagiq.simulation.findings import with_findings
from imagiq.simulation.judging import Judge
from imagiq.simulation.measuring import Scored, difference, mean_of, measures_of
from imagiq.simulation.outcome import POOLED, Abroad, Hospital, Measures, Outcome, SiteResult, Way
from imagiq.simulation.picturing import with_pictures
from imagiq.simulation.pooling import PooledLine, pooled_line
from imagiq.simulation.world import World
from imagiq.site import Site
from imagiq.site.sources import SiteCases

__all__ = ["histories_of", "outcome_of"]

ALONE = "local"
CHECKPOINTS = 6
MOST_SITES = 12
"""With more sites than this, models are not tried on every other site's cases: there would be too many pairs."""


def histories_of(world: World) -> dict[str, Digest]:
    """Return the digest of all commits that each running site knows: equal at sites that agree."""
    return {
        name: digest_of("\n".join(sorted(entry.digest for entry in world.bench(name).history)).encode())
        for name in world.names
        if world.is_up(name)
    }


def outcome_of(
    world: World,
    cases: Mapping[str, SiteCases],
    learner_of: Callable[[Named], Learner],
    *,
    checkpoints: int = CHECKPOINTS,
    pictures: bool = False,
    line: PooledLine | None = None,
) -> Outcome:
    """Measure what came of a simulation.

    Args:
        world: A world that has run.
        cases: The cases of its sites, and of sites that take no part.
        learner_of: Makes the learner that the task names.
        checkpoints: At how many times to measure how good the models of each study were meanwhile; many sites: never.
        pictures: Show slices of patients even if their source does not say that they may be shown to anybody.
        line: The pooled line, if it was begun before.
    """
    learner = learner_of(world.scenario.task)
    judge = Judge(world.scenario.seed, cases, learner)
    line = line or pooled_line(world.scenario, cases, learner)
    assembly = _Assembly(world, cases, judge, tuple(name for name, at in cases.items() if at.is_unseen))
    endings = {title: assembly.endings(study.digest) for title, study in world.studies.items()}
    alone = next((endings[s.title] for s in world.scenario.studies if s.strategy.name == ALONE), None)
    pooled = assembly.pooled(line)
    measures, few = _measures(judge), len(world.names) <= MOST_SITES
    ways = [assembly.way(title, endings[title], alone, pooled) for title in endings]
    outcome = Outcome(
        title=world.scenario.title,
        federation=world.founding.digest,
        seed=world.scenario.seed,
        measures=measures,
        hospitals=tuple(map(assembly.hospital, world.names)),
        unseen=tuple(map(assembly.hospital, assembly.unseen)),
        ways=tuple(ways),
        pooled=None if pooled is None else assembly.pooled_way(pooled, alone),
        duration_s=max(world.ended_s.values(), default=0.0),
        histories=histories_of(world),
        warnings=(*_warnings(world, cases, ways), *_trouble_of(line)),
        course=Course(
            worked=worked_in(world),
            made=tuple(world.made),
            checkpoints=tuple(checkpoints_of(world, judge, measures[0].name, checkpoints) if measures and few else ()),
        ),
    )
    found = with_findings(_filled(outcome), updates=0 if line is None else line.updates)
    return with_pictures(found, world, cases, learner, judge, even_if_private=pictures)


@dataclass(frozen=True)
class _Ending:
    """What a site ends up with, and the scores of its model by the site that it was tried at."""

    result: SiteResult
    marks: Mapping[str, Scored] = field(default_factory=dict)

    @property
    def own(self) -> Scored | None:
        return self.marks.get(self.result.site)


_Endings = Mapping[str, _Ending]


class _Assembly:
    """Puts the outcome of one world together."""

    def __init__(self, world: World, cases: Mapping[str, SiteCases], judge: Judge, unseen: tuple[str, ...]) -> None:
        self.unseen = unseen
        self._world = world
        self._cases = cases
        self._judge = judge
        self._specs = {site.name: site for site in world.scenario.sites}

    def _places(self, site: str) -> list[str]:
        """Return where a site's model is tried."""
        names = list(self._world.names)
        return [*(names if len(names) <= MOST_SITES else [site]), *self.unseen]

    def endings(self, study: Digest) -> _Endings:
        """Return what a study brought each site that takes part, without gains."""
        world = self._world
        found: dict[str, _Ending] = {}
        taking_part = next(s.sites for s in world.studies.values() if s.digest == study)
        for name in world.names:
            if name not in taking_part:
                continue
            result = SiteResult(
                site=name, commits=world.commits[name, study], busy_s=round(world.busy_s[name, study], 9)
            )
            if not world.is_up(name):
                found[name] = _Ending(replace(result, finished=False, waits_for="its own start: it has crashed"))
                continue
            site = world.site(name)
            action = site.actions().get(study)
            model = _model(site, study, action)
            marks = (
                {}
                if model is None
                else self._judge.score_commit(site.bench, model, self._places(name), self._states(study))
            )
            result = replace(
                result, model=model, finished=isinstance(action, Finished), waits_for=_why(site, study, action)
            )
            found[name] = _Ending(self._measured(result, marks), marks)
        return found

    def _states(self, study: Digest) -> Callable[[str], bytes]:
        """Return what gives what each running site keeps of its last training in a study."""
        terms = next(each for each in self._world.studies.values() if each.digest == study)
        world = self._world
        return lambda name: world.site(name).state_in(terms) if name in world.names and world.is_up(name) else b""

    def _measured(self, result: SiteResult, marks: Mapping[str, Scored]) -> SiteResult:
        here = {place: measures_of(mark) for place, mark in marks.items()}
        return replace(
            result,
            score=here.get(result.site, Measures()),
            elsewhere={place: here[place] for place in self._world.names if place in here and len(here) > 1},
            unseen={place: here[place] for place in self.unseen if place in here},
            patients={place: tuple(mark.marks.each.tolist()) for place, mark in marks.items()},
        )

    def way(self, title: str, endings: _Endings, alone: _Endings | None, pooled: _Endings | None) -> Way:
        """Return what a study brought."""
        world, study = self._world, self._world.studies[title].digest
        return replace(
            self._way(title, endings, alone, pooled),
            strategy=world.studies[title].strategy.name,
            study=study,
            bytes_moved=world.traffic.bytes_of[study],
            commits=sum(ending.result.commits for ending in endings.values()),
            ended_s=world.ended_s.get(study, 0.0),
            trouble=tuple(_trouble(world, study)),
            terms=world.studies[title],
        )

    def pooled(self, line: PooledLine | None) -> _Endings | None:
        """Return the scores of a model trained on the cases of all sites together."""
        weights = None if line is None else line.weights()
        if weights is None:
            return None
        names = self._world.names
        state = b"" if line is None else line.state
        marks = self._judge.score(weights, [*names, *self.unseen], lambda _: state)
        return {name: _Ending(self._measured(SiteResult(site=name), marks), marks) for name in names if name in marks}

    def pooled_way(self, pooled: _Endings, alone: _Endings | None) -> Way:
        """Return the pooled line."""
        return self._way(POOLED, pooled, alone, pooled)

    def _way(self, title: str, endings: _Endings, alone: _Endings | None, pooled: _Endings | None) -> Way:
        names = self._world.names if 1 < len(self._world.names) <= MOST_SITES else ()
        own = _abroad(endings, alone, lambda site: [site])
        return Way(
            title=title,
            strategy=title,
            sites=tuple(_gaining(end, None if alone is None else alone.get(name)) for name, end in endings.items()),
            mean=own.mean,
            gain=own.gain,
            share_of_pooled=_share(own.mean, _abroad(pooled, None, lambda site: [site]).mean) if pooled else {},
            across=_abroad(endings, alone, lambda _: names) if names else None,
            unseen=_abroad(endings, alone, lambda _: self.unseen) if self.unseen else None,
        )

    def hospital(self, name: str) -> Hospital:
        """Return a site and its cases."""
        cases, spec, seen = self._cases[name], self._specs.get(name), self._judge.seen.get(name)
        return Hospital(
            name=name,
            title=(spec.title if spec else "") or name,
            speed=spec.speed if spec else 0.0,
            training=len(cases.training) if spec else 0,
            held_back=len(cases.held_back),
            training_images=_images(cases.training) if spec else None,
            held_back_images=_images(cases.held_back),
            image=_image(cases.held_back),
            split=cases.split,
            classes=seen.marks.classes if seen else (),
            silent=seen.marks.silent if seen else {},
            warnings=cases.warnings,
        )


def _abroad(endings: _Endings, alone: _Endings | None, places: Callable[[str], Sequence[str]]) -> Abroad:
    """Return the mean over sites' models and the places where each is tried, and what is gained over each alone."""
    pairs = [(site, place) for site, end in endings.items() for place in places(site) if place in end.marks]
    mean = mean_of([endings[site].marks[place] for site, place in pairs])
    both = [(site, place) for site, place in pairs if alone and site in alone and place in alone[site].marks]
    if alone is None or not any(end.own is not None for end in alone.values()):
        return Abroad(mean=mean)
    before = [alone[site].marks[place] for site, place in both]
    return Abroad(mean=mean, gain=mean_of([endings[site].marks[place] for site, place in both], before))


def _gaining(ending: _Ending, before: _Ending | None) -> SiteResult:
    if ending.own is None or before is None or before.own is None:
        return ending.result
    return replace(ending.result, gain=difference(ending.own, before.own))


def _images(cases: object) -> int | None:
    return len(cases.images) if isinstance(cases, ImageCases) else None


def _image(cases: object) -> str:
    """Return what an image of a patient is called: of a plane it is a slice where masks were drawn into it."""
    if not isinstance(cases, ImageCases):
        return ""
    return "volume" if cases.images.ndim > 4 else "slice" if cases.truth.ndim > 1 else "image"


def _share(mean: Measures, pooled: Measures) -> dict[str, float]:
    return {
        name: one.point / all_of.point
        for name, one in mean.of.items()
        if one is not None and (all_of := pooled[name]) is not None and all_of.point > 0
    }


def _measures(judge: Judge) -> tuple[Measure, ...]:
    """Return what was measured anywhere, the headline first."""
    found = {measure.name: measure for one in judge.seen.values() for measure in one.marks.measures}
    return tuple(found.values())


def _filled(outcome: Outcome) -> Outcome:
    """Say of every measure that it is not defined where nothing could be measured."""
    names = [measure.name for measure in outcome.measures]

    def filled(measures: Measures) -> Measures:
        return Measures(of={name: measures[name] for name in names})

    def way(of: Way) -> Way:
        sites = tuple(replace(result, score=filled(result.score)) for result in of.sites)
        return replace(of, sites=sites, mean=filled(of.mean))

    pooled = None if outcome.pooled is None else way(outcome.pooled)
    return replace(outcome, ways=tuple(map(way, outcome.ways)), pooled=pooled)


def _model(site: Site, study: Digest, action: Action | None) -> Digest | None:
    """Return the model that a site ends up with: what came of the study, or else its newest one."""
    if isinstance(action, Finished):
        return action.model
    steps: StudyHistory | None = site.bench.studies.get(study)
    if steps is None:
        return None
    view = site.view(steps)
    own = [step for step in (view.newest_training(site.name), view.newest_merge(site.name)) if step is not None]
    if own:
        return max(own, key=lambda step: step.order).digest
    return study if study in site.bench.models.complete else None


def _why(site: Site, study: Digest, action: Action | None) -> str:
    if isinstance(action, Finished):
        return ""
    if action is None:
        return "news of the study"
    if isinstance(action, Wait):
        return action.why
    is_failing = site.is_backed_off(site.bench.studies[study].study, action)
    return "its own work to succeed" if is_failing else "time: it was still at work"


def _trouble_of(line: PooledLine | None) -> Iterable[str]:
    if line is not None and line.trouble:
        yield f"There is no pooled line: {line.trouble}"


def _trouble(world: World, study: Digest) -> Iterable[str]:
    """Yield what sites told of work that failed."""
    told: dict[Digest, str] = {}
    for name in filter(world.is_up, world.names):
        bench = world.bench(name)
        for entry in bench.history:
            if entry.commit.recipe.name == "trouble" and entry.commit.study == study:
                told[entry.digest] = f"{bench.standing.name_of(entry)}: {entry.commit.recipe.parameters.get('code')}"
    yield from sorted(set(told.values()))


def _warnings(world: World, cases: Mapping[str, SiteCases], ways: Iterable[Way]) -> Iterable[str]:
    titles = {site.name: site.title or site.name for site in world.scenario.sites}
    if world.stopped:
        yield world.stopped
    for way in ways:
        for told in way.trouble:
            yield f"{way.title}: work failed again and again at {told}."
        for result in way.sites:
            if not result.finished:
                yield f"{way.title}: {titles[result.site]} is not finished; it waits for {result.waits_for}."
    histories = histories_of(world)
    if len(set(histories.values())) > 1:
        yield "The sites do not know the same commits: news was still on its way, or cannot get through."
    for warning in dict.fromkeys(said for name in world.names for said in cases[name].warnings):
        who = [titles[name] for name in world.names if warning in cases[name].warnings]
        yield f"{', '.join(who)}: {warning}"
