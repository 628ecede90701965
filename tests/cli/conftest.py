"""Repositories for the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.repositories import Repositories, make


@pytest.fixture(scope="session")
def _made(tmp_path_factory: pytest.TempPathFactory) -> Repositories:
    return make(tmp_path_factory.mktemp("town"))


@pytest.fixture
def sites(_made: Repositories, tmp_path: Path) -> Repositories:
    """A copy of three sites' repositories, which a test may damage."""
    return _made.copied_to(tmp_path / "sites")
