"""The machines' model and learner: four tensors in two groups, a training that takes microseconds; and bad lines."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from imagiq.errors import Unreachable
from imagiq.exchange import Ask, Peer
from imagiq.learning import Initial, Predictions, Trained, Weights
from imagiq.merging import schema_of
from imagiq.objects import Digest, Schema
from tests.machines.model import FLOAT32S, FLOAT64S, INTEGERS, MOMENTS

MOST_CALLS = 3000


def toy_weights(draw: np.random.Generator) -> dict[str, np.ndarray[Any, Any]]:
    return {
        "wide": draw.normal(size=FLOAT64S),
        "narrow": draw.normal(size=FLOAT32S).astype(np.float32),
        "whole": draw.integers(-1000, 1000, INTEGERS),
        "moments": draw.normal(size=MOMENTS).astype(np.float32),
    }


GROUPS = {"weights": ("wide", "narrow", "whole"), "moments": ("moments",)}
SCHEMA: Schema = schema_of(toy_weights(np.random.default_rng(0)), groups=GROUPS, rules={"whole": "mean"})


class Toy:
    """Training moves all numbers towards the cases' mean, with noise from the seed; or it fails."""

    fails = False

    def initial(self, seed: int) -> Initial:
        weights = toy_weights(np.random.default_rng(seed))
        return Initial(weights=weights, architecture={}, channels=(), labels={}, preprocessing={})

    def train(self, weights: Weights, cases: Any, *, budget: int, seed: int, progress: float) -> Trained:
        if self.fails:
            raise ZeroDivisionError
        noise = toy_weights(np.random.default_rng(seed % 2**32))
        there = float(np.mean(cases))
        trained = {
            name: (value + budget * (0.1 + progress) * (there + noise[name] - value)).astype(value.dtype)
            for name, value in weights.items()
        }
        return Trained(weights=trained, metrics={"loss": abs(there)}, cases=len(cases))

    def predict(self, weights: Weights, cases: Any) -> Predictions:
        truth = np.arange(len(cases)) % 2
        return Predictions(truth=truth, score=1 / (1 + np.exp(np.asarray(cases) - float(weights["wide"][0]))))


class BadLine:
    """A peer behind a line that cuts, repeats, reorders, flips bits, tells lies and withholds, as drawn; or a good one.

    Args:
        peer: Who is at the other end.
        draw: Public randomness; None: nothing goes wrong.
    """

    def __init__(self, peer: Peer, draw: random.Random | None = None) -> None:
        self._peer = peer
        self._draw = draw
        self._calls = 0
        chosen = draw.sample(["cut", "twice", "mix", "flip", "lie", "withhold"], draw.randrange(4)) if draw else []
        self._faults = frozenset(chosen)
        self._cut_after = draw.randrange(1, 25) if draw and "cut" in self._faults else MOST_CALLS

    @property
    def name(self) -> str:
        return self._peer.name

    def _pass(self) -> None:
        self._calls += 1
        assert self._calls < MOST_CALLS, "the same is asked again and again"
        if self._calls > self._cut_after:
            raise Unreachable("peer-cut", "The line was cut.", "Try again.")

    def _odd(self, fault: str, chance: float) -> bool:
        return self._draw is not None and fault in self._faults and self._draw.random() < chance

    def heads(self) -> Mapping[str, tuple[Digest, ...]]:
        self._pass()
        return self._peer.heads()

    def commits(self, ask: Ask) -> Iterator[bytes]:
        raws: Iterable[bytes] = list(self._peer.commits(ask))
        if self._draw is not None and "mix" in self._faults:
            raws = self._draw.sample(list(raws), len(list(raws)))
        for raw in raws:
            self._pass()
            if self._odd("flip", 0.3):
                yield self._flipped(raw)
            if not self._odd("withhold", 0.2):
                yield raw
            if self._odd("twice", 0.5):
                yield raw

    def _flipped(self, raw: bytes) -> bytes:
        assert self._draw is not None
        place = self._draw.randrange(len(raw))
        return raw[:place] + bytes([raw[place] ^ 1 << self._draw.randrange(8)]) + raw[place + 1 :]

    def fetch(self, digest: Digest, limit: int) -> bytes | None:
        self._pass()
        raw = self._peer.fetch(digest, limit)
        if raw is None or self._odd("withhold", 0.3):
            return None
        return self._flipped(raw) if raw and self._odd("lie", 0.3) else raw
