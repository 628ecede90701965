"""A status that lives on a terminal: drawn again when something has changed, and a line above it for what happened."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from imagiq.cli.printing import escaped
from imagiq.cli.up import in_words as told_in_words
from imagiq.clock import SystemClock
from imagiq.site.fetches import fetch_in_words
from imagiq.site.freshness import ADVICE, in_words, unread_in_words
from imagiq.site.running import Told
from imagiq.site.status import FederationStatus, RemoteStatus, SiteStatus, Status, StudyStatus

__all__ = ["Living", "ago", "drawn"]

REDRAWN_EVERY_S = 5.0
STYLES = {"trains": "green", "merges": "magenta", "evaluates": "cyan", "asks": "yellow", "done": "dim"}
BAR = 14


class Living:
    """Use it as a context. ``title``: the site."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._clock = SystemClock()
        self._console = Console(highlight=False)
        self._live = Live(console=self._console, auto_refresh=False, transient=True, vertical_overflow="crop")
        self._shown: Status | None = None
        self._drawn_s = float("-inf")

    def __enter__(self) -> Self:
        """Begin to draw."""
        self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Leave nothing but what was told."""
        self._live.stop()

    def tell(self, told: Told) -> None:
        """Print a line above the status."""
        self._console.print(Text.from_ansi(told_in_words(told)))

    def show(self, status: Status) -> None:
        """Draw, if something has changed or times are old."""
        now_s = self._clock.now_s()
        if status == self._shown and now_s - self._drawn_s < REDRAWN_EVERY_S:
            return
        self._shown, self._drawn_s = status, now_s
        head = Text.assemble((f"{escaped(self._title)}", "bold"), ("  is up; Ctrl-C stops it", "dim"))
        self._live.update(Group(Text(), head, drawn(status, now_s)), refresh=True)


def drawn(status: Status, now_s: float) -> RenderableType:
    """Return a status as tables."""
    return Group(*(part for one in status.federations for part in _federation(one, now_s)))


def _federation(one: FederationStatus, now_s: float) -> Iterator[RenderableType]:
    version = f", version {one.version} of its charter" if one.version else ", not in force yet"
    member = "" if one.is_member else "; this site is no member"
    about = f"{version}{member}" if one.title else ", which cannot be opened"
    yield Text()
    yield Text.assemble((escaped(one.title or one.name), "bold"), (f"  {one.name}{about}", "dim"))
    if one.trouble is not None:
        yield Text(f"  {escaped(one.trouble.what)} {escaped(one.trouble.advice)}", "red")
    if one.why_not:
        yield Text(f"  waits for {escaped(one.why_not)}", "yellow")
    for title, rows in (
        ("remote", [_remote(remote, now_s) for remote in one.remotes]),
        ("site", [_site(site, now_s) for site in one.sites]),
        ("study", [_study(study) for study in one.studies]),
    ):
        if rows:
            yield _table(title, rows)
    if one.fetching is not None:
        yield Text(f"  {escaped(fetch_in_words(one.fetching))}", "green")
    for unread in one.unread:
        yield Text(f"  {escaped(unread_in_words(unread))} {escaped(unread.advice)}", "yellow")
    for unheard in one.unheard:
        since = ago(unheard.since_s, now_s)
        yield Text(f"  {escaped(in_words(unheard))} First said {since}. {ADVICE}", "yellow")


def _table(title: str, rows: list[tuple[str | Text, ...]]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(style="dim", min_width=8)
    for number in range(len(rows[0])):
        table.add_column(no_wrap=number == 0, min_width=10 if number == 0 else None)
    for number, row in enumerate(rows):
        table.add_row(f"  {title}" if number == 0 else "", *row)
    return table


def _remote(remote: RemoteStatus, now_s: float) -> tuple[str | Text, ...]:
    if remote.trouble is not None:
        state = Text(f"fails: {escaped(remote.trouble.what)}", "red")
    else:
        state = Text(remote.doing or "not connected", "dim" if remote.doing in {"", "listens"} else "green")
    return (remote.name, ago(remote.contact_s, now_s), state, Text(f"{remote.kind} {escaped(remote.address)}", "dim"))


def _site(site: SiteStatus, now_s: float) -> tuple[str | Text, ...]:
    name = Text(escaped(site.name) + (" (this site)" if site.is_me else ""), "bold" if site.is_me else "")
    heard = f"{ago(site.heard_s, now_s)} by {site.by}" if site.heard_s is not None else ""
    return (name, heard, escaped(site.last), Text(escaped(site.made), "dim"))


def _study(study: StudyStatus) -> tuple[str | Text, ...]:
    state = Text(study.state, STYLES.get(study.state, ""))
    why = f"for {study.why}" if study.why and study.state in {"waits", "done"} else study.why
    made, of = sum(study.made.values()), study.steps * len(study.made)
    now = "" if study.share is None else "━" * round(study.share * BAR)
    return (
        escaped(study.title),
        state,
        Text(f"{made} of {of} steps"),
        Text(now, "green") if now else Text(escaped(why), "dim"),
    )


def ago(then_s: float | None, now_s: float) -> str:
    """Return in words how long ago something was."""
    if then_s is None:
        return ""
    passed_s = max(0.0, now_s - then_s)
    for unit_s, unit in ((86400.0, "d"), (3600.0, "h"), (60.0, "min")):
        if passed_s >= 2 * unit_s:
            return f"{passed_s / unit_s:.0f} {unit} ago"
    return "now" if passed_s < 2 else f"{passed_s:.0f} s ago"
