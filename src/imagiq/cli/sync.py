"""``imagiq sync``: exchange with all remotes once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from imagiq.cli.homes import JSON_OPTION, done_as_json, error_as_json, seats_at, show_done, show_error
from imagiq.cli.printing import as_document, columns, escaped, passing, say
from imagiq.exchange import Fetched
from imagiq.history import Entry
from imagiq.site.fetches import fetch_in_words, fetch_status
from imagiq.site.home import Home, Seat
from imagiq.site.session import Session, open_seat
from imagiq.site.syncing import RemoteNews, Synced, sync_seat

__all__ = ["command"]


@click.command()
@JSON_OPTION
@click.pass_obj
def command(folder: Path, *, wants_json: bool) -> int:
    """Learn from all remotes of all federations, vote as was approved, carry requests, and publish.

    Ends with exit code 1 when a remote could not be reached.
    """
    home, seats = seats_at(folder)
    with home.lock():
        found = {seat.name: _sync(home, seat, shows_progress=not wants_json) for seat in seats}
    if wants_json:
        say(as_document({"command": "sync", "federations": [_json(seat, synced) for seat, synced in found.items()]}))
    else:
        for seat, synced in found.items():
            _show(seat, synced)
    return 1 if any(news.error is not None for synced in found.values() for news in synced.remotes) else 0


def _sync(home: Home, seat: Seat, *, shows_progress: bool) -> Synced:
    with open_seat(home, seat) as session:
        synced = _sync_once(session, shows_progress=shows_progress)
        if not session.has_new_key:
            return synced
    with open_seat(home, seat) as session:
        return _sync_once(session, shows_progress=shows_progress)


def _sync_once(session: Session, *, shows_progress: bool) -> Synced:
    def show(entry: Entry, fetched: Fetched) -> None:
        passing(escaped(fetch_in_words(fetch_status(session.bench, entry, fetched))))

    if not shows_progress:
        return sync_seat(session)
    try:
        return sync_seat(session, progress=show)
    finally:
        passing("")


def _show(seat: str, synced: Synced) -> None:
    say(f"{seat}{'' if synced.is_member else ' (this site is no member yet)'}")
    if not synced.remotes:
        say("  no remote: add one with `imagiq remote add`")
    for line in columns([row for news in synced.remotes if (row := _row(news))], indent="  "):
        say(line)
    for news in synced.remotes:
        if news.error is not None:
            show_error(news.error, news.remote)
    show_done("sync", synced.done, wants_json=False)
    for line in _last(synced):
        say(f"  {line}")


def _row(news: RemoteNews) -> tuple[str, ...]:
    went = f"{news.commits} commits and {news.objects} objects went, {news.size / 1e6:.1f} MB"
    return (news.remote, f"{news.came} came", went)


def _last(synced: Synced) -> Iterator[str]:
    for line in columns([(escaped(site), escaped(made) or "no news yet") for site, made in synced.newest.items()]):
        yield f"last of {line}"


def _json(seat: str, synced: Synced) -> dict[str, object]:
    return {
        "name": seat,
        "is_member": synced.is_member,
        "remotes": [
            {
                "remote": news.remote,
                "came": news.came,
                "commits": news.commits,
                "objects": news.objects,
                "size": news.size,
                "error": None if news.error is None else error_as_json(news.error),
            }
            for news in synced.remotes
        ],
        "done": done_as_json(synced.done),
        "newest": synced.newest,
    }
