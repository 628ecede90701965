"""What came and this version cannot read: from whom, and why. Nothing is lost by it; a later version takes it in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from imagiq.errors import Unsupported
from imagiq.federation import Standing
from imagiq.history import History
from imagiq.objects import JSON, Digest, parse_digest
from imagiq.store import Journal

__all__ = ["Unread", "UnreadRoom"]

KEPT: Final = 256
"""So many objects are remembered of one site; what comes beyond is not counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """What cannot be read of one site.

    Attributes:
        site: The key of the site under whose seal it came; "": that is not known.
        source: By which remote it came first.
        count: How many objects.
        what: What is wrong with the first of them.
        advice: What to do.
    """

    site: str
    source: str
    count: int
    what: str
    advice: str


class UnreadRoom:
    """The objects that this version cannot read, by site; of what came under no site's seal, by remote.

    Args:
        journal: Where they are remembered; None: nowhere.
    """

    def __init__(self, journal: Journal | None) -> None:
        self._journal = journal
        self._found: dict[tuple[str, str], dict[Digest, Unread]] = {}

    def note(self, name: Digest, site: str, source: str, error: Unsupported, *, lasts: bool = True) -> None:
        """Remember an object.

        Args:
            name: Its digest.
            site: The key of the site under whose seal it came; "": that is not known.
            source: By which remote.
            error: Why it cannot be read.
            lasts: Whether to remember it over a restart: one can tell by its digest when it was read.
        """
        one = Unread(site=site, source=source, count=1, what=error.what, advice=error.advice)
        if self._keep(name, one) and lasts and self._journal is not None:
            fields: dict[str, JSON] = {"site": site, "source": source, "what": error.what, "advice": error.advice}
            self._journal.append([{"kind": "unread", "name": name, **fields}], durable=False)

    def recall(self, records: Iterable[Mapping[str, JSON]]) -> None:
        """Remember what a journal says."""
        for record in records:
            if record.get("kind") == "unread":
                site, source, what, advice = (str(record.get(f)) for f in ("site", "source", "what", "advice"))
                one = Unread(site=site, source=source, count=1, what=what, advice=advice)
                self._keep(parse_digest(record.get("name"), "A journal's object"), one)

    def _keep(self, name: Digest, one: Unread) -> bool:
        objects = self._found.setdefault((one.site, "" if one.site else one.source), {})
        if name in objects or len(objects) >= KEPT:
            return False
        objects[name] = one
        return True

    def listed(self, history: History, standing: Standing) -> tuple[Unread, ...]:
        """Return what still cannot be read, one for each site, sorted; what is known by now could be read since."""
        found = []
        for _, objects in sorted(self._found.items()):
            left = [one for name, one in objects.items() if name not in history and name not in standing.charters]
            if left:
                found.append(replace(left[0], count=len(left)))
        return tuple(found)
