"""The benchmarks run: the quick ones here, so that none breaks unseen."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.table import Row, missed, table

ROOT = Path(__file__).parents[2]
QUICK = ("startup", "install", "decide", "round", "sites", "idle", "processes", "spread", "catch-up")


@pytest.mark.slow
@pytest.mark.parametrize("name", QUICK)
def test_a_benchmark_prints_numbers(name: str) -> None:
    command = [sys.executable, "-m", "benchmarks", "--only", name, "--quick", "--json"]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    rows = json.loads(done.stdout)
    assert rows
    assert all(row["measured"] is None or row["measured"] >= 0 for row in rows)


def test_a_missed_budget_is_shown_as_missed_and_an_unmeasured_one_counts_as_missed() -> None:
    kept = Row(what="kept", measured=1.0, unit="s", line="line", limit=0.8, budget="1.5 x line", most=1.2)
    broken = Row(what="broken", measured=2.0, unit="s", line="line", limit=0.8, budget="1.5 x line", most=1.2)
    absent = Row(what="absent", measured=None, unit="s", budget="1 s", most=1.0)
    reported = Row(what="reported", measured=3.0, unit="s")
    shown = table([kept, broken, absent, reported]).splitlines()
    assert [line.split()[-1] for line in shown[1:4]] == ["met", "MISSED", "measured"]
    assert missed([kept, broken, absent, reported]) == [broken, absent]
    assert kept.ratio == pytest.approx(1.25)
