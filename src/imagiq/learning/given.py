"""Parameters of a learner as they are given: in a file, in a signed study, from Python. Read strictly, by name and kind.

Signed studies hold no floats, so a number may stand as a decimal text.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from imagiq.errors import Misuse

__all__ = ["Given", "out_of_range"]

Made = TypeVar("Made")


def out_of_range(what: str, wanted: str) -> Misuse:
    """Return the error that a parameter is not what it must be."""
    return Misuse("learner-parameter-value", f"The learner's {what} is out of its range.", f"It must be {wanted}.")


class Given:
    """A table of parameters.

    Args:
        where: What messages call the table, such as ``optimiser``; empty at the top.
        values: The parameters; a text alone stands for a table with this ``name``.
    """

    def __init__(self, where: str, values: object) -> None:
        if isinstance(values, str):
            values = {"name": values}
        if not isinstance(values, Mapping) or not all(isinstance(key, str) for key in values):
            raise out_of_range(where or "parameters", "a table of names and values")
        self._where = where
        self._values: Mapping[str, Any] = values
        self._asked: list[str] = []

    def called(self, key: str) -> str:
        """Return what messages call a parameter."""
        return f"{self._where}.{key}" if self._where else key

    def has(self, key: str) -> bool:
        """Tell whether a parameter is given."""
        return self._values.get(key) is not None

    def _take(self, key: str, wanted: str, *, needed: bool) -> Any:  # noqa: ANN401 - its kind is what is checked
        self._asked.append(key)
        value = self._values.get(key)
        if value is None and needed:
            raise Misuse(
                "learner-parameter-missing",
                f"The learner needs the parameter '{self.called(key)}'.",
                f"Add it: {wanted}.",
            )
        return value

    def choice(self, key: str, default: str, known: Sequence[str]) -> str:
        """Return one of several texts."""
        value = self._take(key, f"one of {', '.join(known)}", needed=False)
        value = default if value is None else value
        if value not in known:
            close = difflib.get_close_matches(str(value), known, n=1, cutoff=0.5)
            wanted = f"one of {', '.join(known)}" + (f"; did you mean '{close[0]}'?" if close else "")
            raise Misuse(
                "learner-parameter-value", f"The learner's {self.called(key)} is '{value}'.", f"It is {wanted}."
            )
        return str(value)

    def text(self, key: str, default: str | None = None) -> str:
        """Return a text; without a default it must be there."""
        value = self._take(key, "a text", needed=default is None)
        value = default if value is None else value
        if not isinstance(value, str) or not value:
            raise out_of_range(self.called(key), "a text")
        return value

    def number(
        self, key: str, default: float | None = None, *, least: float = 0.0, most: float = math.inf, above: bool = False
    ) -> float:
        """Return a number from ``least`` (or above it) to ``most``; without a default it must be there."""
        wanted = f"a number {'above' if above else 'of at least'} {least:g}"
        wanted += "" if most == math.inf else f" and at most {most:g}"
        value = self._take(key, wanted, needed=default is None)
        value = default if value is None else value
        try:
            number = math.nan if isinstance(value, bool | None) else float(value)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if not (math.isfinite(number) and least <= number <= most) or (above and number == least):
            raise out_of_range(self.called(key), wanted)
        return number

    def whole(self, key: str, default: int | None = None, *, least: int = 1) -> int:
        """Return a whole number from ``least``; without a default it must be there."""
        number = self.number(key, default, least=least)
        if number != math.floor(number):
            raise out_of_range(self.called(key), f"a whole number of at least {least}")
        return int(number)

    def flag(self, key: str, *, default: bool) -> bool:
        """Return true or false."""
        value = self._take(key, "true or false", needed=False)
        value = default if value is None else value
        if not isinstance(value, bool):
            raise out_of_range(self.called(key), "true or false")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of texts; it must be there."""
        value = self._take(key, f'{key} = ["..."]', needed=True)
        if not isinstance(value, list | tuple) or not value or not all(isinstance(item, str) for item in value):
            raise out_of_range(self.called(key), "a list of texts")
        return tuple(value)

    def wholes(self, key: str, *, least: int) -> tuple[int, ...]:
        """Return a list of whole numbers; empty if it is not there."""
        value = self._take(key, "a list of whole numbers", needed=False)
        value = () if value is None else value
        is_list = isinstance(value, list | tuple)
        if not is_list or not all(type(item) is int and item >= least for item in value):
            raise out_of_range(self.called(key), f"a list of whole numbers of at least {least}")
        return tuple(value)

    def mapping(self, key: str, *, needed: bool = False) -> Mapping[str, Any]:
        """Return a table as it stands; empty if it is not there."""
        value = self._take(key, "a table", needed=needed)
        value = {} if value is None else value
        if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
            raise out_of_range(self.called(key), "a table of names and values")
        return value

    def table(self, key: str, make: Callable[[Given], Made]) -> Made:
        """Return what a table within this one says; a text alone is its ``name``."""
        value = self._take(key, "a table", needed=False)
        inner = Given(self.called(key), {} if value is None else value)
        made = make(inner)
        inner.end()
        return made

    def end(self) -> None:
        """Check that everything was asked for.

        Raises:
            Misuse: there is a parameter that nobody knows.
        """
        for key in self._values:
            if key not in self._asked:
                close = difflib.get_close_matches(key, self._asked, n=1, cutoff=0.5)
                advice = f"Did you mean '{close[0]}'?" if close else f"Known are: {', '.join(self._asked)}."
                raise Misuse("learner-parameter-unknown", f"The learner has no parameter '{self.called(key)}'.", advice)
