"""Printing: text that cannot do harm, numbers, columns, colours, JSON documents, progress."""

from __future__ import annotations

import json
import math
import os
import shutil
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Final

import click

__all__ = [
    "JSON_VERSION",
    "as_document",
    "as_json",
    "columns",
    "escaped",
    "is_terminal",
    "listed",
    "measured",
    "metrics_as_json",
    "number",
    "painted",
    "passing",
    "progress",
    "rounded",
    "say",
    "width",
]

JSON_VERSION: Final = 1
SHOWN_METRICS: Final = 3
_ESCAPED: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def escaped(text: str) -> str:
    """Return text of others so that it cannot steer a terminal: controls, direction marks and the like by number."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(f"\\u{ord(c):04x}" if unicodedata.category(c) in _ESCAPED else c for c in text)


def is_terminal() -> bool:
    """Tell whether people look at the output."""
    return sys.stdout.isatty()


def _has_colours() -> bool:
    return is_terminal() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def width() -> int:
    """Return how many characters fit into a line: the terminal's, else 100."""
    return max(40, shutil.get_terminal_size((100, 24)).columns) if is_terminal() else 100


def painted(text: str, colour: str | None = None, *, bold: bool = False, dim: bool = False) -> str:
    """Return text in a colour, where there are colours."""
    if not _has_colours() or not text.strip():
        return text
    return click.style(text, fg=colour, bold=bold or None, dim=dim or None)


def say(line: str = "") -> None:
    """Print a line."""
    click.echo(line, color=_has_colours())


def columns(rows: Sequence[Sequence[str]], *, indent: str = "") -> list[str]:
    """Return rows as lines, with columns of equal width."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)] if rows else []
    return [(indent + "  ".join(map(str.ljust, row, widths))).rstrip() for row in rows]


def number(value: str | int) -> float | int:
    """Return a recorded number."""
    return value if isinstance(value, int) else float(value)


def rounded(value: float) -> str:
    """Return a number as people read it."""
    return str(value) if isinstance(value, int) else f"{value:.4g}"


def measured(metrics: Mapping[str, str | int], *, limit: int | None = SHOWN_METRICS) -> str:
    """Return metrics in a few words."""
    shown = list(metrics.items())[:limit]
    return ", ".join(f"{escaped(name[:40])} {rounded(number(value))}" for name, value in shown)


def metrics_as_json(metrics: Mapping[str, str | int]) -> dict[str, float | int]:
    """Return metrics as JSON numbers."""
    return {name: number(value) for name, value in metrics.items()}


def as_json(value: object) -> object:
    """Return a value as JSON can hold it. A number that is NaN or infinite is a text: "nan", "inf", "-inf"."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: as_json(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): as_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [as_json(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def as_document(content: Mapping[str, object]) -> str:
    """Return the one JSON document of a command; docs/json.md describes it."""
    return json.dumps({"version": JSON_VERSION, **{key: as_json(item) for key, item in content.items()}}, indent=2)


def progress(what: str, done: int, of: int) -> None:
    """Show on a terminal how far something is; nothing elsewhere."""
    if done % max(1, of // 100) == 0:
        passing(f"{what}: {done} of {of}" if done < of else "")


def passing(line: str) -> None:
    """Show a line on a terminal that the next one takes the place of, empty: none; nothing elsewhere."""
    if sys.stderr.isatty():
        fits = max(40, shutil.get_terminal_size((100, 24)).columns) - 1
        click.echo(f"\r{line[:fits]:<{fits}}\r", err=True, nl=False)


def listed(names: Iterable[str], *, limit: int = 10) -> str:
    """Return names in one line, not all of too many."""
    every = list(names)
    more = f" and {len(every) - limit} more" if len(every) > limit else ""
    return ", ".join(map(escaped, every[:limit])) + more
