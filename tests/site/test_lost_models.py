"""A model that was whole and of which something is damaged or gone on the disk is fetched again, while the site runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from imagiq.exchange import BenchPeer
from imagiq.objects import Digest
from imagiq.site import Planned, Site
from imagiq.store import FolderStore
from tests.bench.town import Town
from tests.site.plain import site_in

DAMAGED = b"not what it was"


def object_file(folder: Path, digest: Digest) -> Path:
    return folder / "objects" / digest[:2] / digest[2:]


def planned_by(site: Site) -> Planned:
    planned = site.plan()
    assert isinstance(planned, Planned)
    site.begin(planned)
    return planned


@pytest.mark.parametrize("is_gone", [True, False])
@pytest.mark.parametrize("which", ["schema", "blob"])
def test_what_work_stands_on_and_is_damaged_or_gone_is_fetched_again_and_the_work_done(
    tmp_path: Path, which: str, is_gone: bool
) -> None:
    with FolderStore.create(tmp_path / "a") as store:
        town = Town(names=("a", "b"), stores={"a": store})
        study = town.study("b", steps=1)
        a, b = site_in(town, "a"), site_in(town, "b")
        a.sync(BenchPeer("b", b.bench))
        assert study.commit.tree is not None
        tree = a.bench.models.tree(study.commit.tree)
        lost = tree.schema if which == "schema" else tree.blobs[0]
        file = object_file(tmp_path / "a", lost)
        if is_gone:
            file.unlink()
        else:
            file.write_bytes(DAMAGED)
        assert a.finish(planned_by(a)) is None, "it cannot be done without what it stands on"
        assert a.wanted() == (study.digest,)
        a.sync(BenchPeer("b", b.bench))
        town.clock.advance_to(3600.0)
        assert a.finish(planned_by(a)) is not None
        assert file.read_bytes() != DAMAGED
