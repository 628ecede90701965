"""Tables of a TOML file, read strictly: every value is asked for by name and kind, and what nobody asked for is an error."""

from __future__ import annotations

import difflib
import math
import sys
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final

from imagiq.errors import ImagiqError, Misuse
from imagiq.objects import JSON, decimal
from imagiq.store.owned import reading

__all__ = ["Table", "explaining", "read_toml", "suggestion"]

_LIMIT: Final = 2**22
_KINDS: Final[Mapping[str, str]] = {"str": "text", "bool": "true or false", "list": "a list", "dict": "a table"}


def read_toml(path: Path) -> Table:
    """Read a TOML file.

    Raises:
        NotFound: there is no such file.
        Unreachable: it cannot be read.
        Misuse: it is not TOML.
    """
    try:
        with reading(path), path.open("rb") as stream:
            raw = stream.read(_LIMIT + 1)
        if len(raw) > _LIMIT:
            raise Misuse("file-toml", f"{path} is not TOML: it has more than {_LIMIT} bytes.", "Correct it there.")
        return Table(path, "", tomllib.loads(raw.decode("utf-8").replace("\r\n", "\n")))
    except RecursionError as error:
        raise Misuse("file-toml", f"{path} is not TOML: it is nested too deeply.", "Correct it there.") from error
    except ValueError as error:  # no TOML, no UTF-8, or a number of thousands of digits
        raise Misuse("file-toml", f"{path} is not TOML: {error}.", "Correct it there.") from error


@contextmanager
def explaining(where: str) -> Iterator[None]:
    """Say where in every error that is raised inside, unless it says so already."""
    try:
        yield
    except ImagiqError as error:
        if not where or error.what.startswith(where.split(",", maxsplit=1)[0]):
            raise
        raise type(error)(error.code, f"{where}: {error.what}", error.advice) from error


def suggestion(name: str, known: list[str]) -> str:
    """Return the advice for a name that is not known."""
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"Did you mean '{close[0]}'?" if close else f"Known are: {', '.join(sorted(known)) or 'none'}."


class Table:
    """A table of a TOML file.

    Args:
        path: The file.
        name: What the table is called, as it stands in brackets; "" at the top.
        values: What it holds.
    """

    def __init__(self, path: Path, name: str, values: Mapping[str, object]) -> None:
        self.path = path
        self.name = name
        self._values = values
        self._asked: list[str] = []

    def __bool__(self) -> bool:
        """Tell whether anything stands in it."""
        return bool(self._values)

    def __contains__(self, key: str) -> bool:
        """Tell whether a key stands in it."""
        return key in self._values

    @property
    def where(self) -> str:
        """What messages call it."""
        return f"{self.path.name}, {self.name}" if self.name else self.path.name

    def _take(self, key: str) -> object:
        self._asked.append(key)
        return self._values.get(key)

    def wrong(self, key: str, what: str, advice: str) -> Misuse:
        """Return the error that something is wrong with a key."""
        return Misuse("file-value", f"{self.where}: '{key}' {what}.", advice)

    def _missing(self, key: str, example: str) -> Misuse:
        close = difflib.get_close_matches(key, [k for k in self._values if k not in self._asked], n=1, cutoff=0.7)
        if close:
            return Misuse("file-key", f"{self.where}: there is no key '{close[0]}'.", f"Did you mean '{key}'?")
        return Misuse("file-missing-key", f"{self.where}: '{key}' is missing.", f"Add it, such as: {example}")

    def text(self, key: str, default: str | None = None) -> str:
        """Return a text; without a default it must be there."""
        value = self._take(key)
        if value is None:
            if default is None:
                raise self._missing(key, f'{key} = "..."')
            return default
        if not isinstance(value, str):
            raise self.wrong(key, f"is {_kind(value)}, not text", f'Write it in quotes: {key} = "..."')
        if "\0" in value:
            raise self.wrong(key, "holds a character of number 0", "Take it out: no name and no path can.")
        return value

    def number(self, key: str, default: float) -> float:
        """Return a number."""
        value = self._take(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.wrong(key, f"is {_kind(value)}, not a number", f"Write it without quotes: {key} = 1.5")
        if abs(value) > sys.float_info.max and value != math.inf:
            raise self.wrong(key, "is a number beyond all measure", "Write a smaller one.")
        return value

    def whole(self, key: str, default: int | None) -> int | None:
        """Return a whole number."""
        value = self._take(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.wrong(key, f"is {_kind(value)}, not a whole number", f"Write it without quotes: {key} = 1")
        return value

    def needed_whole(self, key: str, default: int | None) -> int:
        """Return a whole number that must be there unless there is a default."""
        value = self.whole(key, default)
        if value is None:
            raise self._missing(key, f"{key} = 10")
        return value

    def flag(self, key: str) -> bool:
        """Return true or false; false if it is not there."""
        value = self._take(key)
        if value is None:
            return False
        if not isinstance(value, bool):
            raise self.wrong(key, f"is {_kind(value)}, not true or false", f"Write it without quotes: {key} = true")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of texts, empty if it is not there."""
        value = self._take(key)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.wrong(key, f"is {_kind(value)}, not a list of texts", f'Write {key} = ["...", "..."]')
        return tuple(value)

    def table(self, key: str, *, needed: bool = False) -> Table:
        """Return a table inside this one, an empty one if it is not there."""
        value = self._take(key)
        name = f"{self.name[:-1]}.{key}]" if self.name else f"[{key}]"
        if value is None:
            if needed:
                raise self._missing(key, name)
            value = {}
        if not isinstance(value, dict):
            raise self.wrong(key, f"is {_kind(value)}, not a table", f"Write {name} on a line, its values below.")
        return Table(self.path, name, value)

    def tables(self, key: str) -> list[Table]:
        """Return a list of tables, empty if it is not there."""
        value = self._take(key)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise self.wrong(key, f"is {_kind(value)}, not a list of tables", f"Write [[{key}]], its values below.")
        return [Table(self.path, f"[[{key}]] number {number}", item) for number, item in enumerate(value, start=1)]

    def rest(self) -> dict[str, object]:
        """Return what nobody asked for yet; it counts as asked for."""
        rest = {key: value for key, value in self._values.items() if key not in self._asked}
        self._asked += rest
        return rest

    def signed_rest(self) -> dict[str, JSON]:
        """Return the rest as it stands in what is signed: numbers with a point are decimal strings there."""
        return {key: self._signed(key, value) for key, value in self.rest().items()}

    def _signed(self, key: str, value: object) -> JSON:
        if isinstance(value, float):
            return decimal(value)
        if isinstance(value, str | int):
            return value
        if isinstance(value, list):
            return [self._signed(key, item) for item in value]
        if isinstance(value, dict):
            return {str(name): self._signed(key, item) for name, item in value.items()}
        raise self.wrong(key, "is a date or time", "Write it as text.")

    def only(self, *known: str) -> None:
        """Check that there are no other keys than these.

        Raises:
            Misuse: there is one.
        """
        for key in self._values:
            if key not in known:
                raise Misuse("file-key", f"{self.where}: there is no key '{key}'.", suggestion(key, list(known)))

    def end(self) -> None:
        """Check that everything was asked for.

        Raises:
            Misuse: there is a key that nobody knows.
        """
        self.only(*self._asked)

    def explaining(self) -> AbstractContextManager[None]:
        """Name the file and the table in every error that is raised inside."""
        return explaining(self.where)


def _kind(value: object) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"the number {value}"
    return _KINDS.get(type(value).__name__, "a date or time")
