"""A bundle is a remote in one file; a hostile one is refused in words."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagiq.errors import Conflict, Corrupt, ImagiqError, Misuse, NotFound, Unreachable, Unsupported
from imagiq.exchange import FolderRemote
from imagiq.exchange.bundle import BLOCK, FIRST, VERSION, BundleReader, BundleWriter, _header
from imagiq.objects import digest_of
from imagiq.site import Planned
from tests.exchange.ward import Ward

ME = digest_of(b"me")
BLOB = f"{ME}/blobs/{digest_of(b'blob')}"


def member(name: str, content: bytes) -> bytes:
    return _header(name, len(content)) + content + bytes(-len(content) % BLOCK)


START, END = member(FIRST, VERSION), bytes(2 * BLOCK)


def reading(tmp_path: Path, content: bytes) -> BundleReader:
    path = tmp_path / "bundle"
    path.write_bytes(content)
    return BundleReader(path)


def test_a_site_without_any_line_takes_part_by_bundles(tmp_path: Path) -> None:
    ward = Ward()
    study = ward.town.study("a", strategy="latest-of-each", steps=1)
    folder = FolderRemote(tmp_path, sync=False)
    for name in ("a", "b", "c", "a"):
        ward.sync(name, folder)
    ward.newcomer("c")
    with BundleWriter(tmp_path / "out.bundle") as bundle:
        ward.push("a", bundle)
    with_line = ward.known("a")
    came = BundleReader(tmp_path / "out.bundle")
    ward.pull("c", came)
    came.close()
    assert ward.known("c") == with_line
    assert study.digest in ward.bench("c").models.complete
    site = ward.site("c")
    planned = site.plan()
    assert isinstance(planned, Planned)
    site.begin(planned)
    trained = site.finish(planned)
    assert trained is not None
    with BundleWriter(tmp_path / "back.bundle") as bundle:
        ward.push("c", bundle)
    back = BundleReader(tmp_path / "back.bundle")
    ward.pull("a", back)
    back.close()
    assert trained.digest in ward.known("a")


def test_a_bundle_is_a_plain_tar(tmp_path: Path) -> None:
    with BundleWriter(tmp_path / "b") as bundle:
        bundle.put_if_absent(BLOB, b"sealed" * 1000)
        bundle.replace(f"{ME}/feeds/head", b"1")
        assert not bundle.put_if_absent(BLOB, b"other")
        bundle.replace(f"{ME}/feeds/head", b"2")
    with tarfile.open(tmp_path / "b") as tar:
        assert tar.getnames() == [FIRST, BLOB, f"{ME}/feeds/head"]
        read = tar.extractfile(BLOB)
        assert read is not None
        assert read.read() == b"sealed" * 1000


def test_what_a_bundle_holds_is_given_back(tmp_path: Path) -> None:
    bundle = reading(tmp_path, START + member(BLOB, bytes(range(200))) + END)
    assert bundle.get(BLOB) == bytes(range(200))
    assert bundle.get(BLOB, start=190, length=100) == bytes(range(190, 200))
    assert bundle.get(BLOB, length=3) == b"\0\1\2"
    assert bundle.get(f"{ME}/keys/{ME}") is None
    assert [(one.name, one.size) for one in bundle.list(f"{ME}/blobs")] == [(BLOB[-64:], 200)]
    assert list(bundle.list(f"{ME}/keys")) == []
    with pytest.raises(Misuse):
        bundle.get("../x")
    for write in (bundle.put_if_absent, bundle.replace):
        with pytest.raises(Unreachable):
            write(BLOB, b"x")
    bundle.close()


def tar_of(*names: str, kind: bytes = tarfile.REGTYPE) -> bytes:
    """Return what an ordinary tar writes."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name in names:
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.size = kind, "/etc/passwd", len(VERSION) if name == FIRST else 0
            tar.addfile(info, io.BytesIO(VERSION))
    return out.getvalue()


HOSTILE = {
    "nothing": b"",
    "no tar": b"PK\x03\x04" + bytes(2000),
    "only zeros": END,
    "no end": START,
    "half an end": START + bytes(BLOCK),
    "more after the end": START + END + b"x",
    "a member cut off": START + member(BLOB, bytes(1000))[:-600],
    "a name that leads out": START + member("../../etc/passwd", b"x") + END,
    "an absolute name": START + member("/etc/passwd", b"x") + END,
    "another name": START + member("readme", b"x") + END,
    "a name twice": START + 2 * member(BLOB, b"x") + END,
    "the first member twice": 2 * START + END,
    "no first member": member(BLOB, b"x") + END,
    "a link": START + tar_of(BLOB, kind=tarfile.SYMTYPE),
    "a folder": START + tar_of(BLOB, kind=tarfile.DIRTYPE),
    "a device": START + tar_of(BLOB, kind=tarfile.CHRTYPE),
    "an ordinary tar's header": tar_of(FIRST, BLOB),
    "a size beyond the end": START + _header(BLOB, 10**9) + bytes(3 * BLOCK),
    "a size beyond all": START + _header(BLOB, 8**11 - 1) + bytes(3 * BLOCK),
    "a negative size": START + _header(BLOB, 1)[:124] + b"-0000000001\0" + _header(BLOB, 1)[136:] + bytes(3 * BLOCK),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_bundle_is_refused_in_words(tmp_path: Path, name: str) -> None:
    with pytest.raises(Corrupt, match="is no whole bundle"):
        reading(tmp_path, HOSTILE[name])


@given(st.data())
def test_whatever_is_changed_in_a_header_is_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    whole = bytearray(START + member(BLOB, b"x" * 100) + END)
    at = data.draw(st.sampled_from([*range(512), *range(1024, 1536), *range(2048, 3072)]))
    whole[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(ImagiqError):
        reading(tmp_path_factory.mktemp("bundle"), bytes(whole))


def test_a_bundle_of_another_version_says_upgrade(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="Upgrade"):
        reading(tmp_path, member(FIRST, b"imagiq bundle 2\n") + END)


def test_nothing_is_overwritten_and_nothing_half_is_left(tmp_path: Path) -> None:
    with BundleWriter(tmp_path / "b"):
        pass
    with pytest.raises(Conflict):
        BundleWriter(tmp_path / "b")
    with pytest.raises(ZeroDivisionError), BundleWriter(tmp_path / "c"):
        raise ZeroDivisionError
    assert [file.name for file in tmp_path.iterdir()] == ["b"]
    with pytest.raises(Unreachable):
        BundleWriter(tmp_path / "nowhere" / "b")
    with pytest.raises(NotFound):
        BundleReader(tmp_path / "none")
