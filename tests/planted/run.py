"""Plant bugs, one at a time, and see whether the ordinary suite finds each: ``make planted``.

A planted bug is a file ``tests/planted/NN-short-name.toml``::

    file = "src/imagiq/store/folder.py"
    before = "os.fsync(handle)"     # must occur exactly once in the file
    after = "pass"
    why = "It is faster, and the file is there when one looks."
    promise = "1: nothing committed is lost"

For each, the tree is copied, the bug planted, and ``pytest -x`` run there without naming a test, until the first
failure (Hypothesis shows the examples of the ordinary suite, but does not look for the smallest that fails). A bug that no longer applies, that no test finds, or that keeps the tests from running at all, is a failure.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

__all__ = ["Bug", "Outcome", "Report", "check", "main", "read_bugs"]

ROOT = Path(__file__).parents[2]
LEAST_BUGS = 25
LEAST_BY_MACHINES = 15
LIMIT_S = 1200
MACHINES = "tests/machines/"
PROFILE = "--hypothesis-profile=planted"  # the same examples; a failure is not made smaller, which takes a minute
NOT_COPIED = {
    ".git",
    ".hypothesis",
    ".import_linter_cache",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    ".venv",
    "__pycache__",
    "brain-demo",
    "heart-demo",
}

PASSED, FAILED = 0, 1  # pytest's exit codes; all others mean that it could not run the tests


@dataclass(frozen=True, kw_only=True)
class Bug:
    """A plausible mistake in one place of the real code."""

    name: str
    file: str
    before: str
    after: str
    why: str
    promise: str


class Outcome(Enum):
    """What became of a planted bug."""

    FOUND = "found"
    SURVIVED = "SURVIVED"
    NOT_APPLYING = "DOES NOT APPLY"
    NO_VERDICT = "NO VERDICT"


@dataclass(frozen=True, kw_only=True)
class Report:
    """What became of one planted bug, by which test, and after how many seconds."""

    name: str
    outcome: Outcome
    by: str = ""
    seconds: float = 0.0

    @property
    def by_machine(self) -> bool:
        """Tell whether a state machine found it."""
        return self.outcome is Outcome.FOUND and self.by.startswith(MACHINES)

    def __str__(self) -> str:
        """Return the report's line of the table."""
        machine = "machine" if self.by_machine else ""
        return f"{self.name:36} {self.outcome.value:14} {self.seconds:6.1f} s  {machine:7}  {self.by}"


def read_bugs(folder: Path) -> tuple[Bug, ...]:
    """Return the planted bugs of a folder; a file that has other keys than :class:`Bug` raises TypeError."""
    paths = sorted(folder.glob("[0-9]*-*.toml"))
    return tuple(Bug(name=path.stem, **tomllib.loads(path.read_text("utf-8"))) for path in paths)


def planted(bug: Bug, root: Path) -> str | None:
    """Return the text of the bug's file with the bug in it; None if the bug does not apply."""
    path = root / bug.file
    text = path.read_text("utf-8") if path.is_file() else ""
    applies = text.count(bug.before) == 1 and bug.after != bug.before
    return text.replace(bug.before, bug.after) if applies else None


def check(bug: Bug, root: Path) -> Report:
    """Plant one bug in a copy of the tree and run the ordinary suite there until its first failure."""
    text = planted(bug, root)
    if text is None:
        return Report(name=bug.name, outcome=Outcome.NOT_APPLYING, by=bug.file)
    with _copy_of(root) as copy:
        (copy / bug.file).write_text(text, "utf-8")
        return _run_suite(bug.name, copy)


def check_control(root: Path) -> Report:
    """Run the ordinary suite in a copy without any bug: it must pass, or no finding means anything."""
    with _copy_of(root) as copy:
        return _run_suite("(nothing planted)", copy)


