"""``imagiq serve``: the https listener over a sealed folder."""

from __future__ import annotations

import signal
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import click

from imagiq.bench.repository import open_repository
from imagiq.cli.homes import JSON_OPTION, seat_at, show_error
from imagiq.cli.printing import as_document, escaped, say
from imagiq.errors import ImagiqError, Unreachable
from imagiq.exchange.listener import Listener
from imagiq.exchange.quota import Allowance
from imagiq.keys import SiteKey
from imagiq.site.founding import my_key
from imagiq.site.invitation import fingerprint
from imagiq.site.serving import listener_key, read_admission, serve_own

__all__ = ["command"]

PORT = 8470
LOOK_S = 1.0
MIB = 2**20


@dataclass(frozen=True, kw_only=True)
class _Service:
    """What is served, to whom, as whom."""

    folder: Path
    members: Path
    key: SiteKey


@click.command()
@click.argument("sealed", required=False, type=click.Path(path_type=Path))
@click.option(
    "--members", type=click.Path(path_type=Path), help="Who may come, as `imagiq members --for-relay` prints it."
)
@click.option("--host", default="0.0.0.0", show_default=True, help="The address to listen at.")  # noqa: S104 - who serves is to be reached
@click.option("--port", default=PORT, show_default=True, help="The port; 0: any that is free.")
@click.option(
    "--address", help="How others reach it, such as https://imagiq.hospital.example:8470; invitations name it."
)
@click.option("--key-file", type=click.Path(path_type=Path), help="The listener's key; made when it is not there.")
@click.option("--mib-per-s", default=32.0, show_default=True, help="So much each member may write in the long run.")
@JSON_OPTION
@click.pass_obj
def command(
    folder: Path,
    sealed: Path | None,
    members: Path | None,
    *,
    host: str,
    port: int,
    address: str | None,
    key_file: Path | None,
    mib_per_s: float,
    wants_json: bool,
) -> None:
    """Listen for the members over https, until it is stopped.

    In a site's home it serves the site's own sealed folder, to the members of the charter as it changes. With SEALED and
    --members it is a relay for others: it needs no home, and has no key that opens anything.
    """
    if mib_per_s <= 0:
        raise click.UsageError("--mib-per-s is more than 0.")
    if (sealed is None) != (members is None):
        raise click.UsageError("A relay takes SEALED and --members, a site's own listener neither.")
    service = _own(folder, key_file) if sealed is None or members is None else _relay(sealed, members, key_file)
    allowance = Allowance(bytes_s=mib_per_s * MIB)
    admits = read_admission(service.members)
    stopping = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    with Listener(service.folder, service.key, admits, host=host, port=port, allowance=allowance) as listener:
        shown = address or f"https://{_name_of(host)}:{listener.port}"
        if sealed is None:
            seat_at(folder)[1].note("listener", {"address": shown, "key": service.key.public})
        _show(service, shown, len(admits), wants_json=wants_json)
        _keep(listener, service.members, admits, stopping)


def _own(folder: Path, key_file: Path | None) -> _Service:
    home, seat = seat_at(folder)
    bench = open_repository(seat.path)
    own = serve_own(home, seat, bench, my_key(seat, bench))
    return _Service(
        folder=own.folder, members=own.members, key=listener_key(key_file or home.path / "keys" / "listener")
    )


def _relay(sealed: Path, members: Path, key_file: Path | None) -> _Service:
    sealed = sealed.absolute()
    try:
        sealed.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Unreachable(
            "remote-away", f"The folder {sealed} cannot be made: {error.strerror}.", "Name another one, or permit it."
        ) from error
    key = listener_key(key_file or sealed.with_name(f"{sealed.name}.key"))
    return _Service(folder=sealed, members=members, key=key)


def _name_of(host: str) -> str:
    """Return a name of this machine for who listens at all its addresses."""
    return socket.gethostname() if host in {"0.0.0.0", "::"} else host  # noqa: S104 - it is compared


def _show(service: _Service, address: str, count: int, *, wants_json: bool) -> None:
    key = service.key.public
    if wants_json:
        fields = {"address": address, "key": key, "fingerprint": fingerprint(key), "members": count}
        say(as_document({"command": "serve", **fields, "folder": service.folder}))
        return
    say(f"{escaped(address)}")
    say(f"Key: {key}")
    say(f"Fingerprint of the key: {fingerprint(key)}")
    say(f"{count} may come; they add: imagiq remote add NAME https {escaped(address)} --key {key}")


def _keep(listener: Listener, members: Path, admits: dict[str, str], stopping: Event) -> None:
    """Admit who is listed, as the list changes; a list that is damaged changes nothing."""
    told = ""
    while not stopping.wait(LOOK_S):
        found = admits
        try:
            found, told = read_admission(members), ""
        except ImagiqError as error:
            if told != error.code:
                show_error(error)
                told = error.code
        if found != admits:
            listener.admit(found)
            admits = found
            with suppress(OSError):
                say(f"{len(admits)} may come now")
