"""The simulated files promise what POSIX promises, and no more."""

from __future__ import annotations

import errno
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from imagiq.store import Files, RealFiles
from imagiq.testing.files import Crash, Fault, SimulatedFiles


def outcomes(work: str, runs: int = 200) -> set[object]:
    """Return what power cuts leave of the file ``/a`` after some calls, over many draws."""
    found: set[object] = set()
    for seed in range(runs):
        files = SimulatedFiles(random.Random(seed).randrange)
        exec(work, {"files": files})  # the calls stand in the test
        files.power_cut()
        found.add(files.read("/a") if "a" in files.list("/") else None)
    return found


def test_a_new_file_is_whole_or_absent_until_its_folder_is_synced() -> None:
    assert outcomes("files.write('/a', b'xy')") == {None, b"xy"}
    assert outcomes("files.write('/a', b'xy'); files.sync_folder('/')") == {b"xy"}


def test_an_unsynced_write_is_kept_lost_torn_or_zero() -> None:
    begin = "files.write('/a', b'xy'); files.sync_folder('/'); files.append('/a', b'123', sync=False)"
    assert outcomes(begin) == {b"xy", b"xy1", b"xy12", b"xy123", b"xy\0\0\0"}
    assert outcomes(begin + "; files.sync('/a')") == {b"xy123"}


def test_a_later_write_may_survive_an_earlier_one() -> None:
    begin = "files.write('/a', b''); files.sync_folder('/'); "
    found = outcomes(begin + "files.append('/a', b'1', sync=False); files.append('/a', b'2', sync=False)")
    assert b"\x002" in found


def test_a_rename_is_the_old_file_or_the_new_one() -> None:
    begin = "files.write('/a', b'old'); files.sync_folder('/'); files.write('/b', b'new'); files.rename('/b', '/a')"
    assert outcomes(begin) == {b"old", b"new"}
    assert outcomes(begin + "; files.sync_folder('/')") == {b"new"}


def test_what_a_failed_sync_gave_up_is_readable_now_and_gone_after_the_power() -> None:
    files = SimulatedFiles(lambda _: 0)
    files.write("/a", b"x")
    files.sync_folder("/")
    files.append("/a", b"y", sync=False)
    files.fault = Fault(files.calls + 1, errno.EIO)
    with pytest.raises(OSError, match="Input/output"):
        files.sync("/a")
    files.sync("/a")
    assert files.read("/a") == b"xy"
    files.power_cut()
    assert files.read("/a") == b"x"


def test_a_crash_stops_every_later_call_until_the_power_is_back() -> None:
    files = SimulatedFiles(lambda _: 0)
    files.fault = Fault(1)
    for _ in range(2):
        with pytest.raises(Crash):
            files.write("/a", b"x")
    files.kill()
    files.write("/a", b"x")


def refusals(files: Files, root: str) -> list[tuple[type[OSError], Callable[[], object]]]:
    """Return calls that POSIX refuses, where there are a file and a folder, and a lock is held."""
    return [
        (FileExistsError, lambda: files.make_folder(f"{root}/folder")),
        (FileExistsError, lambda: files.write(f"{root}/file", b"")),
        (FileNotFoundError, lambda: files.read(f"{root}/absent")),
        (FileNotFoundError, lambda: files.write(f"{root}/absent/file", b"")),
        (FileNotFoundError, lambda: files.rename(f"{root}/absent", f"{root}/file")),
        (NotADirectoryError, lambda: files.list(f"{root}/file")),
        (NotADirectoryError, lambda: files.read(f"{root}/file/below")),
        (IsADirectoryError, lambda: files.rename(f"{root}/file", f"{root}/folder")),
        (BlockingIOError, lambda: files.lock(f"{root}/lock", "other")),
    ]


@pytest.mark.parametrize("simulated", [True, False])
def test_simulated_and_real_files_refuse_alike(tmp_path: Path, simulated: bool) -> None:
    files: Files = SimulatedFiles(lambda _: 0) if simulated else RealFiles()
    root = "" if simulated else str(tmp_path)
    files.make_folder(f"{root}/folder")
    files.write(f"{root}/file", b"x")
    lock = files.lock(f"{root}/lock", "note")
    for kind, call in refusals(files, root):
        with pytest.raises(kind):
            call()
    lock.release(clean=False)
    again = files.lock(f"{root}/lock", "other")
    assert again.before == "note"
    again.release(clean=True)
    last = files.lock(f"{root}/lock", "third")
    assert last.before == ""
    last.release(clean=True)
