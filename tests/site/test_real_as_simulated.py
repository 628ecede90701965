"""What real sites make together is what the simulation of the same study makes, to the bit."""

from __future__ import annotations

from pathlib import Path

import pytest

from imagiq.bench import Bench
from imagiq.bench.repository import open_repository
from imagiq.cli import main
from imagiq.objects import Digest
from tests.site.homes import HEART
from tests.site.processes import town_of, until

NAMES = ("alba", "bert", "caro", "dora")
SCENARIO = """\
title = "Heart"
seed = 7

[data]
kind = "heart"

[task]
learner = "logistic"
features = 13
learning_rate = "0.05"

[budget]
steps = 3
updates = 50

[[study]]
title = "Angina"
strategy = "{strategy}"
"""


def trees(bench: Bench) -> dict[tuple[str, ...], Digest | None]:
    """Return the models of a study, by how they came about: what each site trained in each step, and merges in order."""
    found: dict[tuple[str, ...], Digest | None] = {}
    for entry in sorted(bench.history, key=lambda entry: entry.order):
        commit = entry.commit
        if commit.recipe.name == "train":
            found["train", bench.standing.name_of(entry), str(commit.recipe.parameters["step"])] = commit.tree
        elif commit.recipe.name == "merge":
            found["merge", str(sum(key[0] == "merge" for key in found))] = commit.tree
    return found


@pytest.mark.process
@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["fedavg", "cyclic", "incremental", "one-shot", "swarm"])
def test_a_lock_step_study_of_real_sites_gives_the_trees_that_it_gives_in_simulation(
    strategy: str, tmp_path: Path
) -> None:
    sites = "".join(f'\n[[site]]\nname = "{name}"\ncases = "{HEART[name]}"\n' for name in NAMES)
    (tmp_path / "scenario.toml").write_text(SCENARIO.format(strategy=strategy) + sites, "utf-8")
    assert main(["simulate", str(tmp_path / "scenario.toml"), "--out", str(tmp_path / "simulated"), "--quiet"]) == 0
    simulated = trees(open_repository(tmp_path / "simulated" / "alba"))
    assert len([key for key in simulated if key[0] == "train"]) == 12
    with town_of(tmp_path, *NAMES) as town:
        town.up()
        town.study("alba", strategy=strategy, steps=3)
        until("all are done and know the same", town.settled)
        bench = town.bench("dora")
        assert bench is not None
        assert trees(bench) == simulated
        # Sites forget what they need no more, and make the same all the same; of swarm's three rounds, which three
        # sites have merged, each is the newest of its site.
        assert bool(bench.models.forgotten) == (strategy != "swarm")


@pytest.mark.process
@pytest.mark.slow
def test_an_asynchronous_study_of_real_sites_is_replayed_to_the_same_models(tmp_path: Path) -> None:
    with town_of(tmp_path, *NAMES[:3], models=100) as town:
        town.up()
        town.study("alba", strategy="latest-of-each", steps=4)
        until("all are done and know the same", town.settled)
        for name in town.names:
            town.homes.at(name, "down")
            found = town.homes.at(name, "study", "replay", "Angina", "--json").json["trainings"]
            assert [(one["step"], one["finding"]) for one in found] == [(step, "same") for step in range(1, 5)]
            merges = town.homes.at(name, "verify", "--json").json["merges"]
            assert {merge["finding"] for merge in merges if merge["site"] == name} == {"verified"}
        settings = town.homes["bert"] / "site.toml"
        settings.write_text(settings.read_text("utf-8").replace(HEART["bert"], HEART["dora"]), "utf-8")
        said = town.homes.at("bert", "study", "replay", "Angina", code=1).out
        assert "4 another model came out" in said
