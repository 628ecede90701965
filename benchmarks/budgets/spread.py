"""How often a model leaves its author, when four receivers want it at once and each of them serves the others."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks.budgets.towns import blobs_at, complete, open_study, still_town, until, up
from benchmarks.table import Row
from tests.exchange.wire import Wire
from tests.site.processes import Town
from tests.site.serving import serving

__all__ = ["measure"]

NAMES = ("alba", "bert", "caro", "dora", "emil")
MODEL_BYTES, TENSOR_BYTES = 200_000_000, 1_000_000
MOST = 1.25


def measure(*, quick: bool) -> Sequence[Row]:
    """Give every site a listener of its own, which is a process, and let everybody read from all others."""
    names, size = (NAMES[:3], 4 * TENSOR_BYTES) if quick else (NAMES, MODEL_BYTES)
    with tempfile.TemporaryDirectory() as name, still_town(Path(name) / "town", names) as town, ExitStack() as stack:
        wire = _connect(town, stack)
        up(town, *names[1:])
        passed = wire.passed
        # The author does not run, only its listener does: its turn of the cycle never comes, and nobody trains.
        open_study(town, "spread", strategy="cyclic", steps=1, tensors=size // TENSOR_BYTES, values=TENSOR_BYTES // 4)
        began_s = time.perf_counter()
        town.homes.at(names[0], "sync")
        receivers, tensors = names[1:], size // TENSOR_BYTES
        until(
            "all have it",
            lambda: all(len(blobs_at(town, one, TENSOR_BYTES)) >= tensors for one in receivers),
            within_s=40 if quick else 600,
        )
        until("all hold the model", lambda: all(complete(town, one) for one in receivers))
        took_s, left = time.perf_counter() - began_s, wire.passed - passed
    return [
        Row(
            what=f"https: what leaves the author of {size / 1e6:g} MB for {len(names) - 1} receivers who serve each other",
            measured=left / 1e6,
            unit="MB",
            line="the model once",
            limit=size / 1e6,
            budget=f"about once: {MOST} x line",
            most=MOST * size / 1e6,
            note=f"Counted on the line, TLS and listings included; all had it after {took_s:.1f} s.",
        )
    ]


def _connect(town: Town, stack: ExitStack) -> Wire:
    """Start the listeners, and make all known to all; return the line to the author's."""
    served = {name: stack.enter_context(serving(town.homes.folder, "-C", name, "serve")) for name in town.names}
    wire = Wire(served[town.names[0]].port)
    addresses = {name: f"https://127.0.0.1:{one.port}" for name, one in served.items()}
    addresses[town.names[0]] = f"https://127.0.0.1:{wire.port}"
    for name in town.names:
        for other in town.names:
            if other != name:
                key = ("--key", served[other].key, "--read-only")
                town.homes.at(name, "remote", "add", other, "https", addresses[other], *key)
        town.homes.at(name, "remote", "remove", "share")
    return wire
