"""From a world that has come to rest to what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from imagiq.federation import Action, Finished, Named, StudyHistory, Wait
from imagiq.learning import Learner, Weights
from imagiq.merging import weights_of
from imagiq.objects import Digest, digest_of
from imagiq.simulation.findings import with_findings
from imagiq.simulation.founding import SiteCases
from imagiq.simulation.measuring import Scored, difference, mean_of, measures_of, scored
from imagiq.simulation.outcome import POOLED, Hospital, Measures, Outcome, SiteResult, Way
from imagiq.simulation.pooling import pooled_model, together
from imagiq.simulation.world import World
from imagiq.site import Site

__all__ = ["histories_of", "outcome_of"]

ALONE = "local"


def histories_of(world: World) -> dict[str, Digest]:
    """Return the digest of all commits that each running site knows: equal at sites that agree."""
    return {
        name: digest_of("\n".join(sorted(entry.digest for entry in world.bench(name).history)).encode())
        for name in world.names
        if world.is_up(name)
    }


def outcome_of(world: World, cases: Mapping[str, SiteCases], learner_of: Callable[[Named], Learner]) -> Outcome:
    """Measure what came of a simulation.

    Args:
        world: A world that has run.
        cases: The cases of its sites.
        learner_of: Makes the learner that the task names.
    """
    judge = _Judge(world, cases, learner_of(world.scenario.task))
    results = {title: judge.results(study.digest) for title, study in world.studies.items()}
    alone = next((results[s.title] for s in world.scenario.studies if s.strategy.name == ALONE), None)
    pooled, updates = judge.pooled()
    ways = [judge.way(title, results[title], alone, pooled) for title in results]
    outcome = Outcome(
        title=world.scenario.title,
        federation=world.founding.digest,
        seed=world.scenario.seed,
        hospitals=tuple(map(judge.hospital, world.names)),
        ways=tuple(ways),
        pooled=None if pooled is None else judge.pooled_way(pooled, alone),
        duration_s=max(world.ended_s.values(), default=0.0),
        histories=histories_of(world),
        warnings=tuple(_warnings(world, cases, ways)),
    )
    return with_findings(outcome, updates=updates)


class _Judge:
    """Scores models on the held-back cases of the sites of one world."""

    def __init__(self, world: World, cases: Mapping[str, SiteCases], learner: Learner) -> None:
        self._world = world
        self._cases = cases
        self._learner = learner
        self._specs = {site.name: site for site in world.scenario.sites}
        self._scored: dict[tuple[str, Digest], Scored | None] = {}
        self._truths: dict[str, tuple[int, bool]] = {}

    def _score(self, site: str, weights: Weights) -> Scored | None:
        held_back = self._cases[site].held_back
        if len(held_back) == 0:
            return None
        said = self._learner.predict(weights, held_back)
        seed = int(digest_of(f"imagiq patients\n{self._world.scenario.seed}\n{site}".encode())[:12], 16)
        found = scored(said, seed)
        if found is not None:
            self._truths[site] = (int((said.truth == 1).sum()), found.auc_tells)
        return found

    def _score_commit(self, site: Site, commit: Digest) -> Scored | None:
        name = site.bench.history[commit].commit.tree
        if name is None:
            return None
        if (site.name, name) not in self._scored:
            tree = site.bench.models.tree(name)
            weights = weights_of(site.bench.models.schema(tree.schema), tree, site.bench.store.read)
            self._scored[site.name, name] = self._score(site.name, weights)
        return self._scored[site.name, name]

    def results(self, study: Digest) -> dict[str, tuple[SiteResult, Scored | None]]:
        """Return what a study brought each site that takes part, without gains."""
        world = self._world
        found: dict[str, tuple[SiteResult, Scored | None]] = {}
        taking_part = next(s.sites for s in world.studies.values() if s.digest == study)
        for name in world.names:
            if name not in taking_part:
                continue
            result = SiteResult(
                site=name, commits=world.commits[name, study], busy_s=round(world.busy_s[name, study], 9)
            )
            if not world.is_up(name):
                found[name] = replace(result, finished=False, waits_for="its own start: it has crashed"), None
                continue
            site = world.site(name)
            action = site.actions().get(study)
            model = _model(site, study, action)
            mark = None if model is None else self._score_commit(site, model)
            score = Measures() if mark is None else measures_of(mark)
            result = replace(result, model=model, score=score, finished=isinstance(action, Finished))
            found[name] = replace(result, waits_for=_why(action)), mark
        return found

    def way(
        self,
        title: str,
        results: Mapping[str, tuple[SiteResult, Scored | None]],
        alone: Mapping[str, tuple[SiteResult, Scored | None]] | None,
        pooled: Mapping[str, Scored] | None,
    ) -> Way:
        """Return what a study brought."""
        world, study = self._world, self._world.studies[title].digest
        marks = {name: mark for name, (_, mark) in results.items() if mark is not None}
        before = {} if alone is None else {name: mark for name, (_, mark) in alone.items() if mark is not None}
        mean = mean_of(marks)
        return Way(
            title=title,
            strategy=world.studies[title].strategy.name,
            study=study,
            sites=tuple(_gaining(result, marks.get(name), before.get(name)) for name, (result, _) in results.items()),
            mean=mean,
            gain=mean_of(marks, before) if before else None,
            share_of_pooled=_share(mean, mean_of(pooled)) if pooled else {},
            bytes_moved=world.traffic.bytes_of[study],
            commits=sum(result.commits for result, _ in results.values()),
            ended_s=world.ended_s.get(study, 0.0),
            trouble=tuple(_trouble(world, study)),
        )

    def pooled(self) -> tuple[dict[str, Scored] | None, int]:
        """Return the scores of a model trained on the cases of all sites together, and how many updates it took."""
        scenario = self._world.scenario
        cases = together([self._cases[name].training for name in self._world.names])
        largest = max(scenario.studies, key=lambda study: study.steps * study.updates)
        steps = largest.steps * len(scenario.sites)
        if cases is None:
            return None, 0
        weights = pooled_model(self._learner, cases, seed=scenario.seed, steps=steps, updates=largest.updates)
        marks = {name: self._score(name, weights) for name in self._world.names}
        return {name: mark for name, mark in marks.items() if mark is not None}, steps * largest.updates

    def pooled_way(
        self, marks: Mapping[str, Scored], alone: Mapping[str, tuple[SiteResult, Scored | None]] | None
    ) -> Way:
        """Return the pooled line."""
        before = {} if alone is None else {name: mark for name, (_, mark) in alone.items() if mark is not None}
        results = {name: SiteResult(site=name, score=measures_of(mark)) for name, mark in marks.items()}
        mean = mean_of(marks)
        return Way(
            title=POOLED,
            strategy=POOLED,
            sites=tuple(_gaining(result, marks[name], before.get(name)) for name, result in results.items()),
            mean=mean,
            gain=mean_of(marks, before) if before else None,
            share_of_pooled=_share(mean, mean),
        )

    def hospital(self, name: str) -> Hospital:
        """Return a site and its cases."""
        cases, spec = self._cases[name], self._specs[name]
        positive, auc_tells = self._truths.get(name, (0, False))
        return Hospital(
            name=name,
            title=spec.title or name,
            speed=spec.speed,
            training=len(cases.training),
            held_back=len(cases.held_back),
            positive=positive,
            auc_tells=auc_tells,
            warnings=cases.warnings,
        )


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


def _why(action: Action | None) -> str:
    if isinstance(action, Finished):
        return ""
    if action is None:
        return "news of the study"
    return action.why if isinstance(action, Wait) else "time: it was still at work"


def _gaining(result: SiteResult, mark: Scored | None, before: Scored | None) -> SiteResult:
    if mark is None or before is None:
        return result
    return replace(result, gain=difference(mark, before))


def _share(mean: Measures, pooled: Measures) -> dict[str, float]:
    pairs = {"accuracy": (mean.accuracy, pooled.accuracy), "auc": (mean.auc, pooled.auc)}
    return {
        name: one.point / all_of.point
        for name, (one, all_of) in pairs.items()
        if one is not None and all_of is not None and all_of.point > 0
    }


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
    for name in world.names:
        for warning in cases[name].warnings:
            yield f"{titles[name]}: {warning}"
