"""What all tests share: Hypothesis's profiles, and the order in which tests run."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings

MACHINES = Path(__file__).parent / "machines"

settings.register_profile(
    "ci",
    derandomize=True,
    max_examples=50,
    stateful_step_count=30,
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "torture",
    max_examples=1_000,
    stateful_step_count=100,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(  # the examples of "ci"; whether there is a failure is asked, not for the smallest one
    "planted", settings.get_profile("ci"), phases=[Phase.explicit, Phase.generate]
)
settings.register_profile(  # a first look while one works: `make test-core`
    "core", settings.get_profile("ci"), max_examples=10
)
settings.load_profile("ci")  # `--hypothesis-profile=torture` is loaded later and wins


@pytest.fixture(scope="session")
def torture(pytestconfig: pytest.Config) -> bool:
    """Tell whether this is the long run: ``make torture``. A test that kills a process 5 times then does so 500 times."""
    return bool(pytestconfig.getoption("--hypothesis-profile") == "torture")


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Generator[None, None, None]:
    """Mark the state machines, and run them first, whatever order other plugins draw: they find most, and all else follows."""
    machines = {item for item in items if MACHINES in item.path.parents}
    for item in machines:
        item.add_marker("torture")
    yield
    items.sort(key=lambda item: item not in machines)
