"""The page: one HTML file that needs nothing else, neither a network nor a script."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence
from importlib.resources import files
from typing import Final

import jinja2
from markupsafe import Markup

from imagiq.report import words
from imagiq.report.curves import loss_charts, measure_charts
from imagiq.report.dots import colours, gain_panels, mean_panel, most_panels, site_panels
from imagiq.report.graph import graphs
from imagiq.report.slices import slices
from imagiq.report.tables import Table, tables_of
from imagiq.report.timeline import timeline
from imagiq.report.values import Report

__all__ = ["page"]

MOST_ROWS: Final = 400
"""A table with more rows than this is cut on the page; CSV and JSON hold all."""
COLUMNS: Final = {
    "scores": (
        "way",
        "kind",
        "site",
        "at",
        "measure",
        "value",
        "low",
        "high",
        "gain",
        "gain_low",
        "gain_high",
        "share_of_pooled",
    ),
    "points": ("way", "site", "measure", "at_s", "nbytes", "value"),
    "work": ("site", "way", "kind", "from_s", "to_s", "failed"),
    "commits": ("commit", "site", "way", "kind", "at_s", "cases"),
}


def page(report: Report, *, made: str = "") -> str:
    """Return a report as HTML.

    Args:
        report: The report.
        made: Date and time at which it is made, in words; empty: it is not told.
    """
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: (files("imagiq.report") / name).read_text("utf-8")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script = _read("page.js").strip()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    bands, band_axis, band_note = timeline(report)
    return environment.get_template("page.html").render(
        report=report,
        words=words,
        made=made,
        style=Markup(_read("page.css")),  # noqa: S704 - imagiq's own file
        script=Markup(script),  # noqa: S704 - imagiq's own file
        script_digest=digest,
        colours=colours(report.ways),
        figures=_figures(report),
        hero=mean_panel(report, "mean", "", f"each site's model on its own held-back {report.case}s, mean over sites"),
        sites=site_panels(report),
        sites_note=most_panels(report),
        gains=gain_panels(report),
        away=[panel for panel in (_across(report), _unseen(report)) if panel is not None],
        rows=slices(report),
        charts=measure_charts(report),
        losses=loss_charts(report),
        bands=bands,
        band_axis=band_axis,
        band_note=band_note,
        graphs=graphs(report),
        tables={table.name: table for table in tables_of(report)},
        shown=_shown,
        cut=_cut,
        columns=COLUMNS,
    )


def _read(name: str) -> str:
    return (files("imagiq.report") / name).read_text("utf-8")


def _across(report: Report) -> object:
    note = f"every site's model on the held-back {report.case}s of every site, mean over all pairs"
    return mean_panel(report, "across", f"On every site's {report.case}s", note)


def _unseen(report: Report) -> object:
    names = words.listed([site.title for site in report.sites if not site.takes_part])
    note = f"every site's model on {report.case}s of a site that took no part"
    return mean_panel(report, "unseen mean", f"Unseen: {names}", note)


def _figures(report: Report) -> list[tuple[str, str]]:
    """Return the few numbers that say how large all this was."""
    sites = [site for site in report.sites if site.takes_part]
    studies = [way for way in report.ways if way.role != "pooled"]
    training = [site.training for site in sites if site.training is not None]
    held_back = [site.held_back for site in sites if site.held_back is not None]
    beyond = [site.held_back for site in report.sites if not site.takes_part and site.held_back is not None]
    moved = [way.bytes_moved for way in studies if way.bytes_moved is not None]
    ended = [way.ended_s for way in studies if way.ended_s is not None]
    found = [("sites", str(len(sites)))]
    found += [(f"{report.case}s to train on", f"{sum(training)}")] if training else []
    found += [(f"{report.case}s held back", f"{sum(held_back)}")] if held_back else []
    found += [(f"{report.case}s of unseen sites", f"{sum(beyond)}")] if sum(beyond) else []
    found += [("studies", str(len(studies))), ("commits", str(sum(way.commits for way in studies)))]
    found += [("moved between sites", words.byte_count(sum(moved)))] if moved else []
    found += [(f"{'virtual ' if report.clock == 'virtual' else ''}time", words.duration(max(ended)))] if ended else []
    return found


def _cut(table: Table, columns: Sequence[str]) -> list[list[object]]:
    """Return the rows that stand on the page, with some columns."""
    places = [table.columns.index(column) for column in columns]
    return [[row[place] for place in places] for row in table.rows[:MOST_ROWS]]


def _shown(value: object) -> str:
    """Return a number of a table as people read it."""
    shown: Callable[[float], str] = lambda number: f"{number:.4g}".replace("-", words.MINUS)  # noqa: E731
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else ""
    if isinstance(value, float):
        return shown(value)
    text = str(value)
    return text[:12] if len(text) == 64 else text
