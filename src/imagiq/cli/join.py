"""``imagiq join``: ask to join a federation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import click

from imagiq.cli.homes import JSON_OPTION, act_now, home_at, is_sure, setting, show_done, show_error
from imagiq.cli.printing import escaped, listed, say
from imagiq.errors import Refused
from imagiq.federation import retention_in
from imagiq.objects import JSON, Charter
from imagiq.site.invitation import fingerprint, read_invitation
from imagiq.site.joining import Offer, join, look_at
from imagiq.site.settings import RemoteSettings

__all__ = ["command"]


@click.command()
@click.argument("invitation")
@click.option("--name", help="What this site shall be called there, instead of the name in site.toml.")
@click.option("--remote", type=(str, str), metavar="KIND ADDRESS", help="Exchange there, instead of where it says.")
@click.option("--key", default="", metavar="KEY", help="Of the https listener that --remote names: its public key.")
@click.option("--proxy", default="", metavar="URL", help="Reach buckets and https listeners through this proxy.")
@click.option("--config", multiple=True, metavar="KEY=VALUE", help="What the provider of a bucket needs; repeatable.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@JSON_OPTION
@click.pass_obj
def command(
    folder: Path,
    invitation: str,
    name: str | None,
    remote: tuple[str, str] | None,
    *,
    key: str,
    proxy: str,
    config: tuple[str, ...],
    yes: bool,
    wants_json: bool,
) -> int:
    """Show what an INVITATION is about, ask, and send a signed request to the federation's voters.

    INVITATION is the text, or a file that holds it. The site is a member when more than half of the voters have approved;
    `imagiq sync` shows it.
    """
    home = home_at(folder)
    text = _text(invitation)
    asked = read_invitation(text, home.key())
    chosen = asked.remotes
    if remote is not None:
        chosen = (RemoteSettings(name="remote", kind=remote[0], address=remote[1], key=key),)
    own = dict(map(setting, config))
    offer = look_at(home, asked, remotes=tuple(_completed(one, proxy, own) for one in chosen))
    if not wants_json:
        say(f"Fingerprint of the invitation: {fingerprint(text)}")
        for line in _terms(offer):
            say(line)
    if not is_sure("Join?", yes=yes):
        raise click.Abort
    with home.lock():
        seat, applicant, failed = join(home, offer, name=name or home.settings.name)
    for error in failed if not wants_json else ():
        show_error(error)
    done = act_now(home, seat)
    if not wants_json and applicant is not None:
        say(f"'{escaped(applicant.member.name)}' has asked to join. Sync now and then; `imagiq members` tells more.")
    return show_done(
        "join",
        done,
        wants_json=wants_json,
        federation=offer.invitation.federation,
        name=seat.name,
        asked=applicant is not None,
    )


def _completed(remote: RemoteSettings, proxy: str, config: dict[str, str]) -> RemoteSettings:
    """Return a remote with what only this site knows of the way there."""
    if remote.kind == "folder":
        return remote
    return replace(remote, proxy=proxy, config=config if remote.kind == "bucket" else {})


def _text(given: str) -> str:
    path = Path(given)
    is_file = len(given) < 200 and path.is_file()
    return path.read_text("ascii", errors="replace") if is_file else given


def _terms(offer: Offer) -> Iterator[str]:
    """Yield what a hospital should know before it joins."""
    charter = offer.introduction.charter
    yield f"Federation: {escaped(charter.title)}, version {charter.version} of its charter"
    yield f"Members: {listed(member.name for member in charter.members)}"
    yield f"Who votes on members and rules: {listed(charter.voters)}"
    yield "What leaves this site, sealed for the members and nobody else: models that it trains, what it measures on its"
    yield "own cases (such as accuracy or Dice), and how many cases it used. No image, no case, no score of a single case."
    yield f"Where it exchanges: {listed(f'{remote.kind} {remote.address}' for remote in offer.remotes)}"
    yield from _rules(charter)
    yield from (f"  {line}" for study in offer.introduction.studies for line in _study(study))
    if not offer.introduction.studies:
        yield "There is no study yet."
    if offer.is_founder:
        yield "This site is one of the founders: joining is its vote for the charter."


def _rules(charter: Charter) -> Iterator[str]:
    for rule, words in (("strategies", "Strategies that studies may use"), ("tasks", "Tasks that studies may have")):
        names = charter.rules.get(rule)
        yield f"{words}: {listed(map(str, names)) if isinstance(names, list | tuple) else 'all that are installed here'}"
    older = "are given to newcomers" if charter.rules.get("older_models", "given") == "given" else "are kept back"
    yield from _retention(charter)
    yield f"Models from before you join {older}. Your own policy decides which studies you take part in: policy.toml."


def _retention(charter: Charter) -> Iterator[str]:
    try:
        retention = retention_in(charter.rules)
    except Refused as error:
        yield escaped(error.what)
        return
    if retention is None:
        yield "Every model is kept, at every site."
    else:
        yield f"Of each study, sites keep the newest {retention.models} trained and merged models of each site."


def _study(study: object) -> Iterator[str]:
    fields = study if isinstance(study, dict) else {}
    task, strategy = fields.get("task"), fields.get("strategy")
    yield (
        f"study '{escaped(str(fields.get('title')))}': {_called(task)} by {_called(strategy)}, "
        f"{fields.get('steps')} trainings of {fields.get('updates')} updates at each of "
        f"{listed(map(str, fields.get('sites') or ()))}"
    )


def _called(named: JSON | object) -> str:
    return escaped(str(named.get("name"))) if isinstance(named, dict) else "?"
