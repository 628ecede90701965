"""A new key for a site, and charters that recovery keys sign."""

from __future__ import annotations

from pathlib import Path

from imagiq.bench.repository import open_repository
from imagiq.errors import Conflict
from imagiq.federation.membership import Change
from imagiq.federation.policy import Answer
from imagiq.federation.requests import NEW_KEY, apply_for
from imagiq.keys import FeedKey, SiteKey
from imagiq.objects import Member
from imagiq.site.founding import my_key
from imagiq.site.home import Home, Seat
from imagiq.site.keyfile import read_key, write_key
from imagiq.store.owned import writing

__all__ = ["make_recovery_key", "recovery_public", "rotate"]


def rotate(home: Home) -> list[Seat]:
    """Make a new key, and order a request for it in each federation where the site is a member. Who calls has the lock.

    Each federation's repository keeps the key in use there, until a charter names the new one.

    Raises:
        Conflict: an earlier new key is not in force everywhere yet.
        Unreachable: the disk does not take it.
    """
    members: list[tuple[Seat, Member]] = []
    for seat in home.seats():
        bench = open_repository(seat.path)
        ruling, key = bench.standing.ruling, my_key(seat, bench).public
        here = next((member for member in ruling.members if member.site_key == key), None) if ruling else None
        if here is not None and key != home.key().public:
            raise Conflict(
                "rotation-pending",
                f"The new key that this site made before is not in force in '{seat.name}' yet.",
                "Sync, and wait until the voters have approved it.",
            )
        if here is not None:
            members.append((seat, here))
    new = SiteKey.new()
    _replace_key(home, new)
    for seat, before in members:
        federation = open_repository(seat.path).founding.digest
        settings = home.settings
        request = apply_for(federation, new, before.name, wants=NEW_KEY, title=settings.title, contact=settings.contact)
        seat.decisions.order(request.recipe())
        seat.decisions.decide(Change(before, request.member), Answer.ACCEPT)
    return [seat for seat, _ in members]


def _replace_key(home: Home, key: SiteKey) -> None:
    new = home.key_file.with_name("site.new")
    with writing(home.key_file):
        new.unlink(missing_ok=True)
        write_key(new, key.seed)
        new.replace(home.key_file)


def make_recovery_key(path: Path) -> str:
    """Write a new recovery key to a file that is to be kept offline; return its public half, hexadecimal.

    Raises:
        Conflict: there is a file.
        Unreachable: the disk does not take it.
    """
    key = FeedKey.new()
    write_key(path, key.seed)
    return key.public


def recovery_public(path: Path) -> str:
    """Return the public half of a recovery key; raises as :func:`read_key` does."""
    return FeedKey(read_key(path)).public