class _copy_of:  # noqa: N801 - reads as a function
    """A copy of the tree that is gone afterwards."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folder = tempfile.TemporaryDirectory(prefix="planted-", ignore_cleanup_errors=True)

    def __enter__(self) -> Path:
        return Path(shutil.copytree(self._root, Path(self._folder.name) / "tree", ignore=_not_copied, symlinks=True))

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()


def _not_copied(folder: str, names: list[str]) -> set[str]:
    # The planted bugs themselves stay behind, so that no test can find a bug by its file.
    bugs = {name for name in names if name.endswith(".toml")} if Path(folder).name == "planted" else set()
    return NOT_COPIED.intersection(names) | bugs


def _run_suite(name: str, copy: Path) -> Report:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-x",
        "-q",
        "--tb=no",
        "-p",
        "no:cacheprovider",
        "-m",
        "not faults",
        PROFILE,
    ]
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST_", "COLUMNS"))}
    environment["PYTHONPATH"] = str(copy / "src")
    start_s = time.monotonic()
    try:
        done = subprocess.run(
            command, cwd=copy, env=environment, capture_output=True, text=True, timeout=LIMIT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return Report(name=name, outcome=Outcome.NO_VERDICT, by=f"no end after {LIMIT_S} s", seconds=LIMIT_S)
    seconds = time.monotonic() - start_s
    if done.returncode == PASSED:
        return Report(name=name, outcome=Outcome.SURVIVED, seconds=seconds)
    finder = _first_failure(done.stdout)
    if done.returncode != FAILED or finder is None:
        last = (done.stdout + done.stderr).strip().splitlines()[-1:]
        return Report(name=name, outcome=Outcome.NO_VERDICT, by=" ".join(last), seconds=seconds)
    return Report(name=name, outcome=Outcome.FOUND, by=finder, seconds=seconds)


def _first_failure(output: str) -> str | None:
    # Only a test has "::" in its name: a file that cannot even be collected finds nothing.
    _, _, summary = output.rpartition("short test summary info")
    found = re.search(r"^(?:FAILED|ERROR) (.+?::.+?)(?: - .*)?$", summary, re.MULTILINE)
    return found[1] if found else None


def _problems(reports: Sequence[Report]) -> Iterator[str]:
    by_machines = sum(report.by_machine for report in reports)
    if len(reports) < LEAST_BUGS:
        yield f"{len(reports)} bugs are planted, fewer than {LEAST_BUGS}."
    if by_machines < LEAST_BY_MACHINES:
        yield f"{by_machines} bugs are found by state machines, fewer than {LEAST_BY_MACHINES}."


def main(arguments: Sequence[str] | None = None) -> int:
    """Check all planted bugs, or those that are named; return 0 if all is well."""
    parser = argparse.ArgumentParser(description="Plant bugs and see whether the ordinary suite finds them.")
    parser.add_argument("--only", action="append", metavar="NAME", help="only this bug (again for more)")
    parser.add_argument("--jobs", type=int, default=2, help="how many at a time (default: 2)")
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    bugs = read_bugs(options.root / "tests" / "planted")
    if options.only:
        unknown = set(options.only) - {bug.name for bug in bugs}
        if unknown:
            parser.error(f"no such bug: {', '.join(sorted(unknown))}")
        bugs = tuple(bug for bug in bugs if bug.name in options.only)

    with ThreadPoolExecutor(options.jobs) as pool:
        control = pool.submit(check_control, options.root)
        reports = []
        for report in pool.map(lambda bug: check(bug, options.root), bugs):
            print(report, flush=True)
            reports.append(report)
    problems = [str(report) for report in reports if report.outcome is not Outcome.FOUND]
    if control.result().outcome is not Outcome.SURVIVED:
        problems.append(f"Without any bug the suite must pass, but: {control.result()}")
    if not options.only:
        problems.extend(_problems(reports))

    print(f"\n{len(reports)} planted, {sum(report.by_machine for report in reports)} found by state machines.")
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
