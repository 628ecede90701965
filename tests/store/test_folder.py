"""A repository folder on the real file system: locks, read-only folders, formats, leftovers."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from imagiq.errors import Conflict, Corrupt, Misuse, NotFound, Unreachable, Unsupported
from imagiq.objects import digest_of
from imagiq.store import FolderStore, RealFiles

HOLDER = """
import sys
from imagiq.store import FolderStore
with FolderStore.open(sys.argv[1]) as store:
    store.add([b"held"])
    print("open", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "repository"
    with FolderStore.create(path) as store:
        store.add([b"blob"])
        store.add_commits([b"commit"])
        store.journal.append([{"n": 1}], durable=True)
    return path


def hold(path: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"
    return process


def test_a_second_process_is_told_who_writes_and_may_read_meanwhile(path: Path) -> None:
    with hold(path) as holder:
        with pytest.raises(Conflict, match=f"pid {holder.pid}") as caught:
            FolderStore.open(path)
        assert caught.value.code == "store-locked"
        with FolderStore.open(path, read_only=True) as reader:
            assert reader.read(digest_of(b"held")) == b"held"
            assert list(reader.commits()) == [b"commit"]
            assert list(reader.journal.read()) == [{"n": 1}]
        holder.communicate("\n")
    FolderStore.open(path).close()


def test_the_lock_of_a_killed_process_is_free(path: Path) -> None:
    with hold(path) as holder:
        holder.kill()
        holder.communicate()
    with FolderStore.open(path) as store:
        assert store.has(digest_of(b"held"))


def test_one_process_cannot_write_twice_either(path: Path) -> None:
    with FolderStore.open(path), pytest.raises(Conflict):
        FolderStore.open(path)


def test_a_reader_cannot_write(path: Path) -> None:
    with FolderStore.open(path, read_only=True) as reader:
        for write in (reader.add, reader.add_commits, reader.remove, reader.journal.rewrite):
            with pytest.raises(Misuse):
                write([])
        with pytest.raises(Misuse):
            reader.journal.append([], durable=True)
        with pytest.raises(Misuse):
            reader.secret_write("key", b"")


def test_nothing_is_written_after_closing(path: Path) -> None:
    store = FolderStore.open(path)
    store.close()
    with pytest.raises(Misuse):
        store.add([b"late"])
    with pytest.raises(Misuse):
        store.journal.append([{}], durable=False)


def test_a_folder_that_is_no_repository_is_not_found(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", "utf-8")
    for name in ("", "absent", "file"):
        with pytest.raises(NotFound):
            FolderStore.open(tmp_path / name)


def test_a_repository_of_a_later_format_is_refused_unchanged(path: Path) -> None:
    (path / "format").write_text("imagiq repository 7\n", "ascii")
    for read_only in (False, True):
        with pytest.raises(Unsupported, match="imagiq repository 7"):
            FolderStore.open(path, read_only=read_only)


def test_a_repository_is_not_made_twice(path: Path) -> None:
    with pytest.raises(Conflict, match="already"):
        FolderStore.create(path)
    with FolderStore.open(path) as store:
        assert store.has(digest_of(b"blob"))


def test_a_folder_that_cannot_be_written_is_explained_and_can_be_read(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(name: str, flags: int, mode: int = 0o777) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), name)
        return plain(name, flags, mode)

    plain = os.open
    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(Unreachable) as caught:
        FolderStore.open(path)
    assert caught.value.code == "folder-read-only"
    with FolderStore.open(path, read_only=True) as reader:
        assert reader.read(digest_of(b"blob")) == b"blob"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="needs a user whom permissions stop")
def test_a_folder_without_permission_is_explained_and_can_be_read(path: Path) -> None:
    path.chmod(0o500)
    (path / "lock").chmod(0o400)
    with pytest.raises(Unreachable) as caught:
        FolderStore.open(path)
    path.chmod(0o700)
    assert caught.value.code == "folder-read-only"


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
def test_only_the_owner_reads_a_repository(path: Path) -> None:
    with FolderStore.open(path) as store:
        store.secret_write("site", b"key")
        store.sidecar_write(digest_of(b"commit"), "scores", b"private")
    for entry in (path, *path.rglob("*")):
        assert stat.S_IMODE(entry.stat().st_mode) == (0o700 if entry.is_dir() else 0o600), entry


def test_names_hold_nothing_that_a_file_system_refuses(path: Path) -> None:
    with FolderStore.open(path) as store:
        store.sidecar_write(digest_of(b"commit"), "scores", b"private")
    assert all(set(entry.name) <= set("abcdefghijklmnopqrstuvwxyz0123456789_-") for entry in path.rglob("*"))


def test_leftovers_and_foreign_files_are_no_objects(path: Path) -> None:
    (path / "tmp" / "17").write_bytes(b"half")
    (path / "objects" / ".DS_Store").write_bytes(b"")
    (path / "objects" / digest_of(b"blob")[:2] / "Thumbs.db").write_bytes(b"")
    with FolderStore.open(path) as store:
        assert list(store.objects()) == [digest_of(b"blob")]
        assert not list((path / "tmp").iterdir())


def test_a_copy_without_its_empty_folders_is_a_repository(path: Path) -> None:
    for name in ("tmp", "secrets", "sidecar"):
        (path / name).rmdir()
    with FolderStore.open(path) as store:
        store.secret_write("key", b"k")
        store.add([b"more"])
    with FolderStore.open(path, read_only=True) as reader:
        assert reader.secret_read("key") == b"k"


def test_what_is_no_digest_is_never_a_path(path: Path) -> None:
    (path / "objects" / "..x").mkdir()
    with FolderStore.open(path, read_only=True) as reader, pytest.raises(Corrupt):
        reader.read(digest_of(b"blob").replace(digest_of(b"blob")[:6], "../../"))  # type: ignore[arg-type]


def test_an_object_that_was_cut_off_is_written_again(path: Path) -> None:
    digest = digest_of(b"blob")
    (path / "objects" / digest[:2] / digest[2:]).write_bytes(b"bl")
    with FolderStore.open(path) as store:
        store.add([b"blob"])
        assert store.read(digest) == b"blob"


def test_a_stream_of_any_length_passes_through_bounded_memory(tmp_path: Path) -> None:
    def stream() -> Iterator[bytes]:
        for number in range(60):
            yield number.to_bytes(4, "little") * 2**18

    with FolderStore.create(tmp_path / "repository") as store:
        tracemalloc.start()
        store.add(stream())
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 40 * 2**20


def test_a_real_full_disk_loses_nothing_and_the_store_goes_on(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = threading.Event()
    plain = os.write

    def write(handle: int, data: memoryview) -> int:
        if full.is_set():
            if len(data) < 100:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return plain(handle, data[: len(data) // 2])
        return plain(handle, data)

    monkeypatch.setattr(os, "write", write)
    with FolderStore.open(path) as store:
        full.set()
        with pytest.raises(Unreachable, match="full"):
            store.add(bytes([number]) * 9000 for number in range(50))
        with pytest.raises(Unreachable, match="full"):
            store.journal.append([{"n": 2, "text": "x" * 5000}], durable=True)
        assert list(store.objects()) == [digest_of(b"blob")]
        assert list(store.journal.read()) == [{"n": 1}]
        assert not list((path / "tmp").iterdir())
        full.clear()
        store.add([b"after"])
        store.journal.append([{"n": 3}], durable=True)
    with FolderStore.open(path) as store:
        assert list(store.journal.read()) == [{"n": 1}, {"n": 3}]
        assert store.has(digest_of(b"after"))


def test_real_files_refuse_to_write_over_a_file(tmp_path: Path) -> None:
    files = RealFiles()
    files.write(f"{tmp_path}/one", memoryview(b"x"))
    with pytest.raises(FileExistsError):
        files.write(f"{tmp_path}/one", b"y")
    with pytest.raises(FileNotFoundError):
        files.append(f"{tmp_path}/two", b"y", sync=False)


def test_every_new_file_is_synced_before_it_is_renamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = threading.Lock()
    synced: set[int] = set()
    renamed: list[int] = []

    def fsync(handle: int) -> None:
        with lock:
            synced.add(os.fstat(handle).st_ino)

    plain = os.replace

    def replace(old: str, new: str) -> None:
        renamed.append(Path(old).stat().st_ino)
        assert renamed[-1] in synced
        plain(old, new)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    with FolderStore.create(tmp_path / "repository") as store:
        store.add(str(number).encode() for number in range(20))
        store.add_commits([b"commit"])
        store.secret_write("key", b"k")
    assert len(renamed) == 23


def test_folders_that_somebody_removes_while_it_is_open_are_made_again(path: Path) -> None:
    fan = digest_of(b"new")[:2]
    with FolderStore.open(path) as store:
        store.add([b"new"])
        shutil.rmtree(path / "tmp")
        shutil.rmtree(path / "sidecar")
        assert store.add([b"other"]) == (digest_of(b"other"),)
        store.sidecar_write(digest_of(b"commit"), "state", b"x")
        store.journal.rewrite([{"n": 2}])
        shutil.rmtree(path / "objects" / fan)
        with suppress(Unreachable):
            store.add([b"new"])
        assert store.add([b"new"]) == (digest_of(b"new"),)
        assert store.read(digest_of(b"new")) == b"new"
    with FolderStore.open(path) as again:
        assert again.sidecar_read(digest_of(b"commit"), "state") == b"x"
        assert list(again.journal.read()) == [{"n": 2}]


def test_a_repository_that_is_moved_away_is_not_begun_anew_where_it_was(path: Path) -> None:
    with FolderStore.open(path) as store:
        path.rename(path.with_name("away"))
        with pytest.raises(Unreachable):
            store.add([b"new"])
        assert not path.exists()
        path.with_name("away").rename(path)
        store.add([b"new"])
        assert store.read(digest_of(b"new")) == b"new"
