"""Attempts at actions: a durable started mark before each, back-off after a failure.

Failures stay local. They rest in the store's journal, so that a site which crashes in the middle of an action knows at
its next start that it had begun.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from imagiq.objects import JSON, Digest, decimal, parse_decimal, parse_digest
from imagiq.store import Store

__all__ = ["Attempts"]

FIRST_BACK_OFF_S = 10.0
LONGEST_BACK_OFF_S = 3600.0
TOLD_AFTER = 3
"""A site tells others of an action that fails when it has failed this often, or of so many trainings in turn; once."""


class Attempts:
    """What a site has begun, and what failed.

    Args:
        store: Its journal remembers.
        records: What the journal holds.
    """

    def __init__(self, store: Store, records: Iterable[Mapping[str, JSON]]) -> None:
        self._journal = store.journal
        self._begun: dict[Digest, int] = {}
        self._failures: dict[Digest, int] = {}
        self._retry_at_s: dict[Digest, float] = {}
        self._until: dict[Digest, float] = {}
        self._in_turn: Counter[Digest] = Counter()
        for record in records:
            kind = record.get("kind")
            if kind not in {"started", "failed"}:
                continue
            action = parse_digest(record.get("action"), "A journal's action")
            if kind == "started":
                self._begun[action] = self._begun.get(action, 0) + 1
                until = record.get("until")
                if isinstance(until, str):
                    self._until[action] = parse_decimal(until, "A journal's end of a training")
            else:
                self._failures[action] = self._failures.get(action, 0) + 1

    @property
    def retry_at_s(self) -> Mapping[Digest, float]:
        """The actions that failed, and until when they are not tried again."""
        return self._retry_at_s

    def number(self, action: Digest) -> int:
        """Return how often an action has been begun."""
        return self._begun.get(action, 0)

    def until(self, action: Digest | None) -> float | None:
        """Return how far the study would be at the end of a training, as it was foreseen; None: not recorded."""
        return None if action is None else self._until.get(action)

    def start(self, action: Digest, now_s: float, until: float | None = None) -> int:
        """Mark an action as started, durably; return the number of this attempt.

        Args:
            action: Which.
            now_s: The time.
            until: Of a training, how far the study will be at its end: with it, it can be replayed.
        """
        foreseen: dict[str, JSON] = {} if until is None else {"until": decimal(until)}
        record: Mapping[str, JSON] = {"kind": "started", "action": action, "at_ms": round(now_s * 1000), **foreseen}
        self._journal.append([record], durable=True)
        self._begun[action] = self._begun.get(action, 0) + 1
        if until is not None:
            self._until[action] = until
        return self._begun[action]

    def fail(self, action: Digest, code: str, now_s: float, *, trains_in: Digest | None = None) -> bool:
        """Remember a failure and back off: 10 s, then twice as long each time, at most an hour.

        Args:
            action: Which.
            code: Of the error.
            now_s: The time.
            trains_in: Of a training, its study: where others go on, each training that fails is another action.

        Returns:
            Whether others should be told: true once per action; of trainings, once until one succeeds.
        """
        failures = self._failures.get(action, 0) + 1
        self._failures[action] = failures
        self._retry_at_s[action] = now_s + min(LONGEST_BACK_OFF_S, FIRST_BACK_OFF_S * 2.0 ** min(failures - 1, 20))
        record: Mapping[str, JSON] = {"kind": "failed", "action": action, "code": code, "at_ms": round(now_s * 1000)}
        self._journal.append([record], durable=False)
        is_told = failures == TOLD_AFTER
        if trains_in is not None:
            before = self._in_turn[trains_in]
            self._in_turn[trains_in] = TOLD_AFTER if is_told else before + 1
            is_told = before < TOLD_AFTER <= self._in_turn[trains_in]
        return is_told

    def note_trained(self, study: Digest) -> None:
        """Note that a training in a study has succeeded."""
        self._in_turn.pop(study, None)
