"""kill -9 of sites that run, at random moments: no commit that a site told of is lost, and all know the same in the end."""

from __future__ import annotations

import random
import statistics
import time
from pathlib import Path

import pytest

from tests.site.processes import Town, town_of, until

NAMES = ("alba", "bert", "caro", "dora")


@pytest.mark.faults
@pytest.mark.torture
@pytest.mark.process
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("by", ["folder", "https"])
def test_sites_that_are_killed_lose_nothing_and_know_the_same_in_the_end(
    by: str, tmp_path: Path, torture: bool
) -> None:
    kills = 200 if torture else 3
    draws = random.Random(5)
    with town_of(tmp_path, *NAMES) as town:
        if by == "https":
            town.relay()
        town.up()
        town.study("alba", strategy="latest-of-each", steps=20 * kills, updates=20_000)
        until("all have begun", lambda: set(town.made("alba", "train")) == set(NAMES))
        back_s = [kill_one(town, draws) for _ in range(kills)]
        town.homes.at("alba", "study", "stop", "Angina", "--yes")
        settle_s = until("all know the same", lambda: has_ended(town), within_s=300)
        until("what was under way has ended", lambda: is_quiet(town), within_s=120)
        check(town)
        trainings = sum(map(len, town.made("alba", "train").values()))
        print(
            f"{by}: {kills} kills, {trainings} trainings, {len(town.merges('alba'))} merges, 0 commits lost; seconds until "
            f"a site was back: median {statistics.median(back_s):.1f}, longest {max(back_s):.1f}; until all knew the same "
            f"in the end: {settle_s:.1f}"
        )


def kill_one(town: Town, draws: random.Random) -> float:
    """Kill a site at a random moment, leave it down for a random while, start it; return the seconds until it was back."""
    time.sleep(draws.random() * 0.5)
    name = draws.choice(NAMES)
    town.kill(name)
    time.sleep(draws.choice([0.0, 0.0, draws.random()]))
    town.up(name)
    if draws.random() < 0.3:  # killed while it starts
        time.sleep(draws.random())
        town.kill(name)
        town.up(name)
    return town.wait_until_back(name)


def has_ended(town: Town) -> bool:
    states = [s["state"] for name in NAMES for f in town.status(name)["federations"] for s in f["studies"]]
    return states == ["ended"] * len(NAMES) and len({town.commits(name) for name in NAMES}) == 1


def is_quiet(town: Town) -> bool:
    """Tell whether nothing new comes for longer than a training takes: who trained when the study was stopped ends that."""
    before = town.commits("alba")
    time.sleep(5.0)
    return has_ended(town) and town.commits("alba") == before


def check(town: Town) -> None:
    """Check that nothing a site told of is lost, that all have the same merges, and that nothing torn is there."""
    known = {str(digest)[:12] for digest in town.commits("alba")}
    for name in NAMES:
        assert town.acknowledged(name) <= known, name
        assert town.merges(name) == town.merges("alba")
        assert town.homes.at(name, "verify", "--json").code == 0
        assert "made a mistake" not in town.log(name)
        town.homes.at(name, "down")
        assert town.homes.at(name, "fsck", "--json").code == 0
