"""What whoever watches a simulation is told."""

from __future__ import annotations

from dataclasses import dataclass

from imagiq.federation import Work
from imagiq.history import Entry
from imagiq.learning import Advance
from imagiq.objects import Digest

__all__ = ["Happening"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """Something that whoever watches a simulation may want to show.

    Attributes:
        at_s: When, on the virtual clock.
        site: Where.
        what: "began", "advance", "commit", "failed", "crash" or "start"; "advance" comes from any thread.
        study: In which study, where it belongs to one.
        work: What was begun, or failed.
        entry: What was committed.
        took_s: How long the work took that ended with this.
        advance: How far a training is.
    """

    at_s: float
    site: str
    what: str
    study: Digest | None = None
    work: Work | None = None
    entry: Entry | None = None
    took_s: float = 0.0
    advance: Advance | None = None
