"""One site on a disk that stops, fills up or fails at any call: nothing is lost, and no number is used twice."""

from __future__ import annotations

import errno
import random
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from imagiq.bench import RefusedCommit
from imagiq.errors import Unreachable
from imagiq.federation import Finished, Named
from imagiq.objects import Recipe
from imagiq.strategies import BUILT_IN
from imagiq.testing.files import Crash, Fault, SimulatedFiles
from tests.machines.effort import effort
from tests.machines.hospitals import Hospital, World
from tests.machines.scrutiny import on_commit, survey

OPERATIONS = ("work", "work", "learn", "learn", "admit", "study", "close", "nothing")
STRATEGIES = sorted(name for name, _ in BUILT_IN)


@dataclass(frozen=True)
class Trouble:
    """What goes wrong in one operation, and in the start after it; ``power``: whether a crash takes what is not durable."""

    at: int
    number: int | None
    calls: int
    power: bool
    at_start: int | None

    def fault(self, files: SimulatedFiles) -> Fault:
        return Fault(files.calls + self.at, self.number, self.calls)


TROUBLES = st.builds(
    Trouble,
    at=st.one_of(st.integers(1, 12), st.integers(1, 150)),
    number=st.sampled_from([None, None, errno.ENOSPC, errno.EIO]),
    calls=st.sampled_from([1, 1, 2, 5, 10**6]),
    power=st.booleans(),
    at_start=st.one_of(st.none(), st.integers(1, 60)),
)


