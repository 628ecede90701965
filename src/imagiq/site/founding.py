"""Founding a federation, and inviting into one."""

from __future__ import annotations

from pathlib import Path

from imagiq.bench import Bench
from imagiq.errors import ImagiqError, Misuse, Refused, Unreachable
from imagiq.exchange import Keyring
from imagiq.federation.retention import RULE as RETENTION
from imagiq.keys import SiteKey
from imagiq.objects import JSON, Charter, Member
from imagiq.site.card import read_card
from imagiq.site.connecting import connect
from imagiq.site.home import Home, Seat
from imagiq.site.invitation import Introduction, Invitation
from imagiq.site.serving import made_public, write_admission
from imagiq.site.session import make_seat, refuse_simulated
from imagiq.site.studies import described, installed
from imagiq.site.toml import Table, read_toml

__all__ = ["found", "invite", "my_key", "my_name", "read_charter", "read_rules"]

INVITATIONS_KEPT = 100


def read_charter(path: Path, founder: Member) -> Charter:
    """Read the founding charter from a file; ``docs/join.md`` says what it may hold.

    Args:
        path: The file.
        founder: Who founds; it need not stand in the file.

    Raises:
        NotFound: there is no such file.
        Misuse: a key is unknown, missing or of the wrong kind, or the charter contradicts itself.
    """
    file = read_toml(path)
    members = {founder.name: founder}
    for table in file.tables("member"):
        with table.explaining():
            member = read_card(table.text("card"))
        name = table.text("name", member.name)
        table.end()
        if member.site_key == founder.site_key:
            members.pop(founder.name, None)
        elif name in members:
            raise Misuse("charter-names", f"{path.name}: two members are called '{name}'.", "Rename one of them.")
        members[name] = Member(name, member.site_key, member.exchange_key)
    voters = file.texts("voters")
    title, recovery = file.text("title"), tuple(sorted(set(file.texts("recovery"))))
    rules = read_rules(file.table("rules"))
    file.end()
    if voters:
        rules.setdefault("newcomers_vote", False)
    with file.explaining():
        return Charter(
            title=title,
            members=tuple(sorted(members.values())),
            voters=tuple(sorted(set(voters or members))),
            recovery=recovery,
            rules=rules,
        )


def read_rules(table: Table) -> dict[str, JSON]:
    """Read a charter's rules. What imagiq does not know stays as it is: later versions may."""
    audited = table.needed_whole("audit_per_mille", 100)
    if not 0 <= audited <= 1000:
        raise table.wrong("audit_per_mille", f"is {audited}", "Write how many of a thousand: from 0 to 1000.")
    rules: dict[str, JSON] = {"audit_per_mille": audited}
    for key in ("strategies", "tasks"):
        if names := table.texts(key):
            rules[key] = list(names)
    older = table.text("older_models", "given")
    if older not in {"given", "withheld"}:
        raise table.wrong("older_models", f"is '{older}'", 'Write "given" or "withheld".')
    rules["older_models"] = older
    rules["release_checks"] = checks = table.needed_whole("release_checks", 1)
    if checks < 0:
        raise table.wrong("release_checks", f"is {checks}", "Write how many members: 0 or more.")
    if RETENTION in table:
        rules[RETENTION] = _read_retention(table.table(RETENTION))
    return rules | table.signed_rest()


def _read_retention(table: Table) -> dict[str, JSON]:
    models = table.needed_whole("models", None)
    if models < 1:
        raise table.wrong("models", f"is {models}", "Write how many models of each site are kept: 1 or more.")
    table.end()
    return {"models": models}


def found(home: Home, charter: Charter) -> Seat:
    """Make the repository of a new federation; its founder's vote is written when it is opened to act.

    Raises:
        Misuse: this site is none of the founders.
        Conflict: the federation is here already.
        Refused: the charter is a simulation's.
    """
    if home.key().public not in charter.names_by_site_key:
        raise Misuse("found-other", "This site is none of the founders.", "Found it at one of them.")
    refuse_simulated(charter)
    seat = home.new_seat(charter.title, charter.digest)
    make_seat(home, seat, charter, secret=None)
    seat.decisions.let_run(installed())
    return seat


def invite(
    home: Home, seat: Seat, bench: Bench, key: SiteKey, *, only_for: Member | None = None
) -> tuple[str, list[ImagiqError]]:
    """Make an invitation, and lay its introduction on the remotes. Nothing is written to the repository.

    Args:
        home: The site's home.
        seat: Whose federation.
        bench: Its repository; for reading is enough.
        key: The site's key there.
        only_for: Who alone can use it; None: whoever has the text.

    Returns:
        The text, and why some remotes did not take the introduction.

    Raises:
        Misuse: there is no remote to meet at.
        Unreachable: no remote took the introduction.
    """
    remotes = seat.remotes()
    if not remotes:
        raise Misuse(
            "invite-no-remote",
            "There is no remote where a newcomer could find anything.",
            "Add one with `imagiq remote add`.",
        )
    charter = bench.standing.charter
    if key.public not in charter.names_by_site_key:
        raise Refused("site-no-member", "This site is no member of the federation.", "Ask a member to invite.")
    ring = Keyring.open(bench.store, key)
    studies = tuple(described(steps.study) for _, steps in sorted(bench.studies.items()))
    introduction = Introduction(founding=bench.founding, charter=charter, studies=studies).raw()
    invitation = Invitation.new(
        introduction,
        federation=bench.founding.digest,
        sponsor=key.public,
        secret=ring.federation.secret,
        remotes=made_public(seat, remotes),
    )
    failed: list[ImagiqError] = []
    for settings in remotes:
        try:
            remote = connect(settings, key, base=seat.path)
            try:
                invitation.publish(remote, introduction)
            finally:
                remote.close()
        except Unreachable as error:
            failed.append(error)
    if len(failed) == len(remotes):
        raise failed[0]
    kept = seat.noted("invitations")
    earlier = kept if isinstance(kept, list) else []
    seat.note("invitations", [*earlier[-INVITATIONS_KEPT:], invitation.record()])
    write_admission(home, seat, bench, key)
    return invitation.text(exchange_key=None if only_for is None else only_for.exchange_key), failed


def my_key(seat: Seat, bench: Bench) -> SiteKey:
    """Return the key that the site has in a federation.

    Raises:
        Refused: the repository has none.
    """
    seed = bench.store.secret_read("site")
    if seed is None:
        raise Refused("seat-no-keys", f"{seat.path} has no keys to write with.", "Restore `secrets` from a backup.")
    return SiteKey(seed)


def my_name(home: Home, seat: Seat, bench: Bench) -> str:
    """Return what the ruling charter calls this site, by its key or by the one that it has made since; else its own name."""
    names = {} if bench.standing.ruling is None else bench.standing.ruling.names_by_site_key
    keys = (my_key(seat, bench).public, home.key().public)
    return next((names[key] for key in keys if key in names), home.settings.name)
