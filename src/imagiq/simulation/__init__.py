"""The simulation: many real sites, a virtual clock, faults, on one machine."""

from imagiq.simulation.founding import SiteCases
from imagiq.simulation.journal import Event, Journal, read_journal
from imagiq.simulation.network import Mishap
from imagiq.simulation.scenario import Crash, Network, Partition, Scenario, SimulatedSite, SimulatedStudy
from imagiq.simulation.world import Happening, World

__all__ = [
    "Crash",
    "Event",
    "Happening",
    "Journal",
    "Mishap",
    "Network",
    "Partition",
    "Scenario",
    "SimulatedSite",
    "SimulatedStudy",
    "SiteCases",
    "World",
    "read_journal",
]
