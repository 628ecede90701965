"""Sites that meet only through a remote, one after the other."""

from __future__ import annotations

from pathlib import Path

import pytest

from imagiq.exchange import FolderRemote
from imagiq.site import Planned
from tests.bench.town import Town
from tests.exchange.ward import Ward


@pytest.fixture
def ward() -> Ward:
    return Ward(Town())


@pytest.fixture
def remote(tmp_path: Path) -> FolderRemote:
    return FolderRemote(tmp_path)


def test_what_one_site_publishes_another_learns_with_its_models(ward: Ward, remote: FolderRemote) -> None:
    study = ward.town.study("a", strategy="latest-of-each", steps=2)
    sites = [ward.site(name) for name in ward.town.names]
    assert ward.sync(sites[0], remote) == 0
    assert ward.sync(sites[1], remote) == 2
    assert study.digest in ward.bench("b").models.complete
    for _ in range(8):
        for site in sites:
            ward.sync(site, remote)
            planned = site.plan()
            if isinstance(planned, Planned):
                site.begin(planned)
                site.finish(planned)
    for site in sites:
        ward.sync(site, remote)
    for site in sites:
        ward.sync(site, remote)
    histories = [{entry.digest for entry in site.bench.history} for site in sites]
    assert histories[0] == histories[1] == histories[2]
    assert len(histories[0]) > 12
