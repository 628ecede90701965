"""The simulation: many real sites, a virtual clock, faults, on one machine."""

from imagiq.simulation.scenario import Crash, Network, Partition, Scenario, SimulatedSite, SimulatedStudy
from imagiq.simulation.world import Event, SiteCases, World

__all__ = [
    "Crash",
    "Event",
    "Network",
    "Partition",
    "Scenario",
    "SimulatedSite",
    "SimulatedStudy",
    "SiteCases",
    "World",
]
