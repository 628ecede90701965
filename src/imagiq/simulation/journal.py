"""The journal of a simulation: what happened, in order, from which :meth:`World.replay` makes the same bytes again.

A file of JSON lines. The first says what the file is; the last holds, for each site, the digest of all commits that it
knew in the end; those between are the events. Numbers that an event leaves out are those of a visit without mishap.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from imagiq.errors import Corrupt, NotFound, Unreachable
from imagiq.objects import Digest
from imagiq.simulation.network import Mishap

__all__ = ["Event", "Journal", "read_journal"]

KIND = "imagiq simulation journal"
HAPPENINGS = frozenset({"look", "finish", "visit", "crash", "start", "heal"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened, as the journal keeps it.

    Attributes:
        at_s: When, on the virtual clock.
        what: "look", "finish", "visit", "crash", "start" or "heal".
        site: To whom.
        peer: Whom it visited.
        mishap: What went wrong in the visit.
    """

    at_s: float
    what: str
    site: str
    peer: str = ""
    mishap: Mishap = field(default_factory=Mishap)


@dataclass(frozen=True, kw_only=True)
class Journal:
    """A journal as it rests in a file.

    Attributes:
        seed: The scenario's seed.
        studies: Titles of the studies that ran.
        scenario: Digest of the copy of the scenario's file that lies beside the journal; "": there is none.
        events: What happened.
        histories: Digest of all commits that a site knew in the end, by the site's name; none: the simulation
            did not come to its end.
    """

    seed: int
    studies: tuple[str, ...]
    scenario: str = ""
    events: Sequence[Event] = ()
    histories: Mapping[str, Digest] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        """Write the journal into a file.

        Raises:
            Unreachable: the file cannot be written.
        """
        first = {"kind": KIND, "format": 0, "seed": self.seed, "studies": self.studies, "scenario": self.scenario}
        lines: list[Mapping[str, object]] = [first]
        lines += map(_to_json, self.events)
        lines.append({"histories": self.histories})
        try:
            path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="ascii")
        except OSError as error:
            raise Unreachable(
                "journal-write", f"{path} cannot be written: {error.strerror}.", "Check its folder and rights."
            ) from error


def read_journal(path: Path) -> Journal:
    """Read a journal from a file.

    Raises:
        NotFound: there is no such file.
        Unreachable: it cannot be read.
        Corrupt: it is no journal, or damaged.
    """
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="ascii").splitlines()]
        first, *events, last = lines
        if first["kind"] != KIND or first["format"] != 0:
            raise _no_journal(path)
        return Journal(
            seed=int(first["seed"]),
            studies=tuple(map(str, first["studies"])),
            scenario=str(first["scenario"]),
            events=[_from_json(event) for event in events],
            histories={str(name): Digest(str(digest)) for name, digest in last["histories"].items()},
        )
    except FileNotFoundError as error:
        raise NotFound("journal-missing", f"There is no file {path}.", "Check its name and folder.") from error
    except OSError as error:
        raise Unreachable("journal-read", f"{path} cannot be read: {error.strerror}.", "Check its rights.") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _no_journal(path) from error


def _no_journal(path: Path) -> Corrupt:
    return Corrupt(
        "journal-form",
        f"{path} is no whole journal of a simulation.",
        "Name the journal.jsonl that a simulation wrote.",
    )


def _to_json(event: Event) -> Mapping[str, object]:
    line: dict[str, object] = {"at_s": event.at_s, "what": event.what, "site": event.site}
    if event.peer:
        line["peer"] = event.peer
    if event.mishap.lost:
        line["lost"] = True
    if event.mishap.cut_after is not None:
        line["cut_after"] = event.mishap.cut_after
    if event.mishap.shuffle is not None:
        line["shuffle"] = event.mishap.shuffle
    return line


def _from_json(line: Mapping[str, object]) -> Event:
    if line["what"] not in HAPPENINGS:
        raise ValueError(line["what"])
    cut_after, shuffle = line.get("cut_after"), line.get("shuffle")
    return Event(
        at_s=float(str(line["at_s"])),
        what=str(line["what"]),
        site=str(line["site"]),
        peer=str(line.get("peer", "")),
        mishap=Mishap(
            lost=line.get("lost") is True,
            cut_after=None if cut_after is None else int(str(cut_after)),
            shuffle=None if shuffle is None else int(str(shuffle)),
        ),
    )
