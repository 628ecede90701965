"""The supervisor: one process for a home, with all its federations and one place to work.

Every federation has its lines to remotes; see :mod:`imagiq.site.line`. One thread works: it does one action after the
other, of whichever federation has waited longest, in a learner's worker or here. The calling thread looks after the rest:
what the owner changes in the home, and the status that others can read.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from threading import Event, Thread
from typing import Final

from imagiq.clock import Clock, SystemClock
from imagiq.errors import ImagiqError
from imagiq.exchange import Closed
from imagiq.site.home import Home, Seat
from imagiq.site.line import pause_s, unless
from imagiq.site.running import Hooks, Running, Told
from imagiq.site.site import Planned
from imagiq.site.snapshot import closed_status, running_status
from imagiq.site.status import FederationStatus, Status, write_status

__all__ = ["Supervisor"]

TICK_S: Final = 0.5
"""How often it is looked whether the owner has decided or set something."""
STATUS_EVERY_S: Final = 0.5
LONGEST_WAIT_S: Final = 3600.0
WATCHED: Final = ("remotes.toml", "decisions", "../../policy.toml", "../../site.toml")


class Supervisor:
    """A running home; the caller holds its lock. Run it with :meth:`run`, and stop it from anywhere with :meth:`stop`.

    Args:
        home: The home.
        tell: Is told what happened; any thread calls it.
        clock: Where the time comes from.
    """

    def __init__(
        self, home: Home, *, tell: Callable[[Told], None] = lambda _: None, clock: Clock | None = None
    ) -> None:
        self._home = home
        self._clock = clock or SystemClock()
        self._stopping, self._work_due, self._has_changed = Event(), Event(), Event()
        self._hooks = Hooks(tell=tell, changed=self._note_change, moved=self._has_changed.set, run=self._start)
        self._running: dict[str, Running] = {}
        self._closed_until_s: dict[str, tuple[float, int]] = {}
        self._not_open: dict[str, FederationStatus] = {}
        self._marks: dict[tuple[str, str], tuple[int, ...]] = {}
        self._worked: dict[str, int] = {}
        self._to_reopen: set[str] = set()
        self._is_unseen = False
        self._broken: BaseException | None = None
        self._written_s = float("-inf")
        self.status = Status(pid=os.getpid())

    def stop(self) -> None:
        """Let :meth:`run` come to its end soon; what is not finished is abandoned, and done again another time."""
        self._stopping.set()
        self._work_due.set()

    def run(self, *, tick: Callable[[Status], None] = lambda _: None) -> None:
        """Run until :meth:`stop`.

        Args:
            tick: Called twice a second with how all is.

        Raises:
            Exception: something that nobody expected happened in one of the threads; all of them have ended.
        """
        try:
            self._look_at_home()
            self._start("work", unless(self._stopping, self._work_for_ever))
            while not self._stopping.wait(TICK_S):
                self._look_at_home()
                self._write_status()
                tick(self.status)
        finally:
            self.stop()
            for running in self._running.values():
                with suppress(ImagiqError):
                    running.close()
        if self._broken is not None:
            raise self._broken

    # ------------------------------------------------------------------------------------------------- threads

    def _start(self, name: str, target: Callable[[], None]) -> Thread:
        thread = Thread(target=self._guard, args=(target,), name=name, daemon=True)
        thread.start()
        return thread

    def _guard(self, target: Callable[[], None]) -> None:
        """Run a thread. What nobody expects ends the whole process: never half a site that looks alive."""
        try:
            target()
        except Closed:
            return
        except BaseException as error:  # noqa: BLE001 - the edge of a thread; run() raises it
            self._broken = self._broken or error
            self.stop()

    def _note_change(self) -> None:
        self._has_changed.set()
        self._work_due.set()

    def _work_for_ever(self) -> None:
        while not self._stopping.is_set():
            self._work_due.clear()
            chosen, until_s = self._choose()
            if chosen is not None:
                running, planned = chosen
                self._worked[running.name] = max(self._worked.values(), default=0) + 1
                with suppress(Closed):  # that one federation was closed, or is opened anew
                    running.perform(planned)
                continue
            wait_s = LONGEST_WAIT_S if until_s is None else max(0.0, until_s - self._clock.now_s())
            self._work_due.wait(min(wait_s, LONGEST_WAIT_S))

    def _choose(self) -> tuple[tuple[Running, Planned] | None, float | None]:
        """Return what to do, of the federation that has waited longest, or when to look again."""
        waits: list[float] = []
        order = sorted(self._running.values(), key=lambda running: self._worked.get(running.name, 0))
        for running in order:
            if running.name in self._to_reopen:
                continue
            try:
                planned = running.plan()
            except Closed:
                continue
            if isinstance(planned, Planned):
                return (running, planned), None
            if planned.until_s is not None:
                waits.append(planned.until_s)
        return None, min(waits, default=None)

    # --------------------------------------------------------------------------------------------------- home

    def _look_at_home(self) -> None:
        """Open what is there, and take in what the owner has changed."""
        for seat in self._seats():
            running = self._running.get(seat.name)
            if running is not None and self._is_to_reopen(running):
                del self._running[seat.name]
                self._to_reopen.discard(seat.name)
                running.close()
                running = None
                self._hooks.tell(
                    Told(federation=seat.name, what="opened anew, since its settings or keys have changed")
                )
            if running is None:
                self._open(seat)
            elif self._has_new(seat, "remotes.toml"):
                self._connect(running, seat)
            elif self._has_new(seat, "decisions") or self._has_new(seat, "../../policy.toml"):
                running.look_again(insist=True)

    def _seats(self) -> tuple[Seat, ...]:
        """Return the federations; while the home cannot be looked at, those that run go on."""
        try:
            seats = self._home.seats()
        except ImagiqError as error:
            if not self._is_unseen:
                self._hooks.tell(Told(federation="", what=self._home.path.name, error=error))
            self._is_unseen = True
            return ()
        self._is_unseen = False
        return seats

    def _is_to_reopen(self, running: Running) -> bool:
        """Tell whether a federation has a new key, or the site new settings; what is being done is finished first.

        Nothing else is begun until then: a site that always has something to do would never come to it.
        """
        seat = running.session.seat
        if running.needs_reopening or self._has_new(seat, "../../site.toml", peek=True):
            self._to_reopen.add(seat.name)
        return seat.name in self._to_reopen and running.doing is None

    def _open(self, seat: Seat) -> None:
        """Open a federation; one that cannot be opened for now keeps no other from running."""
        try_at_s, failures = self._closed_until_s.get(seat.name, (0.0, 0))
        has_new = [name for name in WATCHED if self._has_new(seat, name)]
        if self._clock.now_s() < try_at_s and not has_new:
            return
        try:
            self._running[seat.name] = Running(Home(self._home.path), seat, clock=self._clock, hooks=self._hooks)
        except ImagiqError as error:
            self._closed_until_s[seat.name] = (self._clock.now_s() + pause_s(failures + 1), failures + 1)
            before, status = self._not_open.get(seat.name), closed_status(seat, error)
            if before is None or before.trouble != status.trouble:
                self._hooks.tell(Told(federation=seat.name, what="", error=error))
            self._not_open[seat.name] = status
            self._has_changed.set()
            return
        self._closed_until_s.pop(seat.name, None)
        self._not_open.pop(seat.name, None)
        self._note_change()

    def _connect(self, running: Running, seat: Seat) -> None:
        try:
            running.connect(seat.remotes())
        except ImagiqError as error:
            self._hooks.tell(Told(federation=seat.name, what="remotes.toml", error=error))

    def _has_new(self, seat: Seat, name: str, *, peek: bool = False) -> bool:
        """Tell whether something in a federation's folder, or in the home, has changed since it was last asked."""
        key = (seat.name, name)
        try:
            status = (seat.path / name).stat()
            mark: tuple[int, ...] = (status.st_mtime_ns, status.st_size, status.st_ino)
        except OSError:
            mark = ()
        is_new = self._marks.get(key) != mark
        if not peek:
            self._marks[key] = mark
        return is_new

    # -------------------------------------------------------------------------------------------------- status

    def _write_status(self) -> None:
        """Write how all is, if that has changed; a disk that does not take it keeps nobody from going on."""
        now_s = self._clock.now_s()
        is_busy = any(running.doing is not None for running in self._running.values())
        if now_s - self._written_s < STATUS_EVERY_S or not (self._has_changed.is_set() or is_busy):
            return
        self._has_changed.clear()
        self._written_s = now_s
        open_ones = (running_status(running) for running in list(self._running.values()))
        every = {one.name: one for one in (*open_ones, *self._not_open.values())}
        status = Status(pid=os.getpid(), federations=tuple(every[name] for name in sorted(every)))
        if status != self.status:
            self.status = status
            with suppress(ImagiqError):
                write_status(self._home.path, status)
