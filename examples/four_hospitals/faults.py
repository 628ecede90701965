"""What goes wrong, when, and with whom: drawn from a seed; and how each hospital came through."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from hospitals import Hospital
from relays import Relay

KINDS = ("kill -9", "kill -9 of a worker", "asleep for 8 s", "line cut for 10 s", "line cut in a blob", "relay killed")
DOWN_S = 1.0
PATIENCE_S = 300.0


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What happened, and what came of it.

    Attributes:
        at_s: When, in seconds since the study was opened.
        kind: What.
        whom: To which hospital; "all": to the relay.
        during: What the hospital did then.
        back_s: How many seconds until it made or learnt something new, from the moment that the fault was over.
        others: How many commits the others made in the meantime.
    """

    at_s: float
    kind: str
    whom: str
    during: str
    back_s: float
    others: int


def do(fault: str, whom: Hospital, hospitals: Sequence[Hospital], relay: Relay, *, at_s: float) -> Fault:
    """Let something happen, mend it, and wait until who was hit works again."""
    study = whom.study()
    during = "starts" if study is None else study.state
    others = [one for one in hospitals if one is not whom]
    before = sum(len(one.commits(own=True)) for one in others)
    match fault:
        case "kill -9":
            whom.kill()
            time.sleep(DOWN_S)
            whom.up()
        case "kill -9 of a worker":
            for pid in whom.workers()[:1]:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        case "asleep for 8 s":
            whom.send(signal.SIGSTOP)
            time.sleep(8)
            whom.send(signal.SIGCONT)
        case "line cut for 10 s":
            _cut(whom, 10.0)
        case "line cut in a blob":
            _wait_for_traffic(whom)
            _cut(whom, 1.0)
        case "relay killed":
            relay.kill()
            time.sleep(5)
            relay.start()
    over_s = time.monotonic()
    _wait_for_work(whom)
    made = sum(len(one.commits(own=True)) for one in others) - before
    back_s = time.monotonic() - over_s
    name = "all" if fault == "relay killed" else whom.name
    return Fault(at_s=at_s, kind=fault, whom=name, during=during, back_s=back_s, others=made)


def drawn(seed: int, count: int, hospitals: Sequence[Hospital]) -> list[tuple[str, Hospital]]:
    """Return so many faults; each kind comes as often as any other."""
    source = random.Random(seed)
    kinds = [KINDS[number % len(KINDS)] for number in range(count)]
    source.shuffle(kinds)
    return [(kind, source.choice(list(hospitals))) for kind in kinds]


def _cut(whom: Hospital, for_s: float) -> None:
    assert whom.line is not None
    whom.line.cut()
    time.sleep(for_s)
    whom.line.mend()


def _wait_for_traffic(whom: Hospital) -> None:
    """Wait until something large is passing: a model."""
    assert whom.line is not None
    until_s, before = time.monotonic() + 30, whom.line.passed
    while time.monotonic() < until_s and whom.line.passed - before < 200_000:
        time.sleep(0.005)


def _wait_for_work(whom: Hospital) -> None:
    """Wait until a hospital has new commits, its own or others', or has nothing left to do."""
    before, until_s = whom.commits(), time.monotonic() + PATIENCE_S
    while time.monotonic() < until_s:
        study = whom.study()
        if study is not None and (study.state == "done" or whom.commits() != before):
            return
        time.sleep(0.1)
    raise SystemExit(f"{whom.name} has done nothing for {PATIENCE_S:.0f} s; see {whom.home / 'up.log'}")