class CrashMachine(RuleBasedStateMachine):
    """A second site is always there to see what the first one shows: what it saw once must be there for ever."""

    def __init__(self) -> None:
        super().__init__()
        self.world: World | None = None

    @initialize(seed=st.integers(0, 2**32 - 1), strategy=st.sampled_from(STRATEGIES))
    def begin(self, seed: int, strategy: str) -> None:
        self.draw = random.Random(seed)
        self.world = World(self.draw, 2, {}, newcomers=0)
        self.world.on_look = on_commit
        self.world.found([])
        self.site, self.witness = self.world.hospitals
        assert self.site.files is not None
        self.files = self.site.files
        self.amend()
        self.open_study(self.witness, strategy)
        self.crashes = 0

    def amend(self) -> None:
        """Bring another charter into force, so that there is one to be read from the disk at each start."""
        assert self.world is not None
        first = self.world.founding
        second = replace(first, title="amended", version=2, previous=first.digest, federation=first.digest, raw=b"")
        for hospital in self.world.hospitals:
            assert hospital.running.vote(second) is not None
        self.site.sync(self.witness)
        self.witness.sync(self.site)
        assert self.site.bench.standing.ruling == second

    def open_study(self, hospital: Hospital, strategy: str) -> None:
        assert self.world is not None
        names = [one.name for one in self.world.hospitals]
        self.world.open_study(hospital, Named(strategy), names, 2, self.draw.randrange(100))

    # --------------------------------------------------------------------------------------------- what happens

    @rule(what=st.sampled_from(OPERATIONS), trouble=st.one_of(st.none(), TROUBLES))
    def one(self, what: str, trouble: Trouble | None) -> None:
        self.live_through(getattr(self, "do_" + what), trouble)

    @rule(seed=st.integers(0, 2**32 - 1))
    def a_while(self, seed: int) -> None:
        """Much happens; what is drawn here is one number, so that examples are deep and still few and small."""
        self.draw.seed(seed)
        for _ in range(10):
            trouble = Trouble(
                at=self.draw.choice([self.draw.randrange(1, 12), self.draw.randrange(1, 150)]),
                number=self.draw.choice([None, None, errno.ENOSPC, errno.EIO]),
                calls=self.draw.choice([1, 1, 2, 5, 10**6]),
                power=self.draw.random() < 0.5,
                at_start=self.draw.choice([None, None, self.draw.randrange(1, 60)]),
            )
            self.live_through(getattr(self, "do_" + self.draw.choice(OPERATIONS)), trouble)
            if self.draw.random() < 0.5:  # else the next trouble meets what this one has left
                self.nothing_is_lost()

    def live_through(self, operation: Callable[[], None], trouble: Trouble | None) -> None:
        self.files.fault = None if trouble is None else trouble.fault(self.files)
        try:
            operation()
        except Crash:
            assert trouble is not None
            self.start_again(trouble)
        except Unreachable:
            assert trouble is not None, "a disk failed that is in order"
        self.files.fault = None
        if self.site.site is None:
            self.start_again(Trouble(1, None, 1, power=False, at_start=None))

    def start_again(self, trouble: Trouble) -> None:
        """Start after a crash, perhaps into the next one; a start without trouble succeeds."""
        self.crashes += 1
        self.site.crash(power=trouble.power)
        if trouble.at_start is not None:
            self.files.fault = Fault(self.files.calls + trouble.at_start, trouble.number, trouble.calls)
            try:
                self.site.boot([self.witness])
            except (Crash, Unreachable):
                self.site.crash(power=trouble.power)
            self.files.fault = None
        if self.site.site is None:
            self.site.boot([self.witness])

    def do_work(self) -> None:
        self.site.work(3)

    def do_learn(self) -> None:
        self.site.sync(self.witness)

    def do_admit(self) -> None:
        """Commits come in any order."""
        raws = [entry.commit.raw for entry in self.witness.bench.history]
        outcomes = self.site.bench.admit(self.draw.sample(raws, len(raws)), "witness")
        assert not any(isinstance(outcome, RefusedCommit) for outcome in outcomes), "order of arrival decides"

    def do_study(self) -> None:
        if len(self.witness.bench.studies) < 3:
            self.open_study(self.site, self.draw.choice(STRATEGIES))

    def do_close(self) -> None:
        self.site.stop()
        self.site.boot([self.witness])

    def do_nothing(self) -> None:
        self.site.running.plan()

    # ------------------------------------------------------------------------------------------- what must hold

    @invariant()
    def nothing_is_lost(self) -> None:
        """What the witness saw is there, and all is as the commits say; then the witness works too, and looks."""
        if self.world is None:
            return
        honest = {feed for one in self.world.up for feed in self.witness.bench.history.feeds_of(one.key.public)}
        shown = {entry.digest for entry in self.witness.bench.history if entry.site == self.site.key.public}
        model = survey(self.site, honest)
        assert shown <= model.commits.keys(), "a commit that others have seen is gone"
        for entry in self.site.bench.history:
            own = entry.site == self.site.key.public
            if own and entry.commit.recipe.name == "evaluate":
                assert self.site.bench.store.sidecar_read(entry.digest, "scores"), "a sidecar is gone"
            if own and entry.commit.tree is not None:
                assert self.site.bench.models.holds(entry.commit.tree), "an own model is gone"
        if self.draw.random() < 0.3:
            self.witness.work(1)
        self.witness.sync(self.site)
        assert not self.witness.bench.history.forks, "a number is used twice"
        certificates = [entry.certificate for entry in self.witness.bench.history if entry.commit.number == 1]
        assert set(certificates) == {1}, "a site that lost nothing has opened a feed"
        survey(self.witness, honest)

    def teardown(self) -> None:
        """Without trouble both finish."""
        if self.world is None:
            return
        self.files.fault = None
        for _ in range(30):
            self.world.clock.advance_to(self.world.clock.now_s() + 5000)
            worked = self.site.work(20) + self.witness.work(20)
            if not self.site.sync(self.witness) + self.witness.sync(self.site) + worked:
                break
        self.nothing_is_lost()
        for hospital in self.world.up:
            for study, action in hospital.running.actions().items():
                assert isinstance(action, Finished), f"{study[:8]} is never finished: {action}"


TestCrashMachine = CrashMachine.TestCase
TestCrashMachine.settings = effort(steps=0.5)


def test_a_disk_may_fail_at_any_call_while_the_store_is_read_again() -> None:
    """A disk that fails leaves a bench that must read everything anew; that it fails again meanwhile changes nothing."""
    machine = CrashMachine()
    machine.begin(seed=1, strategy="latest-of-each")
    machine.do_work()
    machine.nothing_is_lost()
    bench, files = machine.site.bench, machine.files
    files.fault = Fault(files.calls + 1, errno.EIO, 10**6)
    with pytest.raises(Unreachable):
        bench.commit(Recipe("note"))
    calls, failed = 0, True
    while failed:
        files.fault = Fault(files.calls + 1, errno.EIO, 10**6)
        with pytest.raises(Unreachable):
            bench.finish_in_doubt()
        calls, failed = calls + 1, False
        files.fault = Fault(files.calls + calls, errno.EIO)
        try:
            bench.finish_in_doubt()
        except Unreachable:
            failed = True
        files.fault = None
        machine.nothing_is_lost()
    assert calls > 15
    machine.teardown()
