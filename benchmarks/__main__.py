"""Measures the budgets, each beside its limit line: ``python -m benchmarks``, or ``make bench``.

Each benchmark runs in a process of its own, so that its memory is its own. A missed budget is shown as missed; the exit
code tells of it only with ``--strict``.
"""

from __future__ import annotations

import argparse
import importlib
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

from benchmarks.table import Row, missed, table

ROOT = Path(__file__).parents[1]


class Benchmark(NamedTuple):
    """A benchmark: its module has a function ``measure(*, quick: bool) -> Sequence[Row]``."""

    module: str
    what: str


BENCHMARKS = {
    "startup": Benchmark("benchmarks.budgets.startup", "import imagiq, imagiq --help"),
    "install": Benchmark("benchmarks.budgets.install", "dependencies and size of the core (needs a package index)"),
    "commit": Benchmark("benchmarks.budgets.commit", "a model of 200 MB into a repository"),
    "merge": Benchmark("benchmarks.budgets.merge", "4 and 16 models of 200 MB"),
    "decide": Benchmark("benchmarks.budgets.decide", "a decision of each strategy over 100,000 commits"),
    "history": Benchmark("benchmarks.budgets.history", "log, sync and opening with 100,000 signed commits"),
    "sites": Benchmark("benchmarks.budgets.sites", "200 simulated sites"),
    "round": Benchmark("benchmarks.budgets.rounds", "a simulated round beside the learner"),
    "training": Benchmark("benchmarks.budgets.training", "a step, a round and an idle site with networks"),
    "report": Benchmark("benchmarks.budgets.pages", "the report of 4 sites and 6 studies"),
    "exchange": Benchmark("benchmarks.budgets.exchange", "sealing; https, bucket and folder beside what carries them"),
    "processes": Benchmark("benchmarks.budgets.processes", "a round of four real sites; how soon they notice commits"),
    "spread": Benchmark("benchmarks.budgets.spread", "a model of 200 MB from its author to four receivers"),
    "catch-up": Benchmark("benchmarks.budgets.catch_up", "a site that lacks 1,000 commits and 100 MB, over https"),
    "idle": Benchmark("benchmarks.budgets.idle", "a site that is up and has nothing to do"),
    "tests": Benchmark("benchmarks.budgets.core_tests", "the core tests"),
    "heart": Benchmark("benchmarks.budgets.heart", "FLamby's Heart-Disease protocol through imagiq"),
}


def main() -> int:
    """Run the chosen benchmarks and print their table."""
    given = _parse()
    if given.here:
        rows = _measure(given.here, quick=given.quick)
        print(json.dumps([asdict(row) for row in rows]))
        return 0
    rows, crashed = [], []
    for name in given.only or BENCHMARKS:
        start = perf_counter()
        found = _run(name, quick=given.quick)
        took_s = perf_counter() - start
        if found is None:
            crashed.append(name)
        else:
            rows += found
        print(f"{name}: {'crashed after ' if found is None else ''}{took_s:.0f} s", file=sys.stderr)
    short = missed(rows)
    if given.json:
        print(json.dumps([asdict(row) | {"ratio": row.ratio, "met": row.met} for row in rows], indent=2))
    else:
        print(table(rows))
        print(f"\n{len(rows)} rows, {len(short)} missed or not measured; crashed: {', '.join(crashed) or 'none'}.")
    return 1 if crashed or (given.strict and short) else 0


def _parse() -> argparse.Namespace:
    names = "\n".join(f"  {name:10}{benchmark.what}" for name, benchmark in BENCHMARKS.items())
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure the budgets, each beside its limit line.",
        epilog=f"benchmarks:\n{names}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", action="append", choices=BENCHMARKS, help="run this one; may be repeated")
    parser.add_argument("--quick", action="store_true", help="small sizes: shows that all runs, not how fast")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--strict", action="store_true", help="exit with 1 if a budget is missed or not measured")
    parser.add_argument("--here", choices=BENCHMARKS, help=argparse.SUPPRESS)
    return parser.parse_args()


def _measure(name: str, *, quick: bool) -> Sequence[Row]:
    rows: Sequence[Row] = importlib.import_module(BENCHMARKS[name].module).measure(quick=quick)
    return rows


def _run(name: str, *, quick: bool) -> list[Row] | None:
    """Run one benchmark in a process of its own; None if it crashed, which stderr tells about."""
    command = [sys.executable, "-m", "benchmarks", "--here", name, *(["--quick"] if quick else [])]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, cwd=ROOT)
    if done.returncode != 0:
        return None
    return [Row(**fields) for fields in json.loads(done.stdout.splitlines()[-1])]


if __name__ == "__main__":
    sys.exit(main())
