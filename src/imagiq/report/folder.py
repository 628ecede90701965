"""Of which folder a report can be made: one that a simulation left, or a repository."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from imagiq.bench.place import find
from imagiq.errors import NotFound
from imagiq.report.repository import report_of_repository
from imagiq.report.values import Report
from imagiq.report.written import parse_report
from imagiq.store.owned import reading

__all__ = ["OUTCOME", "PAGE", "read_report"]

OUTCOME: Final = "outcome.json"
"""What a simulation leaves in its folder for a report."""
PAGE: Final = "report.html"
JOURNAL: Final = "journal.jsonl"


def read_report(folder: Path) -> Report:
    """Return the report of the simulation that left a folder, or of the repository that it is or lies in.

    Raises:
        NotFound: there is neither, or the simulation never finished.
        Corrupt: what the simulation or the repository left is damaged.
        Unreachable: it cannot be read.
    """
    if not folder.is_dir():
        raise NotFound("folder-missing", f"There is no folder {folder}.", "Check the name after -C.")
    written = folder / OUTCOME
    with reading(written):
        if written.is_file():
            return parse_report(written.read_bytes())
    if (folder / JOURNAL).is_file():
        raise NotFound(
            "report-unfinished",
            f"The simulation that left {folder} never finished, or an older imagiq ran it: {OUTCOME} is missing.",
            "Run it again; or make the report of one of its sites, whose folders are there.",
        )
    return report_of_repository(find(folder))
