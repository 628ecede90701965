"""How a site is: per federation its remotes, the other sites, and what it does and waits for. Values, and the file of them.

The file is written by the site's process and read by anybody; times in it are on the machine's monotonic clock, which all
processes share, so that no change of the date makes them wrong.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from imagiq.errors import Corrupt, NotFound
from imagiq.store.owned import writing

__all__ = [
    "FederationStatus",
    "FetchStatus",
    "RemoteStatus",
    "SiteStatus",
    "Status",
    "StudyStatus",
    "Trouble",
    "UnheardStatus",
    "UnreadStatus",
    "read_status",
    "status_of",
    "write_status",
]

FILE: Final = "status.json"
SIZE_LIMIT: Final = 16 * 2**20
SPARE: Final = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """What is wrong, as an error's code and sentences."""

    code: str
    what: str
    advice: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteStatus:
    """A remote.

    Attributes:
        name: What the owner calls it.
        kind: ``folder``, ``bucket`` or ``https``.
        address: Its path or URL.
        doing: ``connects``, ``reads``, ``writes``, ``listens`` or ``waits``; "": nothing runs.
        contact_s: When it last did what was asked.
        trouble: Why it does not.
    """

    name: str
    kind: str
    address: str
    doing: str = ""
    contact_s: float | None = None
    trouble: Trouble | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteStatus:
    """A member.

    Attributes:
        name: Its name in the charter.
        is_me: Whether it is this site.
        heard_s: When news of it last came here; None: not since this process runs.
        by: By which remote they came.
        made: When its newest commit was made, as it says; "": none is known.
        last: What that commit is, in a few words.
    """

    name: str
    is_me: bool
    heard_s: float | None
    by: str
    made: str
    last: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyStatus:
    """A study.

    Attributes:
        digest: Its name.
        title: What people call it.
        state: ``trains``, ``merges``, ``evaluates``, ``waits``, ``asks``, ``refused``, ``not asked``, ``ended`` or ``done``.
        why: What it waits for, or why the owner is asked.
        share: How much of what it does now is done, from 0 to 1; None: that is not known.
        steps: How many training commits each site makes.
        made: How many each has made.
    """

    digest: str
    title: str
    state: str
    why: str = ""
    share: float | None = None
    steps: int = 0
    made: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchStatus:
    """A model that is being fetched.

    Attributes:
        commit: Whose model it is.
        site: Its author.
        what: What it is, in a few words, such as ``training 12``.
        done: How many bytes have come of those that were lacking.
        lacked: How many these were.
    """

    commit: str
    site: str
    what: str
    done: int
    lacked: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UnheardStatus:
    """A feed of which members know commits that have not come here.

    Attributes:
        site: Whose feed it is; "": nothing of it is here.
        feed: Its key.
        here: The number of its last commit here; 0: there is none.
        known_to: Who knows more, each with the number that it knows of.
        since_s: Since when that shows here.
    """

    site: str
    feed: str
    here: int
    known_to: Mapping[str, int]
    since_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadStatus:
    """What a site sends and this version of imagiq cannot read.

    Attributes:
        site: The site; "": that is not known.
        by: By which remote it came first.
        objects: How many there are.
        what: What is wrong with them.
        advice: What to do.
    """

    site: str
    by: str
    objects: int
    what: str
    advice: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FederationStatus:
    """A federation.

    Attributes:
        name: What it is called at this site.
        title: Its charter's title.
        version: Of its ruling charter; 0: none is in force.
        is_member: Whether this site is a member.
        why_not: Why nothing is written, or nothing new begun, for now.
        trouble: What is wrong here.
        remotes: Its remotes.
        sites: Its members.
        studies: Its studies.
        unheard: What members know and no remote gives.
        unread: What came and cannot be read.
        fetching: The model that is being fetched; None: none is.
    """

    name: str
    title: str = ""
    version: int = 0
    is_member: bool = False
    why_not: str = ""
    trouble: Trouble | None = None
    remotes: tuple[RemoteStatus, ...] = ()
    sites: tuple[SiteStatus, ...] = ()
    studies: tuple[StudyStatus, ...] = ()
    unheard: tuple[UnheardStatus, ...] = ()
    unread: tuple[UnreadStatus, ...] = ()
    fetching: FetchStatus | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """A site. ``pid``: the process that runs it; None: none does."""

    pid: int | None
    federations: tuple[FederationStatus, ...] = ()


def write_status(home: Path, status: Status) -> None:
    """Write the file in place of the one before. It need not outlive a power cut: who reads it asks who wrote it.

    On a full disk the file that is there is written over; it is larger than it needs to be, so that there is room.

    Raises:
        Unreachable: the disk does not take it.
    """
    new, content = home / f"{FILE}.new", json.dumps(asdict(status)).encode("ascii")
    with writing(home / FILE):
        try:
            new.unlink(missing_ok=True)
            new.touch(mode=0o600)
            new.write_bytes(content.ljust(len(content) + SPARE))
            new.replace(home / FILE)
        except OSError:
            new.unlink(missing_ok=True)
            with (home / FILE).open("r+b") as file:
                room = file.seek(0, os.SEEK_END)
                if len(content) > room:
                    raise
                file.seek(0)
                file.write(content.ljust(room))


def status_of(home: Path, pid: int | None) -> Status | None:
    """Return what a site says that runs as this process; None: it says nothing yet, or the process is another command."""
    if pid is None:
        return None
    try:
        status = read_status(home)
    except (Corrupt, NotFound):
        return None
    return status if status.pid == pid else None


def read_status(home: Path) -> Status:
    """Read the file.

    Raises:
        NotFound: there is none.
        Corrupt: it is none that this version writes.
    """
    try:
        with (home / FILE).open("rb") as file:
            return _parse(json.loads(file.read(SIZE_LIMIT)))
    except FileNotFoundError as error:
        raise NotFound("status-missing", "The site has never run.", "Start it with `imagiq up`.") from error
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise Corrupt("status-damaged", "The status file is damaged.", "Ask again in a second.") from error


def _parse(raw: Any) -> Status:  # noqa: ANN401 - what a file holds
    return Status(pid=raw["pid"], federations=tuple(map(_federation, raw["federations"])))


def _federation(raw: dict[str, Any]) -> FederationStatus:
    remotes = (RemoteStatus(**{**one, "trouble": _trouble(one["trouble"])}) for one in raw.pop("remotes"))
    sites, studies = (SiteStatus(**one) for one in raw.pop("sites")), (StudyStatus(**one) for one in raw.pop("studies"))
    unheard = (UnheardStatus(**one) for one in raw.pop("unheard"))
    unread = (UnreadStatus(**one) for one in raw.pop("unread"))
    fetching = raw.pop("fetching")
    return FederationStatus(
        trouble=_trouble(raw.pop("trouble")),
        remotes=tuple(remotes),
        sites=tuple(sites),
        studies=tuple(studies),
        unheard=tuple(unheard),
        unread=tuple(unread),
        fetching=None if fetching is None else FetchStatus(**fetching),
        **raw,
    )


def _trouble(raw: dict[str, str] | None) -> Trouble | None:
    return None if raw is None else Trouble(**raw)
