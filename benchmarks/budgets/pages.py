"""The report: of a simulation of 4 sites and 6 studies, and of one of its sites' repositories."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from importlib.resources import as_file, files
from pathlib import Path
from time import perf_counter

import numpy as np

from benchmarks.table import Row
from imagiq.report import Picture
from imagiq.report.folder import read_report
from imagiq.report.page import page
from imagiq.simulation import simulate

WAYS = ("local", "fedavg", "cyclic", "incremental", "latest-of-each", "one-shot")
MOST_S, MOST_BYTES = 5.0, 3_000_000
PIXELS, SLICES = 256, 15
RUNS = 3


def measure(*, quick: bool) -> Sequence[Row]:
    """Time ``imagiq report``, a process of its own, on both; and weigh the page with slices that cannot be packed."""
    with tempfile.TemporaryDirectory() as folder, as_file(files("imagiq.simulation") / "heart.toml") as file:
        left = Path(folder) / "left"
        simulate(file, only=WAYS, folder=left)
        report = read_report(left)
        commits = len(report.commits)
        rows = [
            _timed(what, at, commits, 1 if quick else RUNS)
            for what, at in (("simulation", left), ("site", left / "cleveland"))
        ]
        rng = np.random.default_rng(0)
        slices = tuple(_slice(rng, report.sites[place % 4].name, WAYS[:2]) for place in range(SLICES))
        nbytes = len(page(replace(report, pictures=slices)).encode())
    note = f"{len(report.ways) - 1} studies, {commits} commits, {SLICES} slices of {PIXELS} pixels of noise with two drawings each."
    budget = f"{MOST_BYTES / 1e6:g} MB"
    html = Row(what="report, HTML", measured=nbytes / 1e6, unit="MB", budget=budget, most=MOST_BYTES / 1e6, note=note)
    return [*rows, html]


def _timed(what: str, at: Path, commits: int, runs: int) -> Row:
    command = [sys.executable, "-m", "imagiq", "report", str(at), "-o", str(at / "page.html")]
    took_s = []
    for _ in range(runs):
        start = perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        took_s.append(perf_counter() - start)
    note = f"{commits} commits; {(at / 'page.html').stat().st_size / 1e6:.2f} MB."
    return Row(
        what=f"report of a {what}", measured=min(took_s), unit="s", budget=f"{MOST_S:g} s", most=MOST_S, note=note
    )


def _slice(rng: np.random.Generator, site: str, ways: Sequence[str]) -> Picture:
    shape = (PIXELS, PIXELS)
    blob = np.zeros(shape, np.uint8)
    blob[60:160, 80:190] = rng.integers(0, 4, (100, 110)) * (rng.random((100, 110)) < 0.02) + 1
    return Picture(
        site=site,
        rank="best",
        ranked_by=ways[-1],
        channel="FLAIR",
        image=rng.integers(0, 256, shape).astype(np.uint8),
        truth=blob,
        drawn={way: np.roll(blob, 3 * place, axis=0) for place, way in enumerate(ways)},
        scores=dict.fromkeys(ways, 0.5),
        labels={"core": 1, "oedema": 2, "rim": 3},
    )
