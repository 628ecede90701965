"""Drawing in SVG: figures whose width follows the page's, while heights, strokes and letters keep their size.

Positions along x are parts of the width, from 0 to 1; positions along y are pixels. Colours come from the page's style,
so that one drawing serves light, dark and paper.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from markupsafe import Markup

__all__ = ["Drawing", "apart", "span", "ticks"]

INNER = 1000
"""Width of the inner coordinates in which paths are drawn."""


class Drawing:
    """An SVG figure.

    Args:
        height: In pixels.
        name: Unique on the page; empty: the figure only repeats what stands beside it, and is not read out.
        title: What it shows, for those who do not see it.
        about: More of that.
        classes: For the page's style.
    """

    def __init__(self, height: float, *, name: str = "", title: str = "", about: str = "", classes: str = "") -> None:
        self._height = height
        self._name = name
        self._title = title
        self._about = about
        self._classes = classes
        self._parts: list[str] = []
        self._paths: list[str] = []

    def line(self, x1: float, y1: float, x2: float, y2: float, classes: str) -> None:
        """Draw a line."""
        self._parts.append(
            f'<line x1="{_part(x1)}" y1="{_px(y1)}" x2="{_part(x2)}" y2="{_px(y2)}" class="{escape(classes)}"/>'
        )

    def dot(self, x: float, y: float, radius: float, classes: str, told: str = "") -> None:
        """Draw a dot; ``told``: what is shown when one points at it."""
        inner = f"<title>{escape(told)}</title>" if told else ""
        self._parts.append(
            f'<circle cx="{_part(x)}" cy="{_px(y)}" r="{_px(radius)}" class="{escape(classes)}">{inner}</circle>'
        )

    def bar(self, x1: float, x2: float, y: float, height: float, classes: str, told: str = "") -> None:
        """Draw a bar, wide enough to be seen."""
        inner = f"<title>{escape(told)}</title>" if told else ""
        width = max(x2 - x1, 0.0015)
        self._parts.append(
            f'<rect x="{_part(x1)}" y="{_px(y)}" width="{_part(width)}" height="{_px(height)}" '
            f'class="{escape(classes)}">{inner}</rect>'
        )

    def text(self, x: float, y: float, text: str, classes: str = "", *, dx: float = 0.0) -> None:
        """Write text; ``dx``: pixels beside its place."""
        self._parts.append(
            f'<text x="{_part(x)}" y="{_px(y)}" dx="{_px(dx)}" class="{escape(classes)}">{escape(text)}</text>'
        )

    def path(self, points: Sequence[tuple[float, float]], classes: str) -> None:
        """Draw a line through points."""
        if points:
            steps = " ".join(f"{_px(x * INNER)},{_px(y)}" for x, y in points)
            self._paths.append(f'<polyline points="{steps}" class="{escape(classes)}"/>')

    def curve(self, x1: float, y1: float, x2: float, y2: float, classes: str) -> None:
        """Draw a curve that leaves and arrives along x."""
        middle = _px((x1 + x2) / 2 * INNER)
        self._paths.append(
            f'<path d="M{_px(x1 * INNER)} {_px(y1)}C{middle} {_px(y1)} {middle} {_px(y2)} {_px(x2 * INNER)} {_px(y2)}" '
            f'class="{escape(classes)}"/>'
        )

    def markup(self) -> Markup:
        """Return the figure."""
        told = 'aria-hidden="true"'
        head = ""
        if self._name:
            told = f'role="img" aria-labelledby="{escape(self._name)}-t {escape(self._name)}-d"'
            head = (
                f'<title id="{escape(self._name)}-t">{escape(self._title)}</title>'
                f'<desc id="{escape(self._name)}-d">{escape(self._about)}</desc>'
            )
        inner = ""
        if self._paths:
            inner = (
                f'<svg viewBox="0 0 {INNER} {_px(self._height)}" width="100%" height="{_px(self._height)}" '
                f'preserveAspectRatio="none" class="paths">{"".join(self._paths)}</svg>'
            )
        return Markup(  # noqa: S704 - all text in it was escaped where it was added
            f'<svg width="100%" height="{_px(self._height)}" class="{escape(self._classes)}" {told}>'
            f"{head}{inner}{''.join(self._parts)}</svg>"
        )


def _px(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _part(value: float) -> str:
    return f"{_px(100 * value)}%"


def span(values: Sequence[float], *, margin: float = 0.06) -> tuple[float, float]:
    """Return a range that holds values and a little more on both sides."""
    low, high = min(values), max(values)
    room = (high - low) * margin or max(abs(high), 1.0) * margin
    return low - room, high + room


def ticks(low: float, high: float, *, most: int = 5) -> list[float]:
    """Return round numbers within a range."""
    if not high > low:
        return [low]
    raw = (high - low) / most
    size = 10.0 ** math.floor(math.log10(raw))
    step = next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= raw)
    first = math.ceil(low / step - 1e-9)
    return [round(number * step, 10) for number in range(first, math.floor(high / step + 1e-9) + 1)]


def apart(places: Sequence[float], *, least: float, low: float, high: float) -> list[float]:
    """Return places for labels that lie at least some pixels apart, near where they should be."""
    order = sorted(range(len(places)), key=places.__getitem__)
    found = list(places)
    for before, place in zip([None, *order], order, strict=False):
        floor = low if before is None else found[before] + least
        found[place] = max(found[place], floor)
    ceiling = high
    for place in reversed(order):
        found[place] = min(found[place], ceiling)
        ceiling = found[place] - least
    return found
