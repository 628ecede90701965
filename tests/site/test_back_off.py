"""A site backs off from what fails, and comes back to it: within an hour, however often it has failed."""

from __future__ import annotations

from itertools import pairwise

from imagiq.objects import digest_of
from imagiq.site.attempts import FIRST_BACK_OFF_S, LONGEST_BACK_OFF_S, Attempts
from imagiq.store import MemoryStore

ACTION = digest_of(b"an action")
OTHER = digest_of(b"another action")


def waits_of(attempts: Attempts, failures: int) -> list[float]:
    waits = []
    for number in range(failures):
        now_s = 1000.0 * number
        attempts.fail(ACTION, "learner-failed", now_s)
        waits.append(attempts.retry_at_s[ACTION] - now_s)
    return waits


def test_waiting_doubles_up_to_an_hour_and_stays_there() -> None:
    waits = waits_of(Attempts(MemoryStore(), ()), 2000)
    assert waits[0] == FIRST_BACK_OFF_S
    assert all(later == min(2 * sooner, LONGEST_BACK_OFF_S) for sooner, later in pairwise(waits))
    assert waits[-1] == LONGEST_BACK_OFF_S == 3600.0


def test_an_action_is_told_of_once_even_over_restarts() -> None:
    store = MemoryStore()
    told = []
    for number in range(12):
        attempts = Attempts(store, store.journal.read())
        told.append(attempts.fail(ACTION, "learner-failed", float(number)))
        attempts.fail(OTHER, "learner-failed", float(number))
    assert told == [number == 2 for number in range(12)]


def test_a_restart_forgets_no_failure_but_may_try_at_once() -> None:
    store = MemoryStore()
    waits_of(Attempts(store, ()), 3)
    again = Attempts(store, store.journal.read())
    assert ACTION not in again.retry_at_s
    again.fail(ACTION, "learner-failed", 0.0)
    assert again.retry_at_s[ACTION] == 8 * FIRST_BACK_OFF_S
