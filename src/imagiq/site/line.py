"""A line: one remote of a running federation.

It listens for news there, learns what is new, and publishes what is new here. Each remote has a line of its own, so that
one which is away, full or slow holds up no other, and no training.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from secrets import SystemRandom
from threading import Event, Thread
from typing import Final, Protocol

from imagiq.clock import Clock
from imagiq.errors import ImagiqError
from imagiq.exchange import Publisher, Remote, RemotePeer, Turns
from imagiq.history import Entry
from imagiq.objects import Digest
from imagiq.site.acting import Done, carry_requests, invitations_of
from imagiq.site.connecting import connect
from imagiq.site.session import Session
from imagiq.site.settings import RemoteSettings

__all__ = ["Line", "LineState", "Listener", "pause_s", "unless"]

SHORTEST_PAUSE_S: Final = 1.0
FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 30.0
LISTEN_S: Final = 20.0
LISTEN_IN_FOLDER_S: Final = 5.0
"""So long at most one call for news takes; a folder is then asked about sites that have joined meanwhile."""
SLOW_S: Final = 2.0
MAILBOX_EVERY_S: Final = 10.0
"""How often requests by invitations that are open are looked for: they are no news in any feed."""
CHECK_EVERY_S: Final = 600.0
"""How often a quiet remote is asked whether it still has what it took, and listed whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LineState:
    """What a line is at.

    Attributes:
        doing: ``connects``, ``reads``, ``writes`` or ``listens``; ``waits`` after a failure.
        error: Why the remote does not do what was asked; None: it does.
        contact_s: When it last did, on the clock that was given; None: not yet.
        since_s: Since when it does what it does.
    """

    doing: str = "connects"
    error: ImagiqError | None = None
    contact_s: float | None = None
    since_s: float = 0.0


class Listener(Protocol):
    """Who wants to know what a line finds. Any thread of a line calls it."""

    def heard(self, line: Line, *, came: int, done: list[Done], is_back: bool) -> None:
        """The remote has answered, for the first time if ``is_back``, or after it did not; the thread has its turn."""

    def failed(self, line: Line, error: ImagiqError, *, is_new: bool) -> None:
        """The remote, or the own disk, did not do what was asked; ``is_new``: otherwise than before."""

    def recovered(self, line: Line) -> None:
        """The remote does all that it is asked again."""

    def moved(self, line: Line) -> None:
        """The line's state has changed."""


