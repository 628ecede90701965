"""A report as a notebook shows it: the answer, and how good each way is, in the mean and at each site."""

from __future__ import annotations

from collections.abc import Iterator

from imagiq.bench.as_html import table
from imagiq.report.values import Report, Score
from imagiq.report.words import answer, byte_count, duration, elsewhere, interval, score, subtitle, verdict

__all__ = ["report_as_html"]

MARKS = {"better": " ▲", "worse": " ▼"}
MOST_SITES = 12


def report_as_html(report: Report) -> str:
    """Return what a report says first."""
    headline = report.headline
    sites = [site for site in report.sites if site.takes_part]
    shown = sites[:MOST_SITES]
    columns = ("way", "mean", *(site.title for site in shown), "of pooled", "moved", "took")
    title = f"{report.title}: {subtitle(report)}"
    notes = [answer(report), elsewhere(report), *report.findings, *(f"Warning: {said}" for said in report.warnings)]
    if headline is None:
        return table(title, ("way",), [(way.title,) for way in report.ways], notes=filter(None, notes))

    def rows() -> Iterator[tuple[object, ...]]:
        means = {one.way: one for one in report.scores_of("mean", headline.name).values()}
        own = report.scores_of("own", headline.name)
        for way in report.ways:
            share = "" if way.share_of_pooled is None else f"{way.share_of_pooled:.0%}"
            yield (
                way.title,
                _cell(means.get(way.title)),
                *(_cell(own.get((way.title, site.name, site.name))) for site in shown),
                share,
                "" if way.bytes_moved is None else byte_count(way.bytes_moved),
                "" if way.ended_s is None else duration(way.ended_s),
            )

    more = f"and {len(sites) - len(shown)} more sites" if len(sites) > len(shown) else ""
    about = f"{headline.title}: {headline.what}. ▲ better, ▼ worse than alone beyond chance."
    return table(title, columns, rows(), notes=[about, *filter(None, notes)], more=more)


def _cell(one: Score | None) -> str:
    if one is None:
        return ""
    if not one.counts:
        return "tells nothing"
    between = interval(one.low, one.high)
    return f"{score(one.value)}{MARKS.get(verdict(one), '')}" + (f" ({between})" if between else "")
