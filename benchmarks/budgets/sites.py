"""200 simulated sites in one process, each merging the newest of 8 drawn sites."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from time import process_time

from benchmarks.budgets.cases import FEATURES, cases_of
from benchmarks.table import Row
from benchmarks.timing import resident_bytes, seconds
from imagiq.federation import Finished, Named
from imagiq.learning.logistic import Logistic
from imagiq.objects import JSON
from imagiq.simulation import Network, Scenario, SimulatedSite, SimulatedStudy, World
from imagiq.strategies import BUILT_IN

STEPS, PEERS = 10, 8
LEARNER: Mapping[str, JSON] = {"features": FEATURES, "learning_rate": "0.1", "batch": 16}
LOGISTIC = Logistic(features=FEATURES, learning_rate="0.1", batch=16)


def world_of(sites: int) -> World:
    """Return the world, founded and not yet run."""
    names = [f"site-{number:03}" for number in range(sites)]
    strategy = Named("latest-of-each", 1, {"peers": PEERS})
    scenario = Scenario(
        title="many sites",
        seed=1,
        sites=tuple(SimulatedSite(name=name, speed=1.0 + number % 7 / 10) for number, name in enumerate(names)),
        studies=(SimulatedStudy(title="latest", strategy=strategy, steps=STEPS, updates=20),),
        task=Named("logistic", 1, LEARNER),
        network=Network(neighbours=PEERS),
    )
    return World(scenario, cases_of(names), learner_of=lambda _: LOGISTIC, strategies=BUILT_IN)


def measure(*, quick: bool) -> Sequence[Row]:
    """Run the world once."""
    sites = 20 if quick else 200
    before = resident_bytes()
    worlds: list[World] = []
    founding_s = seconds(lambda: worlds.append(world_of(sites)))
    (world,) = worlds
    cpu_s = process_time()
    running_s = seconds(world.run)
    cpu_s = process_time() - cpu_s
    grown_mib = (resident_bytes() - before) / sites / 2**20
    actions = [action for name in world.names for action in world.site(name).actions().values()]
    assert all(isinstance(action, Finished) for action in actions)
    assert len(actions) == sites
    assert len({frozenset(entry.digest for entry in world.bench(name).history) for name in world.names}) == 1
    commits = len(world.bench(world.names[0]).history)
    what = f"{sites} simulated sites, {STEPS} steps, {PEERS} peers"
    return [
        Row(what=f"{what}: run", measured=running_s, unit="s",
            note=f"All finished with one history of {commits:,} commits; {len(world.journal):,} events. "
            f"Founding took {founding_s:.1f} s. Running took {cpu_s:.0f} s of one processor."),
        Row(what=f"{what}: memory of a site", measured=grown_mib, unit="MiB"),
    ]  # fmt: skip
