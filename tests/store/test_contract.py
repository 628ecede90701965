"""Every store passes the suite that is shipped for plugin authors."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from imagiq.store import FolderStore, MemoryStore, Store
from imagiq.testing.files import SimulatedFiles
from imagiq.testing.stores import StoreContract


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def store(self) -> Iterator[Store]:
        with MemoryStore() as store:
            yield store


class TestFolderStore(StoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[Store]:
        with FolderStore.create(tmp_path / "repository") as store:
            yield store


class TestFolderStoreOnSimulatedFiles(StoreContract):
    @pytest.fixture
    def store(self) -> Iterator[Store]:
        with FolderStore.create("/repository", files=SimulatedFiles(random.Random(1).randrange)) as store:
            yield store
