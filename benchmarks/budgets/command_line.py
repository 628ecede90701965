"""The command line as a process of its own: what a user starts."""

from __future__ import annotations

import importlib.util
import sys

__all__ = ["NOT_THERE", "command", "is_there"]

NOT_THERE = "There is no command line."


def is_there() -> bool:
    """Tell whether this imagiq has a command line."""
    spec = importlib.util.find_spec("imagiq.cli")
    return spec is not None and spec.origin is not None


def command(*arguments: str) -> list[str]:
    """Return how ``imagiq`` is started with this interpreter."""
    return [sys.executable, "-c", "import sys; from imagiq.cli import main; sys.exit(main())", *arguments]
