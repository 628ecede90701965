"""Reports for tests: of small simulations, and made by hand."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

from imagiq.report import Commit, Report, Score, Site, Way
from imagiq.report.page import page
from imagiq.scoring import measure_of

VOID = {"meta", "br", "col", "link", "img", "hr"}
HOSTILE = "</title><script>alert(1)</script>\"'&{{ 7*7 }}"


class Reader(HTMLParser):
    """Reads a page as strictly as XML would be: every element that begins ends, in order."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, tag
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def read(report: Report) -> Reader:
    reader = Reader()
    reader.feed(page(report))
    reader.close()
    assert not reader.open
    return reader


def said(report: Report) -> str:
    return " ".join(" ".join(read(report).text).split())


def score(way: str, kind: str, value: float, gain: tuple[float, float, float] | None = None, **more: Any) -> Score:
    low, high = value - 0.05, value + 0.05
    if gain is None:
        return Score(way=way, kind=kind, measure="dice", value=value, low=low, high=high, **more)
    gained: dict[str, Any] = {"gain": gain[1], "gain_low": gain[0], "gain_high": gain[2]}
    return Score(way=way, kind=kind, measure="dice", value=value, low=low, high=high, **gained, **more)


def by_hand(*scores: Score, **more: Any) -> Report:
    usual: dict[str, Any] = {
        "kind": "simulation",
        "title": "Four wards",
        "federation": "f" * 64,
        "seed": 1,
        "measures": (measure_of("dice"),),
        "sites": (
            Site(name="east", title="East", training=10, held_back=5),
            Site(name="west", title="West", training=4, held_back=3),
        ),
        "ways": (
            Way(title="alone", strategy="local", role="alone", sites=2, finished=2, commits=4),
            Way(title="fedavg", strategy="fedavg", sites=2, finished=2, commits=6),
            Way(title="gossip", strategy="gossip", sites=2, finished=2, commits=6),
        ),
        "scores": scores,
    }
    return Report(**usual | more)


def long_history(number: int) -> tuple[Commit, ...]:
    """Two sites that train in turn."""
    return tuple(
        Commit(
            commit=f"{place:064x}",
            site=("east", "west")[place % 2],
            way="fedavg",
            kind="train" if place else "study",
            parents=(f"{place - 1:064x}",) if place else (),
            at_s=float(place),
            metrics={"loss": 1 / (1 + place)},
        )
        for place in range(number)
    )
