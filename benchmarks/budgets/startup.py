"""How long it takes until imagiq is there, over a bare interpreter."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence

from benchmarks.budgets import command_line
from benchmarks.table import Row
from benchmarks.timing import alternately

IMPORT_MS, HELP_MS = 50, 300


def measure(*, quick: bool) -> Sequence[Row]:
    """Measure fresh processes, in turns."""
    commands = [_running([sys.executable, "-c", code]) for code in ("pass", "import imagiq")]
    if command_line.is_there():
        commands.append(_running(command_line.command("--help")))
    bare, imported, *helped = (1000 * found for found in alternately(*commands, repeats=3 if quick else 15))
    return [
        _row("import imagiq", imported, bare, IMPORT_MS),
        _row("imagiq --help", helped[0] if helped else None, bare, HELP_MS),
    ]


def _running(command: Sequence[str]) -> Callable[[], object]:
    return lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def _row(what: str, measured: float | None, bare: float, over: float) -> Row:
    return Row(
        what=what,
        measured=measured,
        unit="ms",
        line="bare interpreter",
        limit=bare,
        budget=f"line + {over} ms",
        most=bare + over,
        note="" if measured is not None else command_line.NOT_THERE,
    )
