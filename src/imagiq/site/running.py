"""A federation that runs: its lines to the remotes, who fetches models from them, its clerk, and its work."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Event, Thread
from typing import Final

from imagiq.clock import Clock
from imagiq.errors import Corrupt, ImagiqError
from imagiq.exchange import Fetched, Turns
from imagiq.federation import Wait
from imagiq.history import Entry
from imagiq.learning import Advance
from imagiq.objects import Digest
from imagiq.site.acting import Done, act
from imagiq.site.home import Home, Seat
from imagiq.site.line import Line, pause_s, unless
from imagiq.site.retaining import Retainer, in_words
from imagiq.site.session import open_seat
from imagiq.site.settings import RemoteSettings
from imagiq.site.site import Planned
from imagiq.site.troubles import Troubles

__all__ = ["Hooks", "Running", "Told"]

LOOK_AGAIN_S: Final = 3600.0
CLERK, FETCH, PLAN, WORK = "the clerk", "to fetch", "to plan", "to work"
"""The parts that may be in trouble; a line's part is its remote's name, which has no space."""


@dataclass(frozen=True, kw_only=True)
class Told:
    """Something that happened, for whoever watches.

    Attributes:
        federation: Where, as this site calls it.
        what: In a few words.
        entry: The commit that came of it.
        error: What was wrong.
    """

    federation: str
    what: str
    entry: Entry | None = None
    error: ImagiqError | None = None


@dataclass(frozen=True, kw_only=True)
class Hooks:
    """What a running federation is given by who runs it.

    Attributes:
        tell: Is told what happened; any thread calls it.
        changed: Called when something may be to do.
        moved: Called when something is to be shown that leads to no work.
        run: Starts a thread that must not end by an error that nobody expects.
    """

    tell: Callable[[Told], None]
    changed: Callable[[], None]
    moved: Callable[[], None]
    run: Callable[[str, Callable[[], None]], Thread]


class Running:
    """See the module. It is opened when it is made.

    Args:
        home: The site's home, whose lock the caller holds.
        seat: The federation.
        clock: Where the time comes from.
        hooks: See :class:`Hooks`.

    Raises:
        ImagiqError: it cannot be opened for now.
    """

    def __init__(self, home: Home, seat: Seat, *, clock: Clock, hooks: Hooks) -> None:
        self.turns = Turns()
        self.session = open_seat(home, seat, clock=clock)
        self.lines: dict[str, Line] = {}
        self.doing: Planned | None = None
        self.advance: Advance | None = None
        self.fetching: tuple[Entry, Fetched] | None = None
        """The model that is being fetched, and how far that is."""
        self.needs_reopening = False
        self._clock = clock
        self._hooks = hooks
        self._troubles = Troubles()
        self._failures = 0
        self._try_again_s = 0.0
        self._unheard: set[str] = set()
        self._insists = True
        self._clerk_due, self._fetch_due, self._stopped = Event(), Event(), Event()
        self.session.started = True
        try:
            site = self.session.site
            self._retainer = Retainer(site)
            site.aside = self.turns.aside
            site.tell = self._note_advance
            site.failed = self._note_failure
            site.hold()
            self.connect(seat.remotes())
        except BaseException:
            self.close()  # else nobody could open the repository again
            raise
        hooks.run(f"clerk {seat.name}", unless(self._stopped, self._serve_for_ever))
        hooks.run(f"fetch {seat.name}", unless(self._stopped, self._fetch_for_ever))

    @property
    def name(self) -> str:
        """What the federation is called at this site."""
        return self.session.seat.name

    @property
    def trouble(self) -> ImagiqError | None:
        """Why something cannot be decided or written here for now."""
        return self._troubles.newest

    def connect(self, remotes: tuple[RemoteSettings, ...]) -> None:
        """Have a line to each of these remotes, and to no other."""
        wanted = {settings.name: settings for settings in remotes}
        for name in [name for name, line in self.lines.items() if wanted.get(name) != line.settings]:
            self.lines.pop(name).stop()
            self._be_well(name)
        new = [settings for name, settings in wanted.items() if name not in self.lines]
        self._unheard |= {settings.name for settings in new}
        for settings in new:
            self.lines[settings.name] = Line(
                settings, self.session, self.turns, clock=self._clock, listener=self, run=self._hooks.run
            )
        if not self.lines:
            with self.turns:
                self._go_alone_if_unheard()
        self._clerk_due.set()

    def look_again(self, *, insist: bool) -> None:
        """Take in what the owner has decided since."""
        self._insists |= insist
        self._try_again_s = 0.0
        self._clerk_due.set()
        self._hooks.changed()

    def close(self) -> None:
        """Stop: what is not finished is abandoned and done again another time, and nothing that was committed is lost."""
        self._stopped.set()
        self._clerk_due.set()
        self._fetch_due.set()
        for line in self.lines.values():
            line.stop()
        self.turns.close()
        self.session.close()

    # --------------------------------------------------------------------------------------------- what lines say

    def heard(self, line: Line, *, came: int, done: list[Done], is_back: bool) -> None:
        """A remote has answered; the calling thread has its turn."""
        self._unheard.discard(line.settings.name)
        self._tell_done(done)
        if came or done or is_back:
            self._clerk_due.set()
            self._fetch_due.set()
        if came or done:
            self._wake_others(line)

    def recovered(self, line: Line) -> None:
        """A remote does all that it is asked again."""
        self._be_well(line.settings.name)
        self._clerk_due.set()
        self._hooks.tell(Told(federation=self.name, what=f"{line.settings.name} answers again"))

    def failed(self, line: Line, error: ImagiqError, *, is_new: bool) -> None:
        """A remote, or the own disk, did not do what was asked."""
        if line.settings.name in self._unheard:
            with self.turns:
                self._unheard.discard(line.settings.name)
                self._go_alone_if_unheard()
            self._clerk_due.set()
        if not error.code.startswith("remote-"):
            self._be_in_trouble(line.settings.name, error)
        elif is_new:
            self._hooks.tell(Told(federation=self.name, what=line.settings.name, error=error))

    def moved(self, line: Line) -> None:  # noqa: ARG002 - one of many lines
        """A line's state has changed."""
        self._hooks.moved()

    def _go_alone_if_unheard(self) -> None:
        if not self._unheard and self.session.site.why_not is not None:
            self.session.site.go_alone()

    def _wake_others(self, line: Line | None) -> None:
        for other in list(self.lines.values()):
            if other is not line:
                other.wake()

    # ------------------------------------------------------------------------------------------------- the clerk

    def _serve_for_ever(self) -> None:
        """Vote, and write what the owner has ordered, whenever something was learnt or decided."""
        failures = 0
        while not self._stopped.is_set():
            self._clerk_due.wait(LOOK_AGAIN_S)
            self._clerk_due.clear()
            try:
                with self.turns:
                    done = self._serve()
            except ImagiqError as error:
                failures += 1
                self._be_in_trouble(CLERK, error)
                self._stopped.wait(pause_s(failures))
                self._clerk_due.set()
                continue
            failures = 0
            self._be_well(CLERK)
            self._tell_done(done)
            if done:
                self._wake_others(None)
            self._hooks.changed()

    def _serve(self) -> list[Done]:
        session = self.session
        if session.site.why_not is not None or self._stopped.is_set():
            return []
        insist, self._insists = self._insists, False
        try:
            done = act(session, insist=insist)
        except ImagiqError:
            self._insists |= insist
            raise
        self.needs_reopening = session.has_new_key
        return done

    def _tell_done(self, done: list[Done]) -> None:
        for one in done:
            self._hooks.tell(Told(federation=self.name, what=one.what, entry=one.entry, error=one.error))

    # ------------------------------------------------------------------------------------------------- fetching

    def _fetch_for_ever(self) -> None:
        """Fetch the models that the next actions need, from all remotes that answer, side by side."""
        failures = vain = 0
        while not self._stopped.is_set():
            self._fetch_due.wait(pause_s(vain) if vain else LOOK_AGAIN_S)
            self._fetch_due.clear()
            try:
                with self.turns:
                    came = self._fetch()
                    lacks = bool(self.session.site.wanted())
            except ImagiqError as error:
                failures += 1
                if not error.code.startswith("remote-"):  # else its line says so
                    self._be_in_trouble(FETCH, error)
                self._stopped.wait(pause_s(failures))
                self._fetch_due.set()
                continue
            self._be_well(FETCH)
            failures, vain = 0, vain + 1 if lacks and not came else 0
            if came:
                self._hooks.changed()

    def _fetch(self) -> bool:
        """Fetch, then say of merges what came of recomputing them; tell whether anything is new."""
        site, before = self.session.site, len(self.session.bench.history)
        lines = sorted(self.lines.values(), key=lambda line: line.is_slow)
        peers = [peer for line in lines if (peer := line.peer) is not None and not (line.is_slow and lines[0].peer)]
        try:
            came = site.fetch(peers, progress=self._note_fetched, kept=self._pass_on) if peers else 0
        finally:
            if self.fetching is not None:
                self.fetching = None
                self._hooks.moved()
        site.attest()
        said = len(self.session.bench.history) > before
        if said:
            self._wake_others(None)
        return bool(came) or said

    def _note_fetched(self, entry: Entry, fetched: Fetched) -> None:
        self.fetching = (entry, fetched)
        self._hooks.moved()

    def _pass_on(self, entry: Entry, pieces: Sequence[Digest]) -> None:
        for line in list(self.lines.values()):
            line.offer(entry, pieces)

    # ----------------------------------------------------------------------------------------------------- work

    def plan(self) -> Planned | Wait:
        """Choose what to do now; see :meth:`Site.plan`. A disk that fails is waited for."""
        now_s = self._clock.now_s()
        if self._try_again_s > now_s:
            return Wait(why="the disk", until_s=self._try_again_s)
        try:
            with self.turns:
                self._forget()
                planned = self.session.site.plan()
                lacks = isinstance(planned, Wait) and bool(self.session.site.wanted())
        except ImagiqError as error:
            self._be_in_trouble(PLAN, error)
            self._wait_after_failure()
            return Wait(why="the disk", until_s=self._try_again_s)
        self._be_well(PLAN, *([WORK] if isinstance(planned, Wait) else []))
        if lacks:
            self._fetch_due.set()
        return planned

    def _forget(self) -> None:
        """Forget a portion of what the charter's retention does not keep, now and then; no work is under way."""
        if self.session.site.why_not is not None or not self._retainer.is_due:
            return
        try:
            portion = self._retainer.forget()
        except Corrupt as error:
            self._hooks.tell(Told(federation=self.name, what="retention", error=error))
            return
        if portion.nbytes:
            what = f"forgot {portion.whole} models by the charter's retention, {in_words(portion.nbytes)}"
            self._hooks.tell(Told(federation=self.name, what=what))
        if portion.more:
            self._hooks.changed()

    def perform(self, planned: Planned) -> None:
        """Do it and commit the result; others have their turns while a learner works."""
        self.doing, self.advance = planned, None
        self._hooks.moved()
        entry, before = None, len(self.session.bench.history)
        try:
            with self.turns:
                self.session.site.begin(planned)
                entry = self.session.site.finish(planned)
            self._failures, self._try_again_s = 0, 0.0
            self._be_well(WORK)
        except ImagiqError as error:
            self._be_in_trouble(WORK, error)
            self._wait_after_failure()
        finally:
            self.doing = None
        if entry is not None:
            self._hooks.tell(Told(federation=self.name, what=entry.commit.recipe.name, entry=entry))
        if len(self.session.bench.history) > before:  # trouble is told by a commit, too
            self._wake_others(None)
        self._hooks.changed()

    def _note_advance(self, planned: Planned, advance: Advance) -> None:
        if planned == self.doing:
            self.advance = advance

    def _note_failure(self, planned: Planned, error: ImagiqError) -> None:
        what = f"{type(planned.work).__name__.lower()} in '{planned.study.title}'"
        self.session.report(planned, error)
        self._hooks.tell(Told(federation=self.name, what=what, error=error))

    def _be_in_trouble(self, part: str, error: ImagiqError) -> None:
        if error.code == "disk-full":
            self._retainer.look_again()
        if self._troubles.begin(part, error):
            self._hooks.tell(Told(federation=self.name, what="", error=error))
        self._hooks.changed()

    def _wait_after_failure(self) -> None:
        """Plan and work again after a while only."""
        self._failures += 1
        self._try_again_s = self._clock.now_s() + pause_s(self._failures)

    def _be_well(self, *parts: str) -> None:
        if self._troubles.end(*parts):
            self._hooks.tell(Told(federation=self.name, what="goes on"))
            self._hooks.changed()
