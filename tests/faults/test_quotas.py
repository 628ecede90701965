"""The quota of a listener with a small allowance, seen from the member that floods and from another one."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from imagiq.errors import Unreachable
from imagiq.exchange.quota import Allowance
from imagiq.objects import Recipe
from tests.bench.town import Town
from tests.exchange.test_faults import reach, relay
from tests.exchange.ward import Ward


def test_a_member_that_floods_waits_for_its_own_quota_and_is_told_so_while_others_pass(tmp_path: Path) -> None:
    ward = Ward(Town(names=("a", "b", "c")))
    ward.town.study("b")
    for _ in range(60):
        ward.bench("a").commit(Recipe("note"))
    slow = Allowance(burst_objects=30, objects_s=0.5)
    with relay(ward, tmp_path, slow) as listener:
        flooding, other = reach(listener.port, "a", 15.0), reach(listener.port, "b")
        before_s = time.monotonic()
        with pytest.raises(Unreachable) as told:
            ward.push("a", flooding)
        assert time.monotonic() - before_s < 35, "it is told soon"
        assert told.value.code == "remote-busy"
        assert "quota" in told.value.what
        before_s = time.monotonic()
        assert ward.push("b", other).commits >= 2
        assert time.monotonic() - before_s < 10
        for remote in (flooding, other):
            remote.close()
