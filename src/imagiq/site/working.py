"""One action of a site that does not run all the time: pull, act once, push."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass

from imagiq.errors import ImagiqError
from imagiq.federation import Finished, Wait
from imagiq.history import Entry
from imagiq.site.home import Home, Seat
from imagiq.site.retaining import Retainer
from imagiq.site.session import Session, open_seat
from imagiq.site.site import Planned
from imagiq.site.syncing import Synced, connected, sync_with

__all__ = ["Worked", "work_once"]


@dataclass(frozen=True, kw_only=True)
class Worked:
    """What came of it in one federation.

    Attributes:
        federation: What it is called here.
        synced: What came and went, the last time.
        action: ``train``, ``merge`` or ``evaluate``; "": there was nothing to do.
        entry: The commit that came of it.
        error: Why it failed.
        why: What is waited for, if there was nothing to do.
        is_done: Whether nothing is left to do in any study here.
    """

    federation: str
    synced: Synced
    action: str = ""
    entry: Entry | None = None
    error: ImagiqError | None = None
    why: str = ""
    is_done: bool = False


def work_once(home: Home, seats: tuple[Seat, ...]) -> list[Worked]:
    """Sync the federations, one after the other, until one has something to do; do that, and publish it.

    The caller holds the home's lock.

    Raises:
        ImagiqError: the own disk failed, or a repository cannot be opened.
    """
    found: list[Worked] = []
    for seat in seats:
        with open_seat(home, seat) as session, ExitStack() as stack:
            found.append(_work(session, stack))
        if found[-1].action:
            break
    return found


def _work(session: Session, stack: ExitStack) -> Worked:
    name = session.seat.name
    peers, failed = connected(session, stack)
    synced = sync_with(session, peers).after(failed)
    planned = session.site.plan()
    if isinstance(planned, Wait):
        return Worked(federation=name, synced=synced, why=planned.why, is_done=_is_done(session))
    errors: list[ImagiqError] = []

    def failed_with(planned: Planned, error: ImagiqError) -> None:
        session.report(planned, error)
        errors.append(error)

    session.site.failed = failed_with
    entry = _performed(session, planned)
    synced = sync_with(session, peers).after(failed)
    error = errors[0] if errors else None
    return Worked(federation=name, synced=synced, action=type(planned.work).__name__.lower(), entry=entry, error=error)


def _performed(session: Session, planned: Planned) -> Entry | None:
    session.site.begin(planned)
    entry = session.site.finish(planned)
    retainer = Retainer(session.site)
    while retainer.is_due and retainer.forget().more:
        pass
    return entry


def _is_done(session: Session) -> bool:
    actions = session.site.actions().values()
    return session.site.paused is None and all(isinstance(action, Finished) for action in actions)
