"""What the tests of faults share: the marker, and the learner that takes its time."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PLUGIN = HERE / "plugin"

sys.path.insert(0, str(PLUGIN))  # commands that run in this process find the learner, as the sites' processes do


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all that is here: `make faults` runs it, the ordinary suite does not."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker("faults")
            item.add_marker("process")
