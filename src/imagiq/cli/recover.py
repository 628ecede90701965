"""``imagiq recover``: what the charter's offline recovery keys are for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from imagiq.bench.repository import open_repository
from imagiq.cli.homes import JSON_OPTION, is_sure, seat_at
from imagiq.cli.printing import as_document, escaped, listed, say
from imagiq.objects import Charter
from imagiq.site.invitation import fingerprint
from imagiq.site.recovering import propose, read_proposal, recover, sign, write_proposal
from imagiq.site.rotating import make_recovery_key
from imagiq.site.session import open_seat

__all__ = ["command"]

FILE = click.Path(path_type=Path)


@click.group(name="recover")
def command() -> None:
    """Sign a charter with offline recovery keys: for a lost quorum, a lost key, or two charters that have won."""


@command.command()
@click.argument("file", type=FILE)
@JSON_OPTION
def key(file: Path, *, wants_json: bool) -> None:
    """Make a recovery key in FILE, to be kept offline; print its public half for the charter's `recovery`."""
    public = make_recovery_key(file)
    say(as_document({"command": "recover key", "key": public, "file": file}) if wants_json else public)


@command.command(name="propose")
@click.argument("file", type=FILE)
@click.option("--remove", multiple=True, metavar="NAME", help="A member that goes; repeatable.")
@click.option(
    "--card", "cards", multiple=True, metavar="CARD", help="A member that lost its key, as its new card says."
)
@click.option("--choose", default="", metavar="CHARTER", help="Of two charters that have won, the one to keep.")
@JSON_OPTION
@click.pass_obj
def propose_(
    folder: Path, file: Path, *, remove: tuple[str, ...], cards: tuple[str, ...], choose: str, wants_json: bool
) -> None:
    """Write to FILE what the recovery keys shall sign."""
    proposal = propose(open_repository(seat_at(folder)[1].path), remove=remove, cards=cards, choose=choose)
    write_proposal(proposal, file)
    _show("recover propose", proposal, wants_json=wants_json)


@command.command(name="sign")
@click.argument("file", type=FILE)
@click.option("--key", "key_file", required=True, type=FILE, help="The recovery key.")
@click.option("-o", "--output", required=True, type=FILE, help="Where to put the signature.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@JSON_OPTION
def sign_(file: Path, *, key_file: Path, output: Path, yes: bool, wants_json: bool) -> None:
    """Show the proposal in FILE, and sign it. It needs no home and no network."""
    proposal = read_proposal(file)
    if not wants_json:
        for line in _lines(proposal):
            say(line)
    if not is_sure("Sign?", yes=yes):
        raise click.Abort
    public = sign(proposal, key_file, output)
    if wants_json:
        say(as_document({"command": "recover sign", "charter": proposal.digest, "key": public, "file": output}))
    else:
        say(f"Signed with the key {public}: {escaped(str(output))}")


@command.command()
@click.argument("file", type=FILE)
@click.argument("signatures", nargs=-1, required=True, type=FILE)
@JSON_OPTION
@click.pass_obj
def apply(folder: Path, file: Path, signatures: tuple[Path, ...], *, wants_json: bool) -> None:
    """Put the proposal in FILE into force with SIGNATURES by more than half of the recovery keys; then sync."""
    home, seat = seat_at(folder)
    proposal = read_proposal(file)
    with home.lock(), open_seat(home, seat) as session:
        session.start()
        entry = recover(session, proposal, signatures)
        version = session.charter.version
    if wants_json:
        say(as_document({"command": "recover apply", "commit": entry.digest, "version": version}))
    else:
        say(f"Version {version} of the charter is in force: {entry.digest[:12]}. Run `imagiq sync`.")


def _show(name: str, proposal: Charter, *, wants_json: bool) -> None:
    if wants_json:
        fields = {"version": proposal.version, "members": [m.name for m in proposal.members], "voters": proposal.voters}
        say(as_document({"command": name, "charter": proposal.digest, "proposal": fields}))
        return
    for line in _lines(proposal):
        say(line)


def _lines(proposal: Charter) -> Iterator[str]:
    yield f"{escaped(proposal.title)}, version {proposal.version} of its charter"
    yield f"Members: {listed((member.name for member in proposal.members), limit=1000)}"
    yield f"Who votes: {listed(proposal.voters, limit=1000)}"
    yield f"Recovery keys: {len(proposal.recovery)}; feeds that end: {len(proposal.cuts)}"
    yield f"Fingerprint: {fingerprint(proposal.digest)}"
