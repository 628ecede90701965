"""The public seed of a training follows from the study's seed, the site's name and the step, and from nothing else."""

from __future__ import annotations

from dataclasses import replace

from imagiq.federation import Study, Train, identity, parse_study
from imagiq.objects import digest_of
from tests.federation.world import World, charter


def study_of(seed: int = 7) -> Study:
    world = World(charter("ABC")).found()
    found = parse_study(world.feeds["A"].study("local", "ABC"))
    assert found is not None
    return replace(found, seed=seed)


def train(step: int, base: bytes = b"base") -> Train:
    return Train(base=digest_of(base), step=step, progress=0.0)


def test_each_site_step_and_study_has_a_seed_of_its_own() -> None:
    seeds = [
        train(step).recipe(study_of(seed), me).seed for seed in (7, 8) for me in ("A", "B", "C") for step in (1, 2, 3)
    ]
    assert None not in seeds
    assert len(set(seeds)) == len(seeds)


def test_the_seed_does_not_change_with_the_model() -> None:
    assert train(1).recipe(study_of(), "A").seed == train(1, b"other").recipe(study_of(), "A").seed


def test_an_action_is_told_apart_by_study_site_model_step_and_data() -> None:
    study = study_of()
    other = replace(study, digest=digest_of(b"another study"))
    names = [
        identity(study, train(1), "A", "cases"),
        identity(study, train(1), "B", "cases"),
        identity(study, train(2), "A", "cases"),
        identity(study, train(1, b"other"), "A", "cases"),
        identity(study, train(1), "A", "other cases"),
        identity(other, train(1), "A", "cases"),
    ]
    assert len(set(names)) == len(names)
    assert identity(study, train(1), "A", "cases") == names[0]
