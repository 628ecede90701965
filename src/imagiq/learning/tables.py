"""Tables of cases, read from a CSV file in which one column names the site."""

from __future__ import annotations

import csv
import difflib
import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from imagiq.errors import ContractBroken, Misuse, NotFound, Unreachable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["SiteTable", "Table", "read_table", "split_cases", "standardised"]

_GAPS: Final = frozenset({"", "?", "NA", "NaN", "nan"})
_FEW: Final = 2
_FARTHEST: Final = 1e9
"""So many standard deviations from the mean is no value that a hospital measures."""

_Indices: TypeAlias = "tuple[NDArray[np.int64], NDArray[np.int64]]"


@dataclass(frozen=True, kw_only=True, eq=False)
class Table:
    """Cases with their features and classes.

    Attributes:
        x: Features, float64 [cases, features].
        y: Classes 0 or 1, int8 [cases].
    """

    x: NDArray[np.float64]
    y: NDArray[np.int8]

    def __len__(self) -> int:
        """Return the number of cases."""
        return len(self.y)


@dataclass(frozen=True, kw_only=True, eq=False)
class SiteTable:
    """One site's cases, standardised by its own training cases.

    Attributes:
        name: The site, as the table calls it.
        columns: What each feature is: a column's name, or ``column=level``.
        train: Training cases.
        test: Test cases, kept back from training and from standardising.
        dropped: Number of rows left out because of a gap.
        warnings: What may make results at this site worthless, one sentence each.
    """

    name: str
    columns: tuple[str, ...]
    train: Table
    test: Table
    dropped: int
    warnings: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class _Row:
    """One row as text; ``line`` counts from 1, the header's."""

    line: int
    cells: Mapping[str, str]


def read_table(
    path: Path,
    *,
    site: str,
    label: str,
    features: Sequence[str],
    categorical: Sequence[str] = (),
    positive: str | None = None,
    train_fraction: float = 0.66,
    seed: int = 0,
    split: Path | None = None,
) -> tuple[SiteTable, ...]:
    """Read the cases of all sites.

    Rows with a gap (an empty cell, ``?``, ``NA``, ``NaN``) in a used column are left out and counted. A categorical
    column becomes one feature for each of its levels but the first, after the columns of numbers; the levels are those
    of all sites' rows without gaps. Each site is standardised to mean 0 and standard deviation 1 of its own training
    cases; what is constant there becomes 0.

    Args:
        path: CSV file, UTF-8, with a header.
        site: Column that names the site.
        label: Column of the class.
        features: Columns to learn from.
        categorical: Those features that name a category.
        positive: Content of the label column that means class 1, anything else means 0. By default it holds 0 and 1.
        train_fraction: Part of each site's cases to train on, between 0 and 1.
        seed: Public seed of the split.
        split: JSON file ``{site: {"train": [...], "test": [...]}}`` instead of a drawn split; the indices count the
            site's rows without gaps from 0, in the table's order.

    Returns:
        The sites, in the order of their first rows.

    Raises:
        NotFound: No such file.
        Unreachable: The file cannot be read.
        ContractBroken: The file lacks columns or rows, or holds a cell that is not a number; or the split does not fit.
        Misuse: The columns' roles contradict each other, ``train_fraction`` is not between 0 and 1, or the seed is negative.
    """
    _check_roles(site, label, features, categorical)
    if seed < 0:
        raise Misuse("split-seed", f"A split cannot be drawn from the seed {seed}.", "Choose a seed of 0 or more.")
    if not 0.0 < train_fraction < 1.0:
        raise Misuse("table-fraction", "The part to train on is not between 0 and 1.", "Choose one such as 0.66.")
    groups = _by_site(_read_rows(path, (site, label, *features)), site)
    kept = {name: [row for row in group if _is_whole(row)] for name, group in groups.items()}
    numbers = [name for name in features if name not in categorical]
    levels = {name: _levels(row.cells[name] for group in kept.values() for row in group) for name in categorical}
    columns = (*numbers, *(f"{name}={level}" for name in categorical for level in levels[name][1:]))
    given = None if split is None else _read_split(split)
    sites = []
    for name, group in kept.items():
        if not group:
            raise ContractBroken(
                "table-site-empty", f"Every row of the site {name!r} has a gap.", "Use fewer columns, or leave it out."
            )
        x, y = _features(group, numbers, levels), _classes(group, label, positive)
        if given is None:
            parts = split_cases(y, train_fraction=train_fraction, seed=seed)
        else:
            parts = _given_split(given, name, len(y))
        train, test = standardised(*(Table(x=x[part], y=y[part]) for part in parts))
        dropped, warnings = len(groups[name]) - len(group), _warnings(train, test)
        sites.append(SiteTable(name=name, columns=columns, train=train, test=test, dropped=dropped, warnings=warnings))
    return tuple(sites)


