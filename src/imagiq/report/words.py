"""Numbers and sentences of a report. A sentence claims nothing that an interval does not support."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from imagiq.report.svg import ticks
from imagiq.report.values import Report, Score, Way

__all__ = [
    "answer",
    "byte_count",
    "byte_ticks",
    "count",
    "decimals",
    "duration",
    "elsewhere",
    "interval",
    "listed",
    "plural",
    "score",
    "signed",
    "subtitle",
    "time_ticks",
    "verdict",
    "where_it_does_not_pay",
]

MINUS = "\N{MINUS SIGN}"
TO = "\N{EN DASH}"


def score(value: float) -> str:
    """Return a score as people read it."""
    return f"{value:.3f}".replace("-0.000", "0.000").replace("-", MINUS)


def signed(value: float) -> str:
    """Return a difference as people read it."""
    return "0.000" if abs(value) < 0.0005 else f"{value:+.3f}".replace("-", MINUS)


def interval(low: float | None, high: float | None, *, is_gain: bool = False) -> str:
    """Return an interval as people read it; empty if there is none."""
    if low is None or high is None:
        return ""
    if is_gain:
        return f"{signed(low)} to {signed(high)}"
    return f"{decimals(low)}{TO}{decimals(high)}"


def decimals(value: float) -> str:
    """Return the end of an interval."""
    return f"{value:.2f}".replace("-", MINUS)


def byte_count(number: float) -> str:
    """Return a number of bytes in the unit that suits it."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return f"{number:.0f} B"


UNITS = (("days", 86_400.0), ("h", 3600.0), ("min", 60.0), ("s", 1.0))


def _unit(seconds: float) -> tuple[str, float]:
    return next((unit for unit in UNITS[:-1] if seconds >= 2 * unit[1]), UNITS[-1])


def duration(seconds: float) -> str:
    """Return a time in the unit that suits it."""
    unit, size = _unit(seconds)
    number = seconds / size
    return f"{number:.0f} {unit}" if number >= 10 or number == round(number) else f"{number:.2g} {unit}"


def time_ticks(end_s: float, *, most: int) -> list[tuple[float, str]]:
    """Return round times from 0 to an end, with their words, all in one unit."""
    unit, size = _unit(end_s)
    return [(mark * size, f"{mark:g} {unit}") for mark in ticks(0.0, end_s / size, most=most)]


def byte_ticks(end: float, *, most: int) -> list[tuple[float, str]]:
    """Return round numbers of bytes from 0 to an end, with their words."""
    return [(mark, byte_count(mark)) for mark in ticks(0.0, end, most=most)]


def count(number: int) -> str:
    """Return a number with its thousands set apart."""
    return f"{number:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def plural(number: int, one: str, several: str = "") -> str:
    """Return a number with its word."""
    return f"{count(number)} {one if number == 1 else several or one + 's'}"


def listed(names: Sequence[str], *, most: int = 6) -> str:
    """Return names in a sentence."""
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most} more"
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else "none"


def verdict(one: Score) -> str:
    """Return what the interval of a gain says: "better", "worse", "alike", or "" if there is no gain."""
    if one.gain_low is None or one.gain_high is None:
        return ""
    return "better" if one.gain_low > 0 else "worse" if one.gain_high < 0 else "alike"


def subtitle(report: Report) -> str:
    """Return what was done, by whom, on how many patients."""
    sites = [site for site in report.sites if site.takes_part]
    who = f"{plural(len(sites), 'site')} ({listed([site.title for site in sites])})" if sites else "No site"
    training = [site.training for site in sites if site.training is not None]
    held_back = [site.held_back for site in sites if site.held_back is not None]
    studies = [way for way in report.ways if way.role != "pooled"]
    where = "in a simulation on one machine" if report.kind == "simulation" else "as one site's repository tells it"
    parts = [f"{who} worked on {plural(len(studies), 'study', 'studies')}, {where}."]
    if training and held_back:
        trained = f"{plural(sum(training), report.case)}{_images(report, [site.training_images for site in sites])}"
        tried = f"{count(sum(held_back))}{_images(report, [site.held_back_images for site in sites])}"
        parts.append(f"Models were trained on {trained} and tried on {tried} that were never trained on.")
    return " ".join(parts)


def _images(report: Report, numbers: Iterable[int | None]) -> str:
    """Return how many images cases have, to stand behind their number; empty: they have none, or that is not known."""
    known = [number for number in numbers if number is not None]
    return f" ({plural(sum(known), report.image)})" if report.image and known else ""


