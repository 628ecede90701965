"""A session: one federation of a site, open for writing, with everything that its owner has set and decided."""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from secrets import randbelow
from threading import Lock
from types import TracebackType
from typing import Self

from imagiq.bench import Author, Bench
from imagiq.bench.repository import create, open_repository
from imagiq.clock import Clock, SystemClock
from imagiq.errors import ImagiqError, Refused
from imagiq.exchange import Keyring, Peer
from imagiq.federation import Named, Strategy, Study
from imagiq.federation.policy import Answer
from imagiq.federation.requests import LEAVE, NEW_KEY, Request
from imagiq.keys import FeedKey, SiteKey
from imagiq.learning import Learner, close, find
from imagiq.objects import Charter, Digest
from imagiq.site.agenda import answer_of, requests_of
from imagiq.site.failures import report_of, schema_of_study, write_report
from imagiq.site.freshness import Newcomer
from imagiq.site.home import Home, Seat
from imagiq.site.site import Local, Planned, Site
from imagiq.site.sources import SiteCases
from imagiq.site.toml import read_toml
from imagiq.strategies import BUILT_IN

__all__ = ["Session", "make_seat", "open_seat", "refuse_simulated"]

NO_CASES = SiteCases(training=(), held_back=())


@dataclass
class Session:
    """See the module. Made by :func:`open_seat`; who has it holds the home's lock.

    Attributes:
        home: The site's home.
        seat: Where the federation is.
        bench: Its repository.
        ring: Its keyring.
        clock: Where the time comes from.
        strategies: The strategies that may run here.
    """

    home: Home
    seat: Seat
    bench: Bench
    ring: Keyring
    clock: Clock
    strategies: Mapping[tuple[str, int], Strategy] = field(default_factory=lambda: BUILT_IN)
    started: bool = False

    @cached_property
    def key(self) -> SiteKey:
        """The key that the site has in this federation."""
        return self.ring.site

    @property
    def charter(self) -> Charter:
        """The ruling charter; the founding one while none rules."""
        return self.bench.standing.charter

    @property
    def is_member(self) -> bool:
        """Whether the ruling charter names this site by its key."""
        ruling = self.bench.standing.ruling
        return ruling is not None and self.key.public in ruling.names_by_site_key

    @property
    def may_publish(self) -> bool:
        """Whether this site seals: as a member, or as a founder while not all founders have voted."""
        return self.bench.author is not None and self.key.public in self.charter.names_by_site_key

    @property
    def name(self) -> str:
        """What the federation calls this site, or shall call it."""
        joined = self.seat.noted("joined")
        asked = joined.get("name") if isinstance(joined, Mapping) else None
        name = self.charter.names_by_site_key.get(self.key.public, asked)
        return name if isinstance(name, str) else self.home.settings.name

    @cached_property
    def _newcomer(self) -> Newcomer:
        return Newcomer(self.bench, self.key.public)

    @cached_property
    def site(self) -> Site:
        """The site. Its cases are read when they are needed."""
        local = Local(
            cases=self.read_cases,
            data=self._data(),
            learner_of=self.learner_of,
            dismiss=close,
            strategies=self.strategies,
            accepts=lambda study: self.answer(study) is Answer.ACCEPT,
            audit_draw=lambda _: randbelow(1000),
        )
        mark = self.seat.mark(self.bench.founding.digest)
        site = Site(self.name, self.bench, local, clock=self.clock, mark=mark)
        site.failed = self.report
        self._pause(site)
        return site

    def report(self, planned: Planned, error: ImagiqError) -> None:
        """Leave a report of a failure that its owner can hand on; where that cannot be written, there is none."""
        report = report_of(
            error,
            kind=planned.work.recipe(planned.study, self.name).name,
            study=planned.study,
            schema=schema_of_study(self.bench, planned.study.digest),
            device=self.home.settings.resources.device,
            when=self.clock.utc(),
        )
        with suppress(ImagiqError, OSError):
            write_report(self.seat.path, planned.action, report)

    def learner_of(self, task: Named) -> Learner:
        """Return the learner of a task, with what it may use of this machine."""
        resources = replace(self.home.settings.resources, scratch=self.home.scratch)
        return find(task.name, task.parameters, resources)

    @cached_property
    def read_cases(self) -> Callable[[], SiteCases]:
        """Reads the site's cases once; any thread may call it, and a failure is tried again at the next call."""
        lock, found = Lock(), list[SiteCases]()

        def read() -> SiteCases:
            with lock:
                if not found:
                    found.append(self.cases())
                return found[0]

        return read

    def cases(self) -> SiteCases:
        """Return the site's cases; none if its settings name none."""
        has_data = bool(read_toml(self.home.settings.path).table("data"))
        return self.home.settings.cases() if has_data else NO_CASES

    def _data(self) -> str:
        """Return what tells the settings of the cases apart from others, and tells nobody what they are."""
        given = json.dumps(read_toml(self.home.settings.path).table("data").rest(), sort_keys=True, default=str)
        return hmac.digest(self.key.seed, b"imagiq cases 1\n" + given.encode("utf-8"), "sha256").hex()

    # ------------------------------------------------------------------------------------------- what is decided

    def answer(self, study: Study) -> Answer:
        """Return what this site says to a study, by its owner's rules and word."""
        return answer_of(self.home, self.seat, self.bench, study)

    def requests(self) -> tuple[Request, ...]:
        """Return what sites ask for and is not in force."""
        return requests_of(self.bench)

    def start(self, peers: Sequence[Peer] = ()) -> None:
        """Find out, once, whether this store may be written to; see :meth:`Site.start`. Until it may, ask again."""
        if not self.started or self.site.why_not is not None:
            self.site.start(peers)
            self.started = True

    @property
    def has_new_key(self) -> bool:
        """Whether a charter names the key that the site has made since: opening the session anew takes it into use."""
        return not self.is_member and self.home.key().public in self.charter.names_by_site_key

    def refresh(self) -> None:
        """Take in what the owner has decided since, and what has become of the site's own requests."""
        site = self.site
        site.name = self.name
        self._pause(site)

    def _pause(self, site: Site) -> None:
        """Begin nothing new where it would be void soon, or may stand on old news."""
        site.paused = None
        own = [
            r for r in self.requests() if r.change.before is not None and r.change.before.site_key == self.key.public
        ]
        if any(request.wants == NEW_KEY for request in own):
            site.paused = "the voters to approve its new key; what it did now would not count"
        elif any(request.wants == LEAVE for request in own):
            site.paused = "the voters to let it leave"
        joined = self.seat.noted("joined")
        invited = joined.get("charter") if isinstance(joined, Mapping) else None
        if self.is_member and isinstance(invited, str) and invited not in self.bench.standing.line.enacted:
            site.paused = "the charter that its invitation named: what remotes give is older"
        if self.is_member and site.paused is None:
            site.paused = self._newcomer.waits_for()

    def close(self) -> None:
        """Let go of the repository; a second call does nothing."""
        if "site" in self.__dict__:
            self.site.abandon()
        with suppress(ImagiqError):
            self.ring.save()
        self.bench.store.close()

    def __enter__(self) -> Self:
        """Return the session itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()


def refuse_simulated(charter: Charter) -> None:
    """Check that a charter is a real one.

    Raises:
        Refused: it is a simulation's, whose keys everybody can make.
    """
    if charter.rules.get("simulated", False) is not False:
        raise Refused(
            "charter-simulated", "This is the charter of a simulation: its keys are no secrets.", "Found a real one."
        )


def make_seat(
    home: Home, seat: Seat, founding: Charter, *, secret: bytes | None, introduced: tuple[str, ...] = ()
) -> None:
    """Make the repository and the keyring of a federation.

    Args:
        home: The site's home.
        seat: Where to; nothing is there yet.
        founding: Version 1 of the charter.
        secret: The federation's, from an invitation; None: it is drawn.
        introduced: The site keys that an invitation brought.

    Raises:
        Conflict: there is one.
        Refused: the charter is a simulation's.
    """
    refuse_simulated(founding)
    key = home.key()
    bench = create(seat.path, founding, site_key=key, feed_key=FeedKey.new(), clock=SystemClock())
    try:
        if secret is None:
            Keyring.found(bench.store, key, founding.digest)
        else:
            Keyring.join(bench.store, key, founding.digest, secret, introduced)
    finally:
        bench.store.close()


def open_seat(
    home: Home,
    seat: Seat,
    *,
    clock: Clock | None = None,
    strategies: Mapping[tuple[str, int], Strategy] = BUILT_IN,
) -> Session:
    """Open a federation for writing. Who calls holds the home's lock.

    Raises:
        Conflict: another process has it open.
        ImagiqError: the repository or a key is damaged.
    """
    clock = clock or SystemClock()
    bench = _with_key_in_force(home, seat, clock)
    try:
        author = bench.author
        if author is None:
            raise Refused("seat-no-keys", f"{seat.path} has no keys to write with.", "Restore `secrets` from a backup.")
        ring = Keyring.open(bench.store, author.site)
    except BaseException:
        bench.store.close()
        raise
    if home.key().public != author.site.public:
        ring.next_key = home.key()
    return Session(home, seat, bench, ring, clock, strategies)


def _with_key_in_force(home: Home, seat: Seat, clock: Clock) -> Bench:
    """Open the repository; once a charter names the site's new key, with that, and a new feed.

    The feed's key first, then the site's: who is stopped in between does both again.
    """
    bench = open_repository(seat.path, read_only=False, clock=clock)
    key, author = home.key(), bench.author
    ruling = bench.standing.ruling
    names = {} if ruling is None else ruling.names_by_site_key
    if author is None or author.site.public == key.public or key.public not in names:
        return bench
    feed = FeedKey.new()
    bench.store.secret_write("feed", feed.seed)
    bench.store.secret_write("site", key.seed)
    seat.mark(bench.founding.digest).write((feed.public, 0, Digest(feed.public)))
    bench.store.close()
    reopened = open_repository(seat.path, read_only=False, clock=clock)
    reopened.author = Author(key, feed)
    return reopened
