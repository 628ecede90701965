"""``imagiq status``: how a site is, whether it runs or not."""

from __future__ import annotations

from pathlib import Path

import click

from imagiq.cli.homes import JSON_OPTION
from imagiq.cli.printing import as_document, say, width
from imagiq.clock import SystemClock
from imagiq.site.home import find_home
from imagiq.site.snapshot import status_at_rest
from imagiq.site.status import FederationStatus, SiteStatus, Status, UnheardStatus, status_of

__all__ = ["command"]


@click.command()
@JSON_OPTION
@click.pass_obj
def command(folder: Path, *, wants_json: bool) -> None:
    """Say for each federation and site: when and by which remote the last news came, what it does, what it waits for.

    While `imagiq up` runs, it is what that process says; else what is on the disk.
    """
    home, name = find_home(folder)
    seats = home.seats() if name is None else (home.seat(name),)
    clock = SystemClock()
    status = status_of(home.path, home.holder()) or status_at_rest(home, seats, clock)
    chosen = tuple(one for one in status.federations if one.name in {seat.name for seat in seats})
    now_s = clock.now_s()
    if wants_json:
        shown = [_json(one, now_s) for one in chosen]
        say(as_document({"command": "status", "pid": status.pid, "federations": shown}))
        return
    from rich.console import Console  # noqa: PLC0415 - loaded where it is drawn

    from imagiq.cli.living import drawn  # noqa: PLC0415 - the same

    say(f"up, pid {status.pid}" if status.pid is not None else "not running: start it with `imagiq up`")
    Console(width=width(), highlight=False).print(drawn(Status(pid=status.pid, federations=chosen), now_s))


def _json(one: FederationStatus, now_s: float) -> dict[str, object]:
    return {
        "name": one.name,
        "title": one.title,
        "charter": one.version,
        "is_member": one.is_member,
        "why_not": one.why_not,
        "trouble": one.trouble,
        "remotes": [
            {
                "name": remote.name,
                "kind": remote.kind,
                "address": remote.address,
                "doing": remote.doing,
                "contact_age_s": _age_s(remote.contact_s, now_s),
                "trouble": remote.trouble,
            }
            for remote in one.remotes
        ],
        "sites": [_site(site, now_s) for site in one.sites],
        "studies": one.studies,
        "fetching": one.fetching,
        "unread": one.unread,
        "unheard": [_unheard(unheard, now_s) for unheard in one.unheard],
    }


def _unheard(one: UnheardStatus, now_s: float) -> dict[str, object]:
    return {
        "site": one.site,
        "feed": one.feed,
        "here": one.here,
        "known_to": one.known_to,
        "age_s": _age_s(one.since_s, now_s),
    }


def _site(site: SiteStatus, now_s: float) -> dict[str, object]:
    return {
        "name": site.name,
        "is_me": site.is_me,
        "news_age_s": _age_s(site.heard_s, now_s),
        "by": site.by,
        "made": site.made,
        "last": site.last,
    }


def _age_s(then_s: float | None, now_s: float) -> float | None:
    return None if then_s is None else round(max(0.0, now_s - then_s), 3)
