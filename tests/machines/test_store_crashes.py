"""A store on a machine that stops, fills up and fails at drawn moments, compared with what it has acknowledged."""

from __future__ import annotations

import errno
import random
from collections.abc import Callable
from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from imagiq.objects import digest_of
from imagiq.testing.files import Fault
from tests.store.world import World

CONTENTS = st.one_of(
    st.sampled_from([b"", b"a", b"b" * 513, b"c" * 2000, b"d" * 1024]),
    st.binary(max_size=3),
)
FAULTS = st.one_of(
    st.none(),
    st.builds(
        Fault,
        at=st.one_of(st.integers(1, 8), st.integers(1, 40)),
        number=st.sampled_from([None, None, errno.ENOSPC, errno.EIO]),
        calls=st.sampled_from([1, 1, 2, 5, 10**6]),
    ),
)


@dataclass(frozen=True)
class Trouble:
    """What befalls an operation; ``seed`` decides what a power cut keeps, ``again`` whether it is tried again."""

    fault: Fault | None
    power: bool
    again: bool
    seed: int


TROUBLE = st.builds(Trouble, fault=FAULTS, power=st.booleans(), again=st.booleans(), seed=st.integers(0, 2**16))
SEEDS = tuple(digest_of(bytes([number])) for number in range(3))


class StoreMachine(RuleBasedStateMachine):
    """Each operation may meet a fault; whether it does, when and which is drawn, and what a power cut keeps too."""

    def __init__(self) -> None:
        super().__init__()
        self.random = random.Random(0)
        self.world = World(self.random.randrange)
        self.number = 0

    def do(self, operation: Callable[[], None], trouble: Trouble) -> None:
        self.random.seed(trouble.seed)
        fault = trouble.fault
        if fault is not None:
            fault = Fault(self.world.files.calls + fault.at, fault.number, fault.calls)
        self.world.do(operation, fault=fault, power=trouble.power, again=trouble.again)

    def record(self) -> dict[str, int | str]:
        self.number += 1
        return {"n": self.number, "text": "x" * (self.number * 97 % 700)}

    @initialize(trouble=TROUBLE)
    def begin(self, trouble: Trouble) -> None:
        self.do(self.world.begin, trouble)

    @rule(contents=st.lists(CONTENTS, max_size=4), trouble=TROUBLE)
    def add(self, contents: list[bytes], trouble: Trouble) -> None:
        self.do(lambda: self.world.add(iter(contents)), trouble)

    @rule(raws=st.lists(CONTENTS, max_size=3), trouble=TROUBLE)
    def add_commits(self, raws: list[bytes], trouble: Trouble) -> None:
        self.do(lambda: self.world.add_commits(raws), trouble)

    @rule(count=st.integers(0, 3), durable=st.booleans(), trouble=TROUBLE)
    def append(self, count: int, durable: bool, trouble: Trouble) -> None:
        records = [self.record() for _ in range(count)]
        self.do(lambda: self.world.append(records, durable=durable), trouble)

    @rule(count=st.integers(0, 3), trouble=TROUBLE)
    def rewrite(self, count: int, trouble: Trouble) -> None:
        records = [self.record() for _ in range(count)]
        self.do(lambda: self.world.rewrite(records), trouble)

    @rule(commit=st.sampled_from(SEEDS), content=CONTENTS, trouble=TROUBLE)
    def sidecar(self, commit: str, content: bytes, trouble: Trouble) -> None:
        self.do(lambda: self.world.sidecar(digest_of(commit.encode()), content), trouble)

    @rule(content=CONTENTS, trouble=TROUBLE)
    def secret(self, content: bytes, trouble: Trouble) -> None:
        self.do(lambda: self.world.secret(content), trouble)

    @rule(content=CONTENTS, trouble=TROUBLE)
    def remove(self, content: bytes, trouble: Trouble) -> None:
        self.do(lambda: self.world.remove([digest_of(content)]), trouble)

    @rule(trouble=TROUBLE)
    def close(self, trouble: Trouble) -> None:
        self.do(self.world.close, trouble)

    @rule(trouble=TROUBLE)
    def restart(self, trouble: Trouble) -> None:
        self.random.seed(trouble.seed)
        self.world.restart(power=trouble.power)

    @invariant()
    def what_was_promised_is_there(self) -> None:
        self.world.compare()


TestStoreMachine = StoreMachine.TestCase
TestStoreMachine.settings = settings(  # each step takes a millisecond
    max_examples=5 * settings().max_examples, report_multiple_bugs=False
)
