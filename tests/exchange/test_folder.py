"""A folder on a disk, a shared drive or a stick: nothing is followed out of it, nothing torn is seen."""

from __future__ import annotations

import errno
import os
import threading
import time
from pathlib import Path

import pytest

from imagiq.errors import Unreachable
from imagiq.exchange import FolderRemote
from imagiq.testing.remotes import ME, blob

HEAD = f"{ME}/feeds/head"


def refusal(raised: pytest.ExceptionInfo[Unreachable]) -> str:
    return raised.value.code


def test_a_new_commit_is_noticed_long_before_the_call_ends(tmp_path: Path) -> None:
    remote, other = FolderRemote(tmp_path), FolderRemote(tmp_path)
    remote.replace(HEAD, b"1")
    word = remote.news([ME])
    noticed: list[float] = []
    for number in range(2, 7):
        wrote: list[float] = []

        def write(content: bytes, wrote: list[float]) -> None:
            other.replace(HEAD, content)
            wrote.append(time.monotonic())

        timer = threading.Timer(0.05, write, [str(number).encode(), wrote])
        timer.start()
        word = remote.news([ME], word, 10.0)
        now = time.monotonic()
        timer.join()
        noticed.append(now - wrote[0])
    assert max(noticed) < 2.0, "how soon, `make bench` measures"


def test_a_drive_that_is_not_there_is_unreachable_and_is_not_made(tmp_path: Path) -> None:
    remote = FolderRemote(tmp_path / "drive")
    for call in (
        lambda: remote.get(HEAD),
        lambda: remote.put_if_absent(HEAD, b"x"),
        lambda: remote.replace(HEAD, b"x"),
        lambda: list(remote.list(f"{ME}/feeds")),
        lambda: remote.news([ME]),
    ):
        with pytest.raises(Unreachable) as raised:
            call()
        assert refusal(raised) == "remote-away"
    assert not (tmp_path / "drive").exists()


@pytest.mark.skipif(os.name == "nt", reason="there are neither links nor pipes")
def test_only_plain_files_are_read(tmp_path: Path) -> None:
    remote = FolderRemote(tmp_path)
    remote.put_if_absent(blob(1), b"plain")
    secret = tmp_path.parent / f"{tmp_path.name}-secret"
    secret.write_bytes(b"a secret outside")
    blobs = tmp_path / ME / "blobs"
    link, pipe, below = (blob(number).rpartition("/")[2] for number in (2, 3, 4))
    (blobs / link).symlink_to(secret)
    os.mkfifo(blobs / pipe)
    (blobs / below).mkdir()
    assert [remote.get(blob(number)) for number in (2, 3, 4)] == [None, None, None]
    assert [listed.name for listed in remote.list(f"{ME}/blobs")] == [blob(1).rpartition("/")[2]]


def test_what_is_being_written_is_not_listed(tmp_path: Path) -> None:
    remote = FolderRemote(tmp_path)
    remote.put_if_absent(blob(1), b"whole")
    (tmp_path / ME / "blobs" / ".new-0123").write_bytes(b"half")
    assert [listed.size for listed in remote.list(f"{ME}/blobs")] == [5]
    remote.replace(HEAD, b"x")
    assert [file.name for file in (tmp_path / ME / "feeds").iterdir()] == ["head"], "nothing is left behind"


@pytest.mark.parametrize(
    ("number", "code"),
    [(errno.ENOSPC, "remote-full"), (errno.EROFS, "remote-read-only"), (errno.EIO, "remote-away")],
)
def test_a_disk_that_refuses_is_told_in_words_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, code: str
) -> None:
    remote = FolderRemote(tmp_path)
    remote.put_if_absent(blob(1), b"before")

    def refuse(_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(Unreachable) as raised:
        remote.put_if_absent(blob(2), b"more")
    assert refusal(raised) == code
    monkeypatch.undo()
    assert len(list((tmp_path / ME / "blobs").iterdir())) == 1
    assert remote.get(blob(1)) == b"before"
    assert remote.put_if_absent(blob(2), b"more")


def test_where_there_are_no_links_who_comes_first_stays_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOTSUP, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    remote = FolderRemote(tmp_path)
    assert remote.put_if_absent(blob(1), b"first")
    assert not remote.put_if_absent(blob(1), b"second")
    assert remote.get(blob(1)) == b"first"


def test_closing_ends_waiting(tmp_path: Path) -> None:
    remote = FolderRemote(tmp_path)
    word = remote.news([ME])
    threading.Timer(0.05, remote.close).start()
    start = time.monotonic()
    assert remote.news([ME], word, 60.0) == word
    assert time.monotonic() - start < 10
