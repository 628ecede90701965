"""Serving: who may come to a listener over a sealed folder, and below which pseudonym each may write.

The list is a file that tells no secret: a key and a pseudonym on each line. A site keeps the one of its own federation
up to date, and hands it to whoever keeps a relay; a listener reads it again when it changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from imagiq.bench import Bench
from imagiq.errors import Misuse, NotFound
from imagiq.exchange import Keyring
from imagiq.keys import SiteKey
from imagiq.site.home import Home, Seat
from imagiq.site.invitation import invitations_made
from imagiq.site.keyfile import site_key, write_file, write_key
from imagiq.site.settings import RemoteSettings
from imagiq.store.owned import reading

__all__ = [
    "ADMITTED",
    "SERVED",
    "admission_text",
    "admitted",
    "listener_key",
    "made_public",
    "parse_admission",
    "read_admission",
    "serve_own",
    "write_admission",
]

ADMITTED: Final = "admitted"
"""The file beside a federation's repository that lists who may come."""
SERVED: Final = "served"
"""The folder there that the site's own listener serves."""
LINES_LIMIT: Final = 100_000
_HEX: Final = frozenset("0123456789abcdef")


@dataclass(frozen=True, kw_only=True)
class Own:
    """What a site's own listener needs.

    Attributes:
        folder: What it serves; the site itself exchanges there, too.
        members: The file that lists who may come.
    """

    folder: Path
    members: Path


def admitted(seat: Seat, bench: Bench, key: SiteKey, *, next_key: SiteKey | None = None) -> dict[str, str]:
    """Return the pseudonyms of those who may come, by key: the members, and who holds an invitation of this site.

    Args:
        seat: The federation.
        bench: Its repository; for reading is enough.
        key: The site's key there.
        next_key: The one that it has made since and that no charter names yet.
    """
    federation = Keyring.open(bench.store, key).federation
    charter = bench.standing.charter
    keys = {*charter.names_by_site_key} | ({next_key.public} if next_key is not None else set())
    guests = {
        invitation.guest.public: invitation.mailbox
        for invitation in invitations_made(seat, bench.founding.digest, key.public, federation.secret)
    }
    return guests | {site: federation.pseudonym(site) for site in keys}


def admission_text(admits: Mapping[str, str]) -> str:
    """Return the text of a list."""
    lines = [
        "# Who may come, by key, and the pseudonym below which each may write. `imagiq members --for-relay` prints it."
    ]
    return "\n".join([*lines, *(f"{key} {name}" for key, name in sorted(admits.items()))]) + "\n"


def parse_admission(text: str, path: Path) -> dict[str, str]:
    """Read a list.

    Raises:
        Misuse: a line is none.
    """
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines()[:LINES_LIMIT], start=1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        if len(words) != 2 or any(len(word) != 64 or set(word) - _HEX for word in words):
            raise Misuse(
                "admission-line",
                f"{path}, line {number}, is no key with its pseudonym.",
                "Write what `imagiq members --for-relay` prints at a member.",
            )
        found[words[0]] = words[1]
    return found


def read_admission(path: Path) -> dict[str, str]:
    """Read a file with a list; raises as :func:`parse_admission` does.

    Raises:
        NotFound: there is none.
        Unreachable: it cannot be read.
    """
    missing = NotFound(
        "admission-missing", f"There is no list of members {path}.", "Write one: `imagiq members --for-relay`."
    )
    with reading(path, missing):
        return parse_admission(path.read_text("ascii", "replace"), path)


def write_admission(home: Home, seat: Seat, bench: Bench, key: SiteKey) -> None:
    """Bring the list of a site's own listener up to date, where it has one.

    Raises:
        Unreachable: the disk does not take it.
    """
    path = seat.path / ADMITTED
    if not path.exists():
        return
    text = admission_text(admitted(seat, bench, key, next_key=home.key()))
    if path.read_text("ascii", "replace") != text:
        write_file(path, text.encode("ascii"))


def serve_own(home: Home, seat: Seat, bench: Bench, key: SiteKey) -> Own:
    """Prepare a site's own listener: its folder, a remote there, and the list of who may come.

    Raises:
        Unreachable: the disk does not take it.
    """
    folder, members = seat.path / SERVED, seat.path / ADMITTED
    folder.mkdir(mode=0o700, exist_ok=True)
    if not members.exists():
        write_file(members, b"")
    write_admission(home, seat, bench, key)
    remotes = seat.remotes()
    if all(remote.address != SERVED for remote in remotes):
        seat.write_remotes((*remotes, RemoteSettings(name=SERVED, kind="folder", address=SERVED)))
    return Own(folder=folder, members=members)


def listener_key(path: Path) -> SiteKey:
    """Return the key of a listener; the first call makes it. It opens nothing, and only tells listeners apart.

    Raises:
        Refused: others can read it.
        Corrupt: it is damaged.
    """
    if not path.exists():
        write_key(path, SiteKey.new().seed)
    return site_key(path)


def made_public(seat: Seat, remotes: tuple[RemoteSettings, ...]) -> tuple[RemoteSettings, ...]:
    """Return remotes as others reach them: a site's own served folder by its listener's address."""
    noted = seat.noted("listener")
    if not isinstance(noted, Mapping):
        return remotes
    address, key = str(noted.get("address")), str(noted.get("key"))
    public = RemoteSettings(name="listener", kind="https", address=address, key=key)
    return tuple(public if remote.address == SERVED else remote for remote in remotes)
