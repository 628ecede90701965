"""The strategy in the documentation keeps to what it says strategies must keep to."""

from __future__ import annotations

import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from imagiq.federation import Finished, Strategy
from imagiq.testing.execution import Execution

DOCUMENT = Path(__file__).parents[2] / "docs" / "strategies.md"


def documented() -> Strategy:
    blocks = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    (block,) = (block for block in blocks if "def decide(" in block)
    names: dict[str, Strategy] = {}
    exec(block, names)
    return names["decide"]


@given(seed=st.integers(0, 2**32 - 1), k=st.integers(1, 5))
def test_the_documented_strategy_ends_within_its_budget(seed: int, k: int) -> None:
    study = Execution(documented(), sites=k, steps=3, seed=seed)
    assert all(isinstance(action, Finished) for action in study.run(most=100).values())
    assert [len(study.trainings(name)) for name in study.names] == [3] * k
