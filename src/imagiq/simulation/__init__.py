"""The simulation: many real sites, a virtual clock, faults, on one machine."""

from imagiq.simulation.course import Checkpoint, Course, Made, Worked
from imagiq.simulation.files import read_scenario
from imagiq.simulation.happening import Happening
from imagiq.simulation.journal import Event, Journal, read_journal
from imagiq.simulation.network import Mishap
from imagiq.simulation.outcome import POOLED, Abroad, Hospital, Measures, Outcome, SiteResult, Way
from imagiq.simulation.reporting import report_of
from imagiq.simulation.repository import SitesFolder
from imagiq.simulation.running import replay, simulate
from imagiq.simulation.scenario import Crash, Network, Partition, Scenario, SimulatedSite, SimulatedStudy
from imagiq.simulation.world import World
from imagiq.site.sources import SiteCases

__all__ = [
    "POOLED",
    "Abroad",
    "Checkpoint",
    "Course",
    "Crash",
    "Event",
    "Happening",
    "Hospital",
    "Journal",
    "Made",
    "Measures",
    "Mishap",
    "Network",
    "Outcome",
    "Partition",
    "Scenario",
    "SimulatedSite",
    "SimulatedStudy",
    "SiteCases",
    "SiteResult",
    "SitesFolder",
    "Way",
    "Worked",
    "World",
    "read_journal",
    "read_scenario",
    "replay",
    "report_of",
    "simulate",
]
