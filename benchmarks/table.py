"""The table of the benchmarks: each row is one number beside its limit line and its budget."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

__all__ = ["Row", "missed", "table"]

TITLES = ("what", "measured", "limit line", "ratio", "budget", "")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One number.

    Attributes:
        what: What was measured.
        measured: The number; None: it could not be measured, and ``note`` says why.
        unit: Its unit.
        line: What the limit line is: what cannot be avoided, measured in the same run.
        limit: The limit line's number, in the same unit.
        budget: The budget in words.
        most: The largest number that meets the budget; None: there is none, the number is only reported.
        note: What one should know beside it.
    """

    what: str
    measured: float | None
    unit: str
    line: str = ""
    limit: float | None = None
    budget: str = ""
    most: float | None = None
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the budget is met; None: there is nothing to say."""
        return None if self.most is None or self.measured is None else self.measured <= self.most

    @property
    def ratio(self) -> float | None:
        """The number over its limit line; None without one."""
        return self.measured / self.limit if self.measured is not None and self.limit else None

    @property
    def verdict(self) -> str:
        """What the last column says."""
        if self.measured is None:
            return "not measured"
        return {None: "", True: "met", False: "MISSED"}[self.met]


def missed(rows: Iterable[Row]) -> list[Row]:
    """Return the rows whose budget is missed, or that could not be measured."""
    return [row for row in rows if row.met is False or row.measured is None]


def table(rows: Sequence[Row]) -> str:
    """Return the rows as text in columns; notes stand below their rows."""
    cells = [TITLES, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(TITLES))]
    lines = []
    for row, line in zip((None, *rows), cells, strict=True):
        padded = (
            cell.rjust(width) if column in {1, 3} else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        lines.append("  ".join(padded).rstrip())
        if row is not None and row.note:
            lines.append(f"    {row.note}")
    return "\n".join(lines)


def _cells(row: Row) -> tuple[str, ...]:
    line = row.line if row.limit is None else f"{row.line} {_number(row.limit, row.unit)}"
    ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
    measured = "" if row.measured is None else _number(row.measured, row.unit)
    return (row.what, measured, line, ratio, row.budget, row.verdict)


def _number(value: float, unit: str) -> str:
    if unit in {"s", "accuracy"}:
        return f"{value:,.3f} {unit}"
    digits = 0 if value == int(value) or abs(value) >= 1000 else 1 if abs(value) >= 1 else 2
    return f"{value:,.{digits}f} {unit}".rstrip()
