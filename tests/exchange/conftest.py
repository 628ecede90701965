"""The server that the tests of buckets share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.exchange.weed import weed


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the endpoint of a real S3 server."""
    with weed(tmp_path_factory.mktemp("weed")) as endpoint:
        yield endpoint