def split_cases(y: NDArray[np.int8], *, train_fraction: float, seed: int) -> _Indices:
    """Draw training and test cases.

    Where each class has more than two cases, the classes keep their shares in both parts. One case is a training case.

    Args:
        y: Classes, [cases].
        train_fraction: Part to train on; its number of cases is rounded down, but is at least 1.
        seed: Public seed.

    Returns:
        Indices of the training and of the test cases, each in ascending order.
    """
    wanted = max(1, math.floor(train_fraction * len(y)))
    order = np.argsort(np.random.PCG64(seed).random_raw(len(y)), kind="stable")
    classes = np.unique(y)
    strata = [order[y[order] == value] for value in classes]
    if len(strata) == 1 or min(len(stratum) for stratum in strata) <= _FEW:
        strata = [order]
    shares = [wanted * len(stratum) / len(y) for stratum in strata]
    counts = [math.floor(share) for share in shares]
    largest_rest_first = sorted(range(len(strata)), key=lambda index: counts[index] - shares[index])
    for index in largest_rest_first[: wanted - sum(counts)]:
        counts[index] += 1
    train = np.concatenate([stratum[:count] for stratum, count in zip(strata, counts, strict=True)])
    test = np.concatenate([stratum[count:] for stratum, count in zip(strata, counts, strict=True)])
    return np.sort(train), np.sort(test)


def standardised(train: Table, test: Table) -> tuple[Table, Table]:
    """Shift and scale features so that the training cases have mean 0 and standard deviation 1.

    Args:
        train: At least one case.
        test: Any number of cases, scaled as the training cases are.

    Returns:
        Both tables; a feature that is constant in training is 0 in both.

    Raises:
        ContractBroken: numbers are so large, or lie so close together, that their deviation cannot be computed.
    """
    with np.errstate(all="ignore"):
        mean = np.add.reduce(train.x, axis=0) / len(train)
        constant = train.x.max(axis=0) == train.x.min(axis=0)
        variance = np.add.reduce((train.x - mean) ** 2, axis=0) / max(1, len(train) - 1)
        deviation = np.where(constant, 1.0, np.sqrt(variance))
        scaled = [np.where(constant, 0.0, (table.x - mean) / deviation) for table in (train, test)]
    is_sound = constant | (np.isfinite(variance) & (variance >= np.finfo(np.float64).tiny))
    is_sound &= np.all([np.all(np.abs(part) <= _FARTHEST, axis=0) for part in scaled], axis=0)
    if not is_sound.all():
        raise ContractBroken(
            "table-range",
            f"The numbers of feature {int(np.argmin(is_sound)) + 1} lie too far apart, or too close together, to be compared.",
            "Look for a cell that is wrong, or give them in another unit.",
        )
    return Table(x=scaled[0], y=train.y), Table(x=scaled[1], y=test.y)


def _check_roles(site: str, label: str, features: Sequence[str], categorical: Sequence[str]) -> None:
    roles = [site, label, *features]
    twice = sorted({name for name in roles if roles.count(name) > 1})
    stray = sorted(set(categorical) - set(features))
    if twice or stray or not features:
        what = f"{', '.join(map(repr, twice or stray)) or 'No column'} "
        what += "has more than one role." if twice else "is categorical but no feature." if stray else "is a feature."
        raise Misuse("table-roles", what, "Name one site, one label and one or more features, each column once.")


def _read_rows(path: Path, used: Sequence[str]) -> list[_Row]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, strict=True)
            header = [name.strip() for name in next(reader, [])]
            _check_header(path, header, used)
            rows = []
            for cells in reader:
                if not any(cell.strip() for cell in cells):
                    continue  # spreadsheets leave lines of nothing but commas
                if len(cells) != len(header):
                    raise ContractBroken(
                        "table-row-length",
                        f"Line {reader.line_num} of {path.name} has {len(cells)} cells, the header has {len(header)}.",
                        "Correct the line.",
                    )
                found = dict(zip(header, cells, strict=True))
                rows.append(_Row(line=reader.line_num, cells={name: found[name].strip() for name in used}))
    except FileNotFoundError as error:
        raise _missing(path) from error
    except OSError as error:
        raise _unreadable(path, error) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise ContractBroken(
            "table-format", f"{path.name} is not a CSV file in UTF-8.", "Save it as CSV with commas, in UTF-8."
        ) from error
    if not rows:
        raise ContractBroken("table-empty", f"{path.name} has no rows.", "Add one row for each case.")
    return rows


def _missing(path: Path) -> NotFound:
    return NotFound("table-missing", f"There is no file {path}.", "Check its name and folder.")


