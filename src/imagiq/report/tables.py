"""Every number of a report as tables, for CSV files and beneath the figures."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any

from imagiq.bench.as_html import table
from imagiq.report.values import Commit, Point, Report, Score, Site, Way, Work

__all__ = ["Table", "csv_of", "tables_of"]

MOST_ROWS = 100
"""A notebook shows so many rows."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of numbers.

    Attributes:
        name: What its file is called, without ``.csv``.
        columns: Names of the columns.
        rows: One cell for each column; None: empty.
    """

    name: str
    columns: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]

    def _repr_html_(self) -> str:
        """Return the table as a notebook shows it."""
        left_out = len(self.rows) - MOST_ROWS
        more = f"and {left_out} more rows" if left_out > 0 else ""
        return table(self.name, self.columns, self.rows[:MOST_ROWS], more=more)


def tables_of(report: Report) -> tuple[Table, ...]:
    """Return every number of a report: what the JSON holds, in the same order and under the same names."""
    names = sorted({name for commit in report.commits for name in commit.metrics})
    return (
        _table("sites", Site, report.sites),
        _table("ways", Way, report.ways, but=("recipe", "trouble")),
        _table("scores", Score, report.scores),
        _table("points", Point, report.points),
        _table("work", Work, report.work),
        _commits(report.commits, names),
        _pictures(report),
    )


def _table(name: str, kind: Any, values: Sequence[object], *, but: Iterable[str] = ()) -> Table:  # noqa: ANN401 - a class
    columns = tuple(each.name for each in fields(kind) if each.name not in but)
    rows = tuple(tuple(getattr(value, column) for column in columns) for value in values)
    return Table(name=name, columns=columns, rows=rows)


def _commits(commits: Sequence[Commit], names: Sequence[str]) -> Table:
    plain = _table("commits", Commit, commits, but=("parents", "metrics"))
    return Table(
        name="commits",
        columns=(*plain.columns, "parents", *names),
        rows=tuple(
            (*row, " ".join(commit.parents), *(commit.metrics.get(name) for name in names))
            for row, commit in zip(plain.rows, commits, strict=True)
        ),
    )


def _pictures(report: Report) -> Table:
    return Table(
        name="pictures",
        columns=("site", "rank", "ranked_by", "channel", "way", "score"),
        rows=tuple(
            (picture.site, picture.rank, picture.ranked_by, picture.channel, way, score)
            for picture in report.pictures
            for way, score in picture.scores.items()
        ),
    )


def csv_of(table: Table) -> str:
    """Return a table as CSV (RFC 4180). Text that a spreadsheet would take for a formula begins with an apostrophe."""
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow([_cell(column) for column in table.columns])
    writer.writerows([_cell(cell) for cell in row] for row in table.rows)
    return file.getvalue()


def _cell(value: object) -> object:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return f"'{value}"
    return value
