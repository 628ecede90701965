"""The workers of one machine: as many trainings side by side as its owner lets, each in a process of its own.

A worker that dies in the middle of its work costs that work only: it is done once more by a new one, with the same
result. One that dies twice over the same work, or hangs, is an error of that work.
"""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from imagiq.errors import BudgetSpent, ContractBroken, ImagiqError
from imagiq.learning import Resources, processors
from imagiq.learning.frames import Frame
from imagiq.learning.handover import Handover
from imagiq.learning.worker import PATIENCE_S, Lost, Worker

__all__ = ["Call", "Pool", "were_closed"]

SPENT_WORKERS: Final = frozenset({"worker-memory", "worker-device", "worker-assert"})
"""Errors after which a worker is not trusted with more work: a GPU answers nothing more to a process that it failed."""


class Pool:
    """Workers that are started when they are needed, and kept.

    Args:
        resources: How many, and what each may use.
        patience_s: How long a worker may say and compute nothing.
    """

    def __init__(self, resources: Resources, *, patience_s: float = PATIENCE_S) -> None:
        self.handover = Handover(resources.scratch)
        self._resources = resources
        self._patience_s = patience_s
        self._free: list[Worker] = []
        self._all: set[Worker] = set()
        self._turns: deque[object] = deque()
        self._changed = threading.Condition()
        self._places = max(1, resources.workers)
        self._closed = False
        self._end = weakref.finalize(self, _end, self._all, self.handover)

    @property
    def hello(self) -> Mapping[str, Any]:
        """What a worker is told first."""
        return {
            "threads": self._resources.threads or max(1, processors() // self._places),
            "device": self._resources.device,
            "memory_bytes": self._resources.memory_bytes,
        }

    @property
    def pids(self) -> list[int]:
        """The processes that there are now."""
        with self._changed:
            return [worker.pid for worker in self._all]

    def ask(
        self,
        header: Mapping[str, Any],
        parts: Sequence[bytes] = (),
        *,
        tell: Callable[[Mapping[str, Any]], None] = lambda _: None,
        call: Call | None = None,
    ) -> Frame:
        """Have something done by a worker, as soon as one is free; whoever asked first comes first.

        Raises:
            ContractBroken: the worker died twice, or hangs.
            ImagiqError: what the work raised.
        """
        lost: Lost | None = None
        for _ in range(2):
            with self._one() as worker:
                try:
                    if call is not None:
                        call.at(worker)
                    return worker.ask(header, parts, tell)
                except Lost as error:
                    self._drop(worker)
                    lost = error
                except ImagiqError as error:
                    if error.code in SPENT_WORKERS:
                        self._drop(worker)
                    if error.code != "worker-device" or lost is not None:
                        raise
                    lost = Lost("its GPU failed")
                except BaseException:
                    self._drop(worker)
                    raise
                finally:
                    if call is not None:
                        call.at(None)
            if lost.hung or (call is not None and call.cancelled):
                break
        raise _gave_up(lost)

    @contextlib.contextmanager
    def _one(self) -> Iterator[Worker]:
        """Lend a worker to this thread."""
        worker = self._take()
        try:
            yield worker
        finally:
            with self._changed:
                if worker in self._all:
                    self._free.append(worker)
                self._changed.notify_all()

    def _take(self) -> Worker:
        turn = object()
        with self._changed:
            self._turns.append(turn)
            try:
                self._changed.wait_for(
                    lambda: (
                        self._closed or (self._turns[0] is turn and (bool(self._free) or len(self._all) < self._places))
                    )
                )
                if self._closed:
                    raise were_closed()
                worker = self._free.pop() if self._free else self._start()
            finally:
                self._turns.remove(turn)
                self._changed.notify_all()
        return worker

    def _start(self) -> Worker:
        try:
            worker = Worker(self.hello, self.handover.folder / "worker.log", patience_s=self._patience_s)
        except (OSError, Lost) as error:
            raise BudgetSpent(
                "worker-start", f"A worker cannot be started: {error}.", "End other programs, or ask for fewer workers."
            ) from error
        self._all.add(worker)
        return worker

    def _drop(self, worker: Worker) -> None:
        worker.close()
        with self._changed:
            self._all.discard(worker)

    def close(self) -> None:
        """End all workers at once; whoever waits for one is told."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._end()


def _end(workers: set[Worker], handover: Handover) -> None:
    for worker in list(workers):
        worker.close()
    workers.clear()
    handover.close()


class Call:
    """A thread's hold on what it asked a worker for, so that another thread can give it up."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._worker: Worker | None = None
        self.cancelled = False

    def at(self, worker: Worker | None) -> None:
        """Note which worker does it; None: it is over."""
        with self._lock:
            if self.cancelled and worker is not None:
                raise _given_up()
            self._worker = worker

    def cancel(self) -> None:
        """Give it up."""
        with self._lock:
            self.cancelled = True
            if self._worker is not None:
                self._worker.stop()


def were_closed() -> ContractBroken:
    """Return what is said to who asks workers for something that were closed."""
    return ContractBroken("worker-closed", "The workers were closed.", "Make the learner again.")


def _given_up() -> ContractBroken:
    return ContractBroken("worker-cancelled", "A training was given up.", "Nothing; nobody waits for it.")


def _gave_up(lost: Lost | None) -> ImagiqError:
    if lost is not None and lost.hung:
        return ContractBroken(
            "worker-hung",
            "A worker neither computed nor said anything any more, and was ended.",
            "Run the network by itself on the same cases to see where it waits.",
        )
    why = "" if lost is None else f" ({lost.why})"
    return ContractBroken(
        "worker-died",
        f"A worker ended in the middle of its work, twice{why}.",
        "If this machine was short of memory: a smaller batch or patch, a smaller network or fewer workers help.",
    )
