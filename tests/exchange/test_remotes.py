"""Every remote passes the suite that is shipped."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from imagiq.exchange import FolderRemote, Remote
from imagiq.exchange.https import HttpsRemote
from imagiq.exchange.listener import Listener
from imagiq.keys import SiteKey
from imagiq.testing.bad_remotes import BadRemote
from imagiq.testing.remotes import ME, RemoteContract
from tests.exchange.weed import bucket

LISTENER, MEMBER = SiteKey(b"l" * 32), SiteKey(b"m" * 32)
PATHS = count()


class TestFolderRemote(RemoteContract):
    @pytest.fixture
    def remote(self, tmp_path: Path) -> Iterator[Remote]:
        remote = FolderRemote(tmp_path)
        yield remote
        remote.close()


class TestBadRemoteThatIsGood(RemoteContract):
    @pytest.fixture
    def remote(self, tmp_path: Path) -> Iterator[Remote]:
        remote = BadRemote(FolderRemote(tmp_path, sync=False), random.Random(0).randrange)
        yield remote
        remote.close()


@pytest.mark.process
class TestHttpsRemote(RemoteContract):
    @pytest.fixture
    def remote(self, tmp_path: Path) -> Iterator[Remote]:
        with Listener(tmp_path, LISTENER, {MEMBER.public: ME}) as listener:
            remote = HttpsRemote(f"https://127.0.0.1:{listener.port}", MEMBER, LISTENER.public)
            yield remote
            remote.close()


@pytest.mark.process
class TestBucketRemote(RemoteContract):
    @pytest.fixture
    def remote(self, s3: str) -> Iterator[Remote]:
        remote = bucket(s3, f"suite-{next(PATHS)}")
        yield remote
        remote.close()