def _unreadable(path: Path, error: OSError) -> Unreachable:
    return Unreachable("table-unreadable", f"{path} cannot be read: {error.strerror}.", "Check its kind and rights.")


def _check_header(path: Path, header: Sequence[str], used: Sequence[str]) -> None:
    missing = [name for name in used if header.count(name) != 1]
    if not missing:
        return
    close = [match for name in missing for match in difflib.get_close_matches(name, header, n=1)]
    advice = f"Did you mean {', '.join(map(repr, close))}?" if close else f"It has: {', '.join(header) or 'none'}."
    raise ContractBroken(
        "table-columns", f"{path.name} does not have exactly one column called {', '.join(map(repr, missing))}.", advice
    )


def _by_site(rows: Sequence[_Row], site: str) -> dict[str, list[_Row]]:
    groups: dict[str, list[_Row]] = {}
    for row in rows:
        name = row.cells[site]
        if name in _GAPS:
            raise ContractBroken("table-site", f"Line {row.line} names no site.", f"Fill its column {site!r}.")
        groups.setdefault(name, []).append(row)
    return groups


def _is_whole(row: _Row) -> bool:
    return _GAPS.isdisjoint(row.cells.values())


def _level(cell: str) -> str:
    """Return a category's name; ``1`` and ``1.0`` are the same."""
    try:
        number = float(cell)
    except ValueError:
        return cell
    return f"{number:.15g}"


def _levels(cells: Iterable[str]) -> tuple[str, ...]:
    names = {_level(cell) for cell in cells}
    try:
        return tuple(sorted(names, key=float))
    except ValueError:
        return tuple(sorted(names))


def _parsed(cell: str) -> float:
    """Return a cell's number; NaN: it holds none."""
    try:
        return float(cell)
    except ValueError:
        return math.nan


def _number(row: _Row, column: str) -> float:
    number = _parsed(row.cells[column])
    if not math.isfinite(number):
        # The value itself may be about a patient, so it stays out of the message.
        raise ContractBroken(
            "table-cell",
            f"Line {row.line}, column {column!r}: the cell is not a number.",
            "Correct it, leave it empty, or make the column categorical.",
        )
    return number


def _features(rows: Sequence[_Row], numbers: Sequence[str], levels: Mapping[str, Sequence[str]]) -> NDArray[np.float64]:
    return np.array(
        [
            [_number(row, name) for name in numbers]
            + [float(_level(row.cells[name]) == level) for name, known in levels.items() for level in known[1:]]
            for row in rows
        ],
        dtype=np.float64,
    )


def _classes(rows: Sequence[_Row], label: str, positive: str | None) -> NDArray[np.int8]:
    if positive is not None:
        return np.array([_level(row.cells[label]) == _level(positive) for row in rows], dtype=np.int8)
    numbers = [_parsed(row.cells[label]) for row in rows]
    for row, number in zip(rows, numbers, strict=True):
        if number not in (0.0, 1.0):
            raise ContractBroken(
                "table-label",
                f"Line {row.line}, column {label!r}: the class is neither 0 nor 1.",
                'Say which content of the column is positive: positive = "...".',
            )
    return np.array(numbers, dtype=np.int8)


def _read_split(path: Path) -> Mapping[str, object]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise _missing(path) from error
    except OSError as error:
        raise _unreadable(path, error) from error
    except (ValueError, RecursionError) as error:
        raise ContractBroken("split-format", f"{path.name} is not JSON.", "Write it anew.") from error
    if not isinstance(content, dict):
        raise ContractBroken("split-format", f"{path.name} does not map sites to indices.", "Write it anew.")
    return content


def _given_split(given: Mapping[str, object], name: str, cases: int) -> _Indices:
    parts = given.get(name)
    lists = [parts.get("train"), parts.get("test")] if isinstance(parts, dict) else []
    indices = [index for part in lists if isinstance(part, list) for index in part]
    whole_numbers = all(type(index) is int and 0 <= index < cases for index in indices)
    if not lists or not lists[0] or None in lists or not whole_numbers or len(set(indices)) != len(indices):
        raise ContractBroken(
            "split-indices",
            f"The split of the site {name!r} does not fit its {cases} cases without gaps.",
            "Give 'train' and 'test' different indices that count these cases from 0, and at least one to train on.",
        )
    train, test = (np.array(part, dtype=np.int64) for part in lists)
    return train, test


def _warnings(train: Table, test: Table) -> tuple[str, ...]:
    found = []
    for part, name in ((train, "training"), (test, "test")):
        if len(part) <= 1:
            found.append(f"There {'is one' if len(part) else 'are no'} {name} case{'' if len(part) else 's'}.")
        elif len(np.unique(part.y)) == 1:
            found.append(f"All {name} cases are of one class.")
    return tuple(found)