class Line:
    """See the module.

    Args:
        settings: The remote.
        session: The federation.
        turns: Of its bench.
        clock: Tells when what happened.
        listener: Is told.
        run: Starts a thread that must not end by an error that nobody expects.
    """

    def __init__(
        self,
        settings: RemoteSettings,
        session: Session,
        turns: Turns,
        *,
        clock: Clock,
        listener: Listener,
        run: Callable[[str, Callable[[], None]], Thread],
    ) -> None:
        self.settings = settings
        self.state = LineState()
        self._session = session
        self._turns = turns
        self._clock = clock
        self._listener = listener
        self._due, self._stopped, self._is_connected = Event(), Event(), Event()
        self._offered: deque[tuple[Entry, Sequence[Digest]]] = deque()
        self._answers = False
        self._peer: RemotePeer | None = None
        self._publisher: Publisher | None = None
        self._mailbox_s = self._checked_s = float("-inf")
        run(f"exchange {settings.name}", unless(self._stopped, self._exchange_for_ever))
        run(f"listen {settings.name}", unless(self._stopped, self._listen_for_ever))

    @property
    def news_s(self) -> dict[str, float]:
        """When something new of each site came by this remote, by site key."""
        return {} if self._peer is None else dict(self._peer.news_s)

    @property
    def peer(self) -> RemotePeer | None:
        """The remote as a peer to fetch from; None: it does not answer now."""
        return self._peer if self._answers else None

    @property
    def is_slow(self) -> bool:
        """Whether the remote takes long to answer just now."""
        state = self.state
        return state.doing in {"reads", "writes"} and self._clock.now_s() - state.since_s > SLOW_S

    def wake(self) -> None:
        """Exchange soon: there is something to publish."""
        self._due.set()

    def offer(self, entry: Entry, pieces: Sequence[Digest]) -> None:
        """Pass pieces of a model on that came from elsewhere, if its author does not write here."""
        peer = self.peer
        if peer is not None and not peer.read_only and entry.site not in peer.writers:
            self._offered.append((entry, pieces))
            self._due.set()

    def stop(self) -> None:
        """End all waiting. What is under way ends when its answer comes, and changes nothing any more."""
        self._stopped.set()
        self._due.set()
        self._is_connected.set()
        if self._peer is not None:  # its threads end when nobody holds it any more: others may fetch from it just now
            self._peer.shelf.remote.close()

    # -------------------------------------------------------------------------------------------- its threads

    def _exchange_for_ever(self) -> None:
        failures = 0
        while not self._stopped.is_set():
            self._due.clear()
            try:
                self._exchange()
            except ImagiqError as error:
                failures += 1
                before = self.state.error
                self._be(doing="waits", error=error)
                self._listener.failed(self, error, is_new=before is None or before.code != error.code)
                self._stopped.wait(pause_s(failures))
                continue
            failures = 0
            self._due.wait(self._pause_s())

    def _pause_s(self) -> float:
        """Return how long there may be nothing to do by this remote, if nobody tells of anything."""
        invites = any(True for _ in invitations_of(self._session))
        longest_s = MAILBOX_EVERY_S if invites else CHECK_EVERY_S
        again_s = None if self._peer is None else self._peer.again_s
        return longest_s if again_s is None else min(longest_s, max(SHORTEST_PAUSE_S, again_s - self._clock.now_s()))

    def _listen_for_ever(self) -> None:
        word, failures = "", 0
        self._is_connected.wait()
        while not self._stopped.is_set() and self._peer is not None:
            wait_s = LISTEN_IN_FOLDER_S if self.settings.kind == "folder" else LISTEN_S
            shelf = self._peer.shelf
            with self._turns:
                sites = sorted(shelf.sites.keys() - {shelf.own})
            try:
                found = shelf.remote.news(sites, word, wait_s)
            except ImagiqError:
                failures += 1
                word = ""  # whatever has come meanwhile is news
                if failures == 1:
                    self.wake()  # and find out what is wrong
                self._stopped.wait(pause_s(failures))
                continue
            failures = 0
            if found != word:
                word = found
                self.wake()

    # -------------------------------------------------------------------------------------------- one exchange

    def _exchange(self) -> None:
        peer, publisher = self._connected()
        with self._turns:
            self._be(doing="reads")
            came = self._learn(peer)
            done = self._carried(peer.shelf.remote)
            is_back, self._answers = not self._answers, True
            self._listener.heard(self, came=came, done=done, is_back=is_back)
            if self._session.may_publish and not peer.read_only:
                self._be(doing="writes")
                while self._offered:
                    publisher.pass_on(*self._offered.popleft())
                is_due = self._clock.now_s() - self._checked_s >= CHECK_EVERY_S
                publisher.publish(check=is_due)
                self._checked_s = self._clock.now_s() if is_due else self._checked_s
        has_recovered = self.state.error is not None
        self._be(doing="listens", answered=True)
        if has_recovered:
            self._listener.recovered(self)

    def _learn(self, peer: RemotePeer) -> int:
        try:
            return self._session.site.learn(peer)
        except ImagiqError:
            self._answers = False
            raise

    def _connected(self) -> tuple[RemotePeer, Publisher]:
        if self._peer is None or self._publisher is None:
            remote = connect(self.settings, self._session.key, base=self._session.seat.path)
            self._peer = RemotePeer(
                remote,
                self._session.bench,
                self._session.ring,
                clock=self._clock,
                read_only=self.settings.read_only,
                turns=self._turns,
            )
            self._publisher = Publisher(self._peer)
            self._is_connected.set()
        return self._peer, self._publisher

    def _carried(self, remote: Remote) -> list[Done]:
        now_s = self._clock.now_s()
        if now_s - self._mailbox_s < MAILBOX_EVERY_S or self._session.site.why_not is not None:
            return []
        self._mailbox_s = now_s
        return carry_requests(self._session, remote, aside=self._turns.aside)

    def _be(self, *, doing: str, error: ImagiqError | None = None, answered: bool = False) -> None:
        kept = self.state.error if doing in {"reads", "writes"} else error
        now_s = self._clock.now_s()
        contact_s = now_s if answered else self.state.contact_s
        self.state = LineState(doing=doing, error=kept, contact_s=contact_s, since_s=now_s)
        self._listener.moved(self)


def unless(stopped: Event, target: Callable[[], None]) -> Callable[[], None]:
    """Return what a thread runs: whatever goes wrong after it was stopped, in the middle of anything, matters to nobody."""

    def run() -> None:
        try:
            target()
        except Exception:
            if not stopped.is_set():
                raise

    return run


def pause_s(failures: int) -> float:
    """Return how long to wait after so many failures, one after the other; never the same at two sites."""
    return float(min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(failures - 1, 10)) * (0.5 + SystemRandom().random()))
