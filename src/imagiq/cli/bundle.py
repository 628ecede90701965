"""``imagiq bundle``: exchange by file, for a site that no line leads to."""

from __future__ import annotations

from pathlib import Path

import click

from imagiq.cli.homes import JSON_OPTION, done_as_json, seat_at, show_done
from imagiq.cli.printing import as_document, escaped, say
from imagiq.exchange import Publisher, RemotePeer
from imagiq.exchange.bundle import BundleReader, BundleWriter
from imagiq.site.bundling import newest_models
from imagiq.site.session import open_seat
from imagiq.site.syncing import sync_with

__all__ = ["command"]


@click.group(name="bundle")
def command() -> None:
    """Exchange by file: what a remote would hold, sealed, in one file for a stick."""


@command.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--models",
    type=click.Choice(["newest", "all", "none"]),
    default="newest",
    show_default=True,
    help="Which models go along, beside all commits.",
)
@JSON_OPTION
@click.pass_obj
def create(folder: Path, file: Path, models: str, *, wants_json: bool) -> None:
    """Write FILE with all that this site knows, for any member; only members can open it."""
    home, seat = seat_at(folder)
    with home.lock(), open_seat(home, seat) as session:
        newest = newest_models(session.bench)
        bundle = BundleWriter(file)
        with RemotePeer(bundle, session.bench, session.ring, clock=session.clock) as peer, bundle:
            chosen = {"all": lambda _: True, "none": lambda _: False, "newest": lambda entry: entry.digest in newest}
            sent = Publisher(peer, chooses=chosen[models]).publish()
    size = file.stat().st_size
    if wants_json:
        fields = {
            "file": file,
            "commits": sent.commits,
            "objects": sent.objects,
            "size": size,
            "unsealed": sent.unsealed,
        }
        say(as_document({"command": "bundle create", **fields}))
        return
    say(f"{escaped(str(file))}: {sent.commits} commits and {sent.objects} objects, {size / 1e6:.1f} MB")
    if sent.unsealed:
        say(f"{sent.unsealed} commits of others are left out: no key of their authors has reached this site.")


@command.command()
@click.argument("file", type=click.Path(path_type=Path))
@JSON_OPTION
@click.pass_obj
def apply(folder: Path, file: Path, *, wants_json: bool) -> int:
    """Learn what is in FILE, and do what follows from it. Nothing of a file that is not whole is used."""
    home, seat = seat_at(folder)
    reader = BundleReader(file)
    with home.lock(), open_seat(home, seat) as session:
        peer = RemotePeer(reader, session.bench, session.ring, clock=session.clock, read_only=True)
        with peer:
            synced = sync_with(session, {file.name: peer})
    (news,) = synced.remotes
    if news.error is not None:
        raise news.error
    if wants_json:
        say(as_document({"command": "bundle apply", "came": news.came, "done": done_as_json(synced.done)}))
        return 1 if any(one.error is not None for one in synced.done) else 0
    say(f"{news.came} commits and models came")
    return show_done("bundle apply", synced.done, wants_json=False)
