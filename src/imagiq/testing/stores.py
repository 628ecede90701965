"""The suite that every store passes.

Subclass it, and give it a store::

class TestMyStore(StoreContract):
@pytest.fixture
def store(self, tmp_path):
with MyStore(tmp_path) as store:
yield store
"""

# ruff: noqa: S101 - asserts are what this module is for
from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from imagiq.errors import Misuse, NotFound
from imagiq.objects import Digest, digest_of
from imagiq.store import Record, Store

__all__ = ["StoreContract"]

ABSENT = digest_of(b"nobody ever added this")
COMMIT = digest_of(b"some commit")


class StoreContract(ABC):
    """What :class:`imagiq.store.Store` promises, as far as it shows without a crash."""

    @pytest.fixture
    @abstractmethod
    def store(self) -> Iterator[Store]:
        """Give an empty store, open for writing."""

    def test_what_is_added_is_read_back_under_the_digest_of_its_bytes(self, store: Store) -> None:
        """Objects of any size, the empty one included, come back byte for byte."""
        contents = [b"", b"a", bytes(range(256)) * 1000]
        digests = store.add(contents)
        assert digests == tuple(map(digest_of, contents))
        assert [store.read(digest) for digest in digests] == contents
        assert [store.size(digest) for digest in digests] == [0, 1, 256_000]

    def test_names_come_in_the_order_given_even_when_objects_repeat(self, store: Store) -> None:
        """An object that is given twice is kept once and named twice."""
        assert store.add([b"x", b"y", b"x"]) == (digest_of(b"x"), digest_of(b"y"), digest_of(b"x"))
        assert store.add([b"y"]) == (digest_of(b"y"),)
        assert sorted(store.objects()) == sorted([digest_of(b"x"), digest_of(b"y")])

    def test_a_memoryview_is_kept_as_it_was_during_the_call(self, store: Store) -> None:
        """Whoever lends memory to ``add`` may reuse it afterwards."""
        memory = bytearray(b"before")
        (digest,) = store.add([memoryview(memory)])
        memory[:] = b"behind"
        assert digest == digest_of(b"before")
        assert store.read(digest) == b"before"

    def test_a_stream_is_consumed_once_and_to_its_end(self, store: Store) -> None:
        """An iterator does as well as a list."""
        contents = [bytes([number]) * 5000 for number in range(200)]
        assert store.add(iter(contents)) == tuple(map(digest_of, contents))
        assert set(store.objects()) == set(map(digest_of, contents))
        assert store.add(()) == ()

    def test_a_stream_that_raises_leaves_whole_objects_only_and_a_store_that_works(self, store: Store) -> None:
        """The caller's own error comes through."""

        def stream() -> Iterator[bytes]:
            yield b"one"
            yield b"two"
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            store.add(stream())
        assert all(digest_of(store.read(digest)) == digest for digest in store.objects())
        assert store.add([b"one"]) == (digest_of(b"one"),)
        assert store.read(digest_of(b"one")) == b"one"

    def test_commits_are_kept_apart_from_objects(self, store: Store) -> None:
        """A commit is no object, and an object no commit."""
        (commit,) = store.add_commits([b"a commit"])
        (other,) = store.add([b"an object"])
        assert store.has_commit(commit)
        assert not store.has(commit)
        assert store.has(other)
        assert not store.has_commit(other)
        assert list(store.commits()) == [b"a commit"]
        assert list(store.objects()) == [other]
        assert store.read_commit(commit) == b"a commit"

    def test_many_commits_are_all_listed_once(self, store: Store) -> None:
        """Adding a commit again changes nothing."""
        raws = [f"commit {number}".encode() for number in range(300)]
        assert store.add_commits(iter(raws)) == tuple(map(digest_of, raws))
        store.add_commits(raws[:10])
        assert sorted(store.commits()) == sorted(raws)

    def test_what_is_absent_is_not_found(self, store: Store) -> None:
        """The answer of ``has`` is False; reading raises."""
        assert not store.has(ABSENT)
        assert not store.has_commit(ABSENT)
        for read in (store.read, store.size, store.read_commit):
            with pytest.raises(NotFound):
                read(ABSENT)

    def test_what_is_removed_is_gone_and_can_be_added_again(self, store: Store) -> None:
        """Removing what is absent does nothing; commits cannot be removed."""
        first, second = store.add([b"first", b"second"])
        (commit,) = store.add_commits([b"a commit"])
        store.remove([first, ABSENT, commit])
        assert not store.has(first)
        assert store.has_commit(commit)
        assert list(store.objects()) == [second]
        store.add([b"first"])
        assert store.read(first) == b"first"

    def test_a_sidecar_belongs_to_its_commit_and_name(self, store: Store) -> None:
        """It is replaced as a whole, and is neither an object nor a commit."""
        assert store.sidecar_read(COMMIT, "optimizer") is None
        store.sidecar_write(COMMIT, "optimizer", b"long first content")
        store.sidecar_write(COMMIT, "optimizer", b"short")
        store.sidecar_write(COMMIT, "scores_per-case", b"")
        assert store.sidecar_read(COMMIT, "optimizer") == b"short"
        assert store.sidecar_read(COMMIT, "scores_per-case") == b""
        assert store.sidecar_read(ABSENT, "optimizer") is None
        store.sidecar_write(ABSENT, "optimizer", b"of another commit")
        store.sidecar_remove(COMMIT)
        store.sidecar_remove(COMMIT)
        assert store.sidecar_read(COMMIT, "optimizer") is None
        assert store.sidecar_read(COMMIT, "scores_per-case") is None
        assert store.sidecar_read(ABSENT, "optimizer") == b"of another commit"
        store.sidecar_write(COMMIT, "optimizer", b"once more")
        assert store.sidecar_read(COMMIT, "optimizer") == b"once more"
        assert not list(store.objects())
        assert not list(store.commits())

    def test_a_secret_is_read_back(self, store: Store) -> None:
        """It is replaced as a whole."""
        assert store.secret_read("site") is None
        store.secret_write("site", b"1" * 32)
        store.secret_write("site", b"2" * 32)
        assert store.secret_read("site") == b"2" * 32

    @pytest.mark.parametrize("name", ["", "..", "a/b", "a.b", "A", "a:b", "x" * 65, "nul", "com1", "é", "a\n"])
    def test_a_name_that_is_no_file_name_everywhere_is_refused(self, store: Store, name: str) -> None:
        """Sidecars and secrets have names of a-z, 0-9, '-' and '_'."""
        with pytest.raises(Misuse):
            store.sidecar_write(COMMIT, name, b"")
        with pytest.raises(Misuse):
            store.secret_write(name, b"")

    def test_the_journal_gives_back_equal_records_in_order(self, store: Store) -> None:
        """Durable or not, a record is readable at once."""
        records: list[Record] = [
            {"kind": "started", "action": COMMIT, "at": 2**53 - 1},
            {},
            {"ü": None, "nested": {"list": [1, "two", []]}},
        ]
        assert list(store.journal.read()) == []
        store.journal.append(records[:1], durable=True)
        store.journal.append(records[1:], durable=False)
        store.journal.append([], durable=True)
        assert list(store.journal.read()) == records
        assert list(store.journal.salvage()) == records

    def test_the_journal_is_read_as_it_was_when_reading_began(self, store: Store) -> None:
        """Records appended meanwhile come with the next reading."""
        store.journal.append([{"n": 1}, {"n": 2}], durable=False)
        reading = store.journal.read()
        assert next(reading) == {"n": 1}
        store.journal.append([{"n": 3}], durable=True)
        assert list(reading) == [{"n": 2}]
        assert len(list(store.journal.read())) == 3

    def test_the_journal_is_rewritten_as_a_whole_and_goes_on(self, store: Store) -> None:
        """Compaction may use the records that are being replaced."""
        store.journal.append([{"n": number} for number in range(10)], durable=True)
        store.journal.rewrite(record for record in store.journal.read() if record["n"] in {1, 5})
        store.journal.append([{"n": 11}], durable=True)
        assert list(store.journal.read()) == [{"n": 1}, {"n": 5}, {"n": 11}]
        store.journal.rewrite([])
        assert list(store.journal.read()) == []

    @pytest.mark.parametrize("record", [{"f": 0.5}, {"big": 2**53}, {"long": "x" * 2**20}])
    def test_a_record_that_is_not_canonical_json_is_refused_and_nothing_is_appended(
        self, store: Store, record: Record
    ) -> None:
        """Neither the record nor those beside it."""
        with pytest.raises(Misuse):
            store.journal.append([{"n": 1}, record], durable=True)
        assert list(store.journal.read()) == []

    def test_threads_may_add_the_same_objects_and_commits_at_once(self, store: Store) -> None:
        """Everyone gets the right names, and everything is there."""
        contents = [bytes([number]) * 100 for number in range(20)]

        def work(turn: int) -> tuple[Digest, ...]:
            rotated = contents[turn:] + contents[:turn]
            store.add(rotated)
            return store.add_commits(rotated)

        with ThreadPoolExecutor(4) as pool:
            for turn, digests in enumerate(pool.map(work, range(4))):
                assert digests == tuple(map(digest_of, contents[turn:] + contents[:turn]))
        assert sorted(store.commits()) == sorted(contents)
        assert set(store.objects()) == set(map(digest_of, contents))

    def test_closing_twice_is_closing_once(self, store: Store) -> None:
        """So that a ``with`` block may close early."""
        store.add([b"x"])
        store.close()
        store.close()
