"""The index of commits: order, pages, prefixes, markers, damage."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagiq.errors import Conflict, Corrupt, NotFound
from imagiq.objects import digest_of
from imagiq.store import Index, Row


def row(number: int, *, height: int | None = None, study: str = "", state: str = "") -> Row:
    return Row(
        digest=digest_of(str(number).encode()), height=number if height is None else height, feed="f" * 64,
        number=number, site="Budapest", study=study, recipe="train", state=state, tree="", cases=None,
        created="2000-01-01T00:00:00Z", parents=("base:" + digest_of(b"p"), "input:" + digest_of(b"q")),
    )  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "index.sqlite"


def test_a_row_comes_back_as_it_was_put(path: Path) -> None:
    with Index.open(path) as index:
        index.upsert([row(1)])
        assert index.get(row(1).digest) == row(1)
        assert index.get(digest_of(b"absent")) is None
        index.upsert([row(1, state="void")])
        assert index.newest(10) == [row(1, state="void")]
    with Index.open(path, read_only=True) as index:
        assert index.count() == 1


@given(heights=st.lists(st.integers(1, 5), max_size=20), size=st.integers(1, 7), study=st.sampled_from([None, "", "s"]))
def test_pages_follow_each_other_in_the_order_of_height_then_digest(
    heights: list[int], size: int, study: str | None
) -> None:
    rows = [row(number, height=height, study="s" * (number % 2)) for number, height in enumerate(heights)]
    wanted = sorted((r for r in rows if study in (None, r.study)), key=lambda r: (-r.height, r.digest))
    with Index.open(":memory:") as index:
        index.upsert(rows)
        got: list[Row] = []
        while page := index.newest(size, study=study, after=(got[-1].height, got[-1].digest) if got else None):
            got += page
    assert got == wanted


def test_a_prefix_finds_the_commits_that_begin_with_it(path: Path) -> None:
    with Index.open(path) as index:
        index.upsert(map(row, range(200)))
        digests = sorted(row(number).digest for number in range(200))
        for prefix in ("", "0", "a1", "ff", digests[7], digests[7][:12]):
            assert index.find(prefix, 50) == [d for d in digests if d.startswith(prefix)][:50]
        assert index.find("zz", 5) == index.find("A", 5) == []


def test_the_marker_is_kept_and_clearing_clears_all(path: Path) -> None:
    with Index.open(path) as index:
        assert index.marker() == ""
        index.set_marker("one")
        index.set_marker("two")
        index.upsert([row(1)])
    with Index.open(path) as index:
        assert index.marker() == "two"
        index.clear()
        assert (index.marker(), index.count()) == ("", 0)


@pytest.mark.parametrize("content", [b"no database at all" * 300, None])
def test_a_damaged_index_is_reported_with_the_way_out(path: Path, content: bytes | None) -> None:
    with Index.open(path) as index:
        index.upsert(map(row, range(2000)))
    spoiled = bytearray(path.read_bytes())
    spoiled[4096:] = b"\xff" * (len(spoiled) - 4096)
    path.write_bytes(content or spoiled)
    with pytest.raises(Corrupt, match="imagiq fsck") as caught, Index.open(path) as index:
        index.newest(50)
    assert caught.value.code == "index-damaged"


def test_an_index_of_another_version_is_emptied_for_its_owner_and_missing_for_a_reader(path: Path) -> None:
    with Index.open(path) as index:
        index.upsert([row(1)])
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(NotFound):
        Index.open(path, read_only=True)
    with Index.open(path) as index:
        assert (index.marker(), index.count()) == ("", 0)


def test_a_missing_index_is_not_found_by_a_reader(path: Path) -> None:
    with pytest.raises(NotFound):
        Index.open(path, read_only=True)


def test_a_reader_sees_what_a_writer_has_put_and_two_writers_do_not_mix(path: Path) -> None:
    with Index.open(path) as writer, Index.open(path, read_only=True) as reader:
        writer.upsert([row(1)])
        assert reader.newest(5) == [row(1)]
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        writer._connection.execute("PRAGMA busy_timeout = 1")
        with pytest.raises(Conflict):
            writer.upsert([row(2)])
        other.close()
        writer.upsert([row(2)])
        assert reader.count() == 2


def test_rows_that_fail_halfway_leave_none(path: Path) -> None:
    def broken() -> Iterator[Row]:
        yield row(1)
        raise ZeroDivisionError

    with Index.open(path) as index:
        with pytest.raises(ZeroDivisionError):
            index.upsert(broken())
        assert index.count() == 0
