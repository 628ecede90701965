"""The journal's frames: a torn end is cut, damage is reported, and the two are told apart."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagiq.errors import Corrupt
from imagiq.objects import encode
from imagiq.store import FolderStore, MemoryStore
from imagiq.store.journal import frame, scan

PAYLOADS = [encode({"n": number, "text": "x" * number * 10}) for number in range(6)]


def settled_journal() -> tuple[bytes, list[int]]:
    """A journal in which every record was durable before the next; its bytes, and where each frame begins."""
    content = b""
    starts = []
    for payload in PAYLOADS:
        starts.append(len(content))
        content += frame(payload, len(content))
    return content, starts


def test_a_frame_has_the_bytes_that_the_spec_gives() -> None:
    assert frame(b"{}", 5).hex() == "1e49513002000000050000000000000092db83347b7d"


@given(cut=st.integers(0, 10**6), garbage=st.binary(max_size=40))
def test_a_journal_that_ends_anywhere_gives_the_records_before(cut: int, garbage: bytes) -> None:
    content, starts = settled_journal()
    cut %= len(content) + 1
    found = scan(content[:cut] + garbage)
    whole = sum(start + len(frame(payload, 0)) <= cut for start, payload in zip(starts, PAYLOADS, strict=True))
    if not found.damaged:
        assert list(found.payloads[:whole]) == PAYLOADS[:whole]
        assert len(found.payloads) == whole or garbage


@given(at=st.integers(0, 10**6), bit=st.integers(0, 7))
def test_any_flipped_bit_before_the_last_record_is_damage_and_costs_one_record(at: int, bit: int) -> None:
    content, starts = settled_journal()
    at %= starts[-1]
    spoiled = bytearray(content)
    spoiled[at] ^= 1 << bit
    found = scan(bytes(spoiled))
    assert found.damaged
    kept = list(found.payloads + found.beyond)
    assert len(kept) == len(PAYLOADS) - 1
    assert set(kept) < set(PAYLOADS)


@given(at=st.integers(0, 10**6))
def test_a_flipped_bit_anywhere_in_a_rewritten_journal_is_damage(at: int) -> None:
    total = sum(len(frame(payload, 0)) for payload in PAYLOADS)
    spoiled = bytearray(b"".join(frame(payload, total) for payload in PAYLOADS))
    spoiled[at % total] ^= 1
    assert scan(bytes(spoiled)).damaged


def test_unsettled_records_behind_a_lost_one_are_a_torn_end_not_damage() -> None:
    first, lost, kept = (
        frame(payload, len(frame(PAYLOADS[0], 0)) if place else 0) for place, payload in enumerate(PAYLOADS[:3])
    )
    found = scan(first + bytes(len(lost)) + kept)
    assert not found.damaged
    assert found.payloads == (PAYLOADS[0],)
    assert found.end == len(first)


def spoil(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 0xFF
    path.write_bytes(content)


def test_damage_in_the_middle_is_reported_and_healed_by_rewriting_what_is_whole(tmp_path: Path) -> None:
    with FolderStore.create(tmp_path / "repository") as store:
        store.add([b"object"])
        for number in range(4):
            store.journal.append([{"n": number}], durable=True)
    spoil(tmp_path / "repository" / "journal", 40)
    with FolderStore.open(tmp_path / "repository") as store:
        assert len(list(store.objects())) == 1
        with pytest.raises(Corrupt, match="imagiq fsck") as caught:
            store.journal.read()
        assert caught.value.code == "journal-damaged"
        with pytest.raises(Corrupt):
            store.journal.append([{"n": 9}], durable=True)
        whole = list(store.journal.salvage())
        assert whole == [{"n": 0}, {"n": 2}, {"n": 3}]
        store.journal.rewrite(whole)
        store.journal.append([{"n": 4}], durable=True)
        assert [record["n"] for record in store.journal.read()] == [0, 2, 3, 4]


def test_a_missing_journal_is_damage(tmp_path: Path) -> None:
    FolderStore.create(tmp_path / "repository").close()
    (tmp_path / "repository" / "journal").unlink()
    with FolderStore.open(tmp_path / "repository") as store:
        with pytest.raises(Corrupt):
            store.journal.read()
        assert list(store.journal.salvage()) == []
        store.journal.rewrite([])
        assert list(store.journal.read()) == []


@pytest.mark.parametrize("tail", [b"\0" * 100, b"\x1eIQ0", b"garbage", frame(PAYLOADS[3], 0)[:-1]])
def test_a_torn_end_is_cut_for_good_at_the_first_append(tmp_path: Path, tail: bytes) -> None:
    path = tmp_path / "repository"
    with FolderStore.create(path) as store:
        store.journal.append([{"n": 1}], durable=True)
    with (path / "journal").open("ab") as file:
        file.write(tail)
    with FolderStore.open(path, read_only=True) as reader:
        assert list(reader.journal.read()) == [{"n": 1}]
    with FolderStore.open(path) as store:
        assert list(store.journal.read()) == [{"n": 1}]
        store.journal.append([{"n": 2}], durable=False)
    with FolderStore.open(path) as store:
        assert list(store.journal.read()) == [{"n": 1}, {"n": 2}]


def test_what_is_not_durable_is_synced_when_it_has_grown(tmp_path: Path) -> None:
    with FolderStore.create(tmp_path / "repository") as store:
        for number in range(3):
            store.journal.append([{"n": number, "text": "x" * 600_000}], durable=False)
        assert len(list(store.journal.read())) == 3
        assert store.journal._settled > 1_000_000


def test_a_memory_stores_crash_takes_the_records_that_were_not_durable() -> None:
    store = MemoryStore()
    store.add([b"object"])
    store.journal.append([{"n": 1}], durable=True)
    store.journal.append([{"n": 2}], durable=False)
    clone, left = store.copy(), store.after_crash()
    store.journal.append([{"n": 3}], durable=True)
    assert [record["n"] for record in left.journal.read()] == [1]
    assert [record["n"] for record in clone.journal.read()] == [1, 2]
    assert [record["n"] for record in store.journal.read()] == [1, 2, 3]
    assert list(left.objects()) == list(store.objects())


def test_memory_stores_share_the_bytes_that_they_are_given() -> None:
    content = b"x" * 10_000
    first, second = MemoryStore(), MemoryStore()
    first.add([content])
    second.add(first.read(digest) for digest in first.objects())
    assert next(map(second.read, second.objects())) is content
