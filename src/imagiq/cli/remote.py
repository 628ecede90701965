"""``imagiq remote``: where a site exchanges with others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from imagiq.cli.homes import JSON_OPTION, seat_at, setting
from imagiq.cli.printing import as_document, columns, escaped, say
from imagiq.errors import Misuse, NotFound
from imagiq.site.connecting import connect
from imagiq.site.settings import RemoteSettings
from imagiq.site.toml import suggestion

__all__ = ["command"]


@click.group(name="remote")
def command() -> None:
    """Say where this site exchanges with the others of a federation; everything there is sealed."""


@command.command()
@click.argument("name")
@click.argument("kind")
@click.argument("address")
@click.option(
    "--key", default="", metavar="KEY", help="Of an https listener: its public key, as `imagiq serve` prints."
)
@click.option("--proxy", default="", metavar="URL", help="Reach it through this proxy.")
@click.option("--read-only", is_flag=True, help="Only learn there, and put nothing: for another site's own listener.")
@click.option("--config", multiple=True, metavar="KEY=VALUE", help="What the provider of a bucket needs; repeatable.")
@JSON_OPTION
@click.pass_obj
def add(
    folder: Path,
    name: str,
    kind: str,
    address: str,
    *,
    key: str,
    proxy: str,
    config: tuple[str, ...],
    read_only: bool,
    wants_json: bool,
) -> None:
    """Add a remote: NAME folder PATH, NAME bucket URL, or NAME https URL --key KEY."""
    home, seat = seat_at(folder)
    remote = RemoteSettings(
        name=name,
        kind=kind,
        address=address,
        key=key,
        proxy=proxy,
        config=dict(map(setting, config)),
        read_only=read_only,
    )
    if kind == "folder":
        remote = replace(remote, address=str(Path(address).absolute()))
    remotes = seat.remotes()
    if name in {each.name for each in remotes}:
        raise Misuse(
            "remote-exists", f"There is a remote called '{name}' already.", "Choose another name, or remove it."
        )
    connect(remote, home.key(), base=seat.path).close()
    seat.write_remotes((*remotes, remote))
    if wants_json:
        say(as_document({"command": "remote add", "remote": _json(remote)}))
    else:
        say(f"{name}: {remote.kind} {escaped(remote.address)}{_use(remote)}")


@command.command(name="list")
@JSON_OPTION
@click.pass_obj
def list_(folder: Path, *, wants_json: bool) -> None:
    """List the remotes."""
    remotes = seat_at(folder)[1].remotes()
    if wants_json:
        say(as_document({"command": "remote list", "remotes": [_json(remote) for remote in remotes]}))
        return
    for line in columns([(remote.name, remote.kind, escaped(remote.address) + _use(remote)) for remote in remotes]):
        say(line)


@command.command()
@click.argument("name")
@JSON_OPTION
@click.pass_obj
def remove(folder: Path, name: str, *, wants_json: bool) -> None:
    """Exchange there no more; what lies there stays."""
    seat = seat_at(folder)[1]
    remotes = seat.remotes()
    gone = next((remote for remote in remotes if remote.name == name), None)
    if gone is None:
        known = [remote.name for remote in remotes]
        raise NotFound("remote-unknown", f"No remote here is called '{name}'.", suggestion(name, known))
    seat.write_remotes(tuple(remote for remote in remotes if remote is not gone))
    if wants_json:
        say(as_document({"command": "remote remove", "remote": _json(gone)}))
    else:
        say(f"{name} is no remote any more.")


def _use(remote: RemoteSettings) -> str:
    return " (read only)" if remote.read_only else ""


def _json(remote: RemoteSettings) -> dict[str, str | bool]:
    return {
        "name": remote.name,
        "kind": remote.kind,
        "address": remote.address,
        "key": remote.key,
        "read_only": remote.read_only,
    }
