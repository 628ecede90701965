"""Small simulations for tests: a few wards with synthetic cases, and files that describe them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from imagiq.federation import Named
from imagiq.learning.logistic import Logistic
from imagiq.learning.tables import Table
from imagiq.simulation import Happening, Scenario, SimulatedSite, SimulatedStudy, SiteCases, World
from imagiq.strategies import BUILT_IN

NAMES = ("east", "north", "west")
FEATURES = 4
TASK = Named("logistic", 1, {"features": FEATURES, "learning_rate": "0.05", "batch": 8})

TOML = """
title = "Wards"
seed = 3

[data]
kind = "table"
path = "cases.csv"
site = "ward"
label = "ill"
features = ["age", "pulse"]

[task]
learner = "logistic"
features = 2
learning_rate = 0.05

[budget]
steps = 2
updates = 3

[[site]]
name = "east"
speed = 2

[[study]]
title = "alone"
strategy = "local"

[[study]]
strategy = "fedavg"
"""


def table_of(number: int, seed: int) -> Table:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(number, FEATURES))
    return Table(x=x, y=(x.sum(axis=1) + rng.normal(size=number) > 0).astype(np.int8))


def cases_of(names: tuple[str, ...] = NAMES) -> dict[str, SiteCases]:
    return {
        name: SiteCases(training=table_of(40, 2 * place), held_back=table_of(30, 2 * place + 1))
        for place, name in enumerate(names)
    }


def scenario(*titles: str, names: tuple[str, ...] = NAMES, **changes: Any) -> Scenario:
    studies = [SimulatedStudy(title=t, strategy=Named(t), steps=3, updates=5) for t in titles or ("latest-of-each",)]
    usual: dict[str, Any] = {
        "title": "wards",
        "seed": 1,
        "sites": tuple(SimulatedSite(name=name, speed=1 + place / 2) for place, name in enumerate(names)),
        "studies": tuple(studies),
        "task": TASK,
    }
    return Scenario(**usual | changes)


def world_of(of: Scenario, cases: dict[str, SiteCases] | None = None) -> World:
    names = tuple(site.name for site in of.sites)
    return World(of, cases or cases_of(names), learner_of=learner_of, strategies=BUILT_IN)


def histories(world: World) -> dict[str, list[str]]:
    return {name: sorted(entry.digest for entry in world.bench(name).history) for name in world.names}


def into(seen: list[World]) -> Callable[[World], Callable[[Happening], None]]:
    """Give what puts a simulation's world into a list, and watches nothing."""

    def progress(world: World) -> Callable[[Happening], None]:
        seen.append(world)
        return lambda _: None

    return progress


def learner_of(task: Named) -> Logistic:
    return Logistic(**task.parameters)  # type: ignore[arg-type]


def write_file(folder: Path, text: str = TOML, rows: str | None = None) -> Path:
    """Write a TOML file and the cases that it names."""
    if rows is None:
        rng = np.random.default_rng(0)
        lines = [f"{ward},{rng.normal():.3f},{rng.normal():.3f},{case % 2}" for ward in NAMES for case in range(20)]
        rows = "\n".join(["ward,age,pulse,ill", *lines]) + "\n"
    (folder / "cases.csv").write_text(rows)
    path = folder / "wards.toml"
    path.write_text(text)
    return path
