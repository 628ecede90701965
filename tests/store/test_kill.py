"""kill -9 of a real process that commits: short here, long in ``make torture``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.torture import kill_store

COMMAND = (sys.executable, "-c", kill_store.STORE_VICTIM)


@pytest.mark.torture
def test_a_killed_process_keeps_every_commit_that_it_acknowledged(tmp_path: Path, torture: bool) -> None:
    for turn in range(10 if torture else 1):
        folder, kills = tmp_path / str(turn), 50 if torture else 10
        kept = kill_store.torture(COMMAND, kill_store.judge_store, folder, kills=kills, seed=turn, most_s=0.2)
        assert kept


def test_the_judge_finds_a_commit_that_was_lost(tmp_path: Path) -> None:
    def lose_one(folder: Path, acknowledged: Sequence[str]) -> None:
        for digest in acknowledged[:1]:
            (folder / "commits" / digest[:2] / digest[2:]).unlink()
        kill_store.judge_store(folder, acknowledged)

    with pytest.raises(AssertionError, match="gone"):
        kill_store.torture(COMMAND, lose_one, tmp_path / "r", kills=10, seed=7, most_s=0.2)
