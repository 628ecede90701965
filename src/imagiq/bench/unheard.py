"""What members know and this store does not, and since when that shows here."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from imagiq.bench.admission import waiting_in
from imagiq.bench.bench import Bench
from imagiq.errors import ImagiqError
from imagiq.federation.unheard import Unheard
from imagiq.objects import digest_of

__all__ = ["unheard"]


def unheard(bench: Bench) -> Mapping[Unheard, float]:
    """Return the feeds of which members know more than this store, each with the time since when that is known here.

    The time is on the clock that the bench was given. Commits that wait for others are witnesses, too: a relay that
    withholds what others stand on keeps those waiting.
    """
    if bench.read_only:  # it takes nothing in, so nothing waits in it
        for raw, _, at_ms in waiting_in(bench.store.journal.read()):
            with suppress(ImagiqError):
                bench.known.witnessed.note(bench.checks.commit(raw))
                bench.first_seen_s.setdefault(digest_of(raw), at_ms / 1000)
    found = bench.known.witnessed.unheard(bench.standing)
    return {one: min(bench.first_seen_s.get(commit, 0.0) for commit in one.said_in) for one in found}
