"""How long it takes until imagiq is there, over a bare interpreter."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable, Sequence

from benchmarks.table import Row
from benchmarks.timing import alternately

IMPORT_MS, HELP_MS = 50, 300


def measure(*, quick: bool) -> Sequence[Row]:
    """Measure fresh processes, in turns."""
    commands = [_python("-c", "pass"), _python("-c", "import imagiq")]
    has_cli = importlib.util.find_spec("imagiq.cli") is not None
    if has_cli:
        commands.append(_python("-c", "import sys; from imagiq.cli import main; sys.exit(main())", "--help"))
    bare, imported, *helped = (1000 * found for found in alternately(*commands, repeats=3 if quick else 15))
    return [
        _row("import imagiq", imported, bare, IMPORT_MS),
        _row("imagiq --help", helped[0] if helped else None, bare, HELP_MS),
    ]


def _python(*arguments: str) -> Callable[[], object]:
    command = [sys.executable, *arguments]
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
        note="" if measured is not None else "There is no command line yet.",
    )
