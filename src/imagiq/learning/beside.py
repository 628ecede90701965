"""A training beside whoever asked for it: a thread that waits for a process."""

from __future__ import annotations

import threading
from collections.abc import Callable

from imagiq.errors import ImagiqError, Misuse
from imagiq.learning import Trained

__all__ = ["Beside"]


class Beside:
    """A training that runs.

    Args:
        train: Waits for it.
        cancel: Gives it up.
    """

    def __init__(self, train: Callable[[], Trained], cancel: Callable[[], None]) -> None:
        self._train = train
        self._cancel = cancel
        self._trained: Trained | None = None
        self._error: ImagiqError | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._trained = self._train()
        except ImagiqError as error:
            self._error = error

    def result(self) -> Trained:
        """Wait for it."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        if self._trained is None:
            raise Misuse("worker-bug", "A training ended without a word.", "Report it.")
        return self._trained

    def cancel(self) -> None:
        """Give it up."""
        self._cancel()