def _means(report: Report, kind: str = "mean") -> list[tuple[Way, Score]]:
    """Return the studies with their mean of the headline measure."""
    headline = report.headline
    if headline is None:
        return []
    found = {one.way: one for one in report.scores_of(kind, headline.name).values()}
    return [(way, found[way.title]) for way in report.ways if way.title in found]


def _compared(report: Report, kind: str = "mean") -> list[tuple[Way, Score]]:
    return [(way, one) for way, one in _means(report, kind) if way.role == "together" and one.gain is not None]


def _named(found: Iterable[tuple[Way, Score]]) -> str:
    return listed([f"{way.title} ({signed(one.gain or 0.0)})" for way, one in found])


def answer(report: Report) -> str:
    """Return the answer in one sentence."""
    headline, means = report.headline, _means(report)
    if headline is None or not report.scores:
        return "Nothing was measured yet, so nothing can be said about which way of working together is worth it."
    if not means:
        return f"What the sites measured, by {headline.title}, stands below; one site's repository cannot tell which way is best for all."
    compared = _compared(report)
    if not compared:
        by_sites = [pair for pair in means if pair[0].role != "pooled"] or means
        way, one = max(by_sites, key=lambda pair: pair[1].value)
        said = f" (95 % interval {interval(one.low, one.high)})" if one.low is not None else ""
        return f"The highest mean {headline.title} is {score(one.value)}{said}, by {way.title}; nothing here shows what a site gains."
    better = [pair for pair in compared if verdict(pair[1]) == "better"]
    worse = [pair for pair in compared if verdict(pair[1]) == "worse"]
    if better:
        verb = "is" if len(better) == 1 else "are"
        rest = f"; {_named(worse)} {'is' if len(worse) == 1 else 'are'} worse" if worse else ""
        return f"By mean {headline.title}, {_named(better)} {verb} better than each site going alone{rest}."
    if len(worse) == len(compared):
        return f"By mean {headline.title}, working together was worse than each site going alone: {_named(worse)}."
    rest = f", and {_named(worse)} {'is' if len(worse) == 1 else 'are'} worse" if worse else ""
    return f"By mean {headline.title}, no way of working together is better than each site going alone beyond chance{rest}."


def elsewhere(report: Report) -> str:
    """Return what models are worth beyond their own site, in a sentence; empty: nobody tried."""
    headline = report.headline
    if headline is None:
        return ""
    sentences = []
    for kind, where in (("across", "on the patients of every site"), ("unseen mean", "at sites that took no part")):
        found = {way.role: (way, one) for way, one in _means(report, kind)}
        better = [pair for pair in _compared(report, kind) if verdict(pair[1]) == "better"]
        if "alone" not in found or not _compared(report, kind):
            continue
        alone = found["alone"][1]
        verb = "is" if len(better) == 1 else "are"
        said = f"{_named(better)} {verb} better beyond chance" if better else "no other way is better beyond chance"
        sentences.append(f"Tried {where}, models trained alone reach {score(alone.value)}; {said}.")
    return " ".join(sentences)


def where_it_does_not_pay(report: Report) -> str:
    """Return for whom working together brings nothing that can be told from chance, or harms, in a sentence."""
    headline = report.headline
    if headline is None:
        return ""
    together = {way.title for way in report.ways if way.role == "together"}
    found = [
        one
        for one in report.scores_of("own", headline.name).values()
        if one.way in together and one.gain is not None and one.counts
    ]
    if not found:
        return ""
    titles = report.titles
    verdicts: dict[str, set[str]] = {}
    for one in found:
        verdicts.setdefault(one.site, set()).add(verdict(one))
    gains = [titles.get(site, site) for site, said in verdicts.items() if "better" in said]
    loses = [titles.get(site, site) for site, said in verdicts.items() if "worse" in said and "better" not in said]
    rest = [titles.get(site, site) for site, said in verdicts.items() if said == {"alike"}]
    unknown = [titles.get(site, site) for site, said in verdicts.items() if said == {""}]
    parts = []
    if gains:
        parts.append(f"some way of working together pays for {listed(gains)}")
    if rest:
        parts.append(f"for {listed(rest)} no gain or loss can be told from chance")
    if loses:
        parts.append(f"for {listed(loses)} some way is worse and none is better")
    if unknown:
        parts.append(f"{listed(unknown)} {'holds' if len(unknown) == 1 else 'hold'} back too few patients to tell")
    sentence = "; ".join(parts)
    return f"On their own patients, {sentence}." if sentence else ""
