"""The suite that every remote passes.

Subclass it, and give it a remote::

    class TestMyRemote(RemoteContract):
        @pytest.fixture
        def remote(self, tmp_path):
            remote = MyRemote(tmp_path)
            yield remote
            remote.close()
"""

# ruff: noqa: S101 - asserts are what this module is for
from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from imagiq.errors import Misuse
from imagiq.exchange.remote import Remote, entry_name
from imagiq.objects import digest_of

__all__ = ["ME", "RemoteContract"]

ME = digest_of(b"the pseudonym under which the suite writes")
OTHER = digest_of(b"another pseudonym")
HEAD = f"{ME}/feeds/head"

BAD_NAMES = (
    *("", "/", "x", "../x", ME, f"{ME}/", f"{ME}/blobs", f"{ME}/blobs/../keys/{ME}", f"{ME}/blobs/{ME}/x"),
    *(f"/{ME}/blobs/{ME}", f"{ME}/blobs/{ME[:-1]}", f"{ME}/blobs/{ME[:-1]}X", f"{ME}/feeds/{ME}", f"{ME}/blobs/{ME}?x"),
    *(f"{ME}/blobs/{ME}\n", f"{ME}//blobs/{ME}", f"{ME}/feeds/head/x", f"{ME}\\blobs\\{ME}", f"{ME}/feeds/.new-1"),
)


def blob(number: int) -> str:
    """Return the name of some blob."""
    return f"{ME}/blobs/{digest_of(number.to_bytes(8, 'little'))}"


class RemoteContract(ABC):
    """What :class:`imagiq.exchange.Remote` promises of one that is honest and in reach.

    The remote lets the suite write below :data:`ME`. It may hold what an earlier test put there.
    """

    @pytest.fixture
    @abstractmethod
    def remote(self) -> Iterator[Remote]:
        """Give a remote."""

    def test_what_was_put_is_given_back(self, remote: Remote) -> None:
        """Small and large, byte for byte."""
        contents = [b"a", bytes(range(256)) * 300, b"\xff" * (4 * 2**20 + 99)]
        for number, content in enumerate(contents):
            remote.put_if_absent(blob(number), content)
        assert [remote.get(blob(number)) for number in range(len(contents))] == contents

    def test_a_part_is_given_back_and_no_more(self, remote: Remote) -> None:
        """Who asks for ten bytes makes room for ten."""
        content = bytes(range(200))
        remote.replace(blob(10), content)
        assert remote.get(blob(10), start=0, length=10) == content[:10]
        assert remote.get(blob(10), start=150, length=20) == content[150:170]
        assert remote.get(blob(10), start=190, length=1000) == content[190:]
        assert not remote.get(blob(10), start=200, length=10)

    def test_what_is_not_there_is_none(self, remote: Remote) -> None:
        """Also below a pseudonym that never wrote."""
        assert remote.get(blob(999)) is None
        assert remote.get(f"{OTHER}/blobs/{OTHER}") is None
        assert remote.get(f"{OTHER}/feeds/head") is None

    def test_who_comes_first_stays(self, remote: Remote) -> None:
        """A second put changes nothing, and says so."""
        assert remote.put_if_absent(blob(20), b"first")
        assert not remote.put_if_absent(blob(20), b"second")
        assert remote.get(blob(20)) == b"first"

    def test_of_many_that_put_at_once_one_is_first(self, remote: Remote) -> None:
        """Nothing is torn."""
        contents = [bytes([number]) * 70_000 for number in range(8)]
        with ThreadPoolExecutor(8) as pool:
            first = list(pool.map(lambda content: remote.put_if_absent(blob(30), content), contents))
        assert first.count(True) == 1
        assert remote.get(blob(30)) == contents[first.index(True)]

    def test_what_is_replaced_is_another_as_a_whole(self, remote: Remote) -> None:
        """Longer, shorter, new."""
        for content in (b"x" * 100, b"y" * 7, b"z" * 1000):
            remote.replace(HEAD, content)
            assert remote.get(HEAD) == content

    def test_a_listing_is_sorted_with_sizes_and_begins_where_asked(self, remote: Remote) -> None:
        """Only what is in the folder."""
        names = [entry_name(number, digest_of(bytes([number]))) for number in (3, 1, 20, 100)]
        for size, name in enumerate(names, 1):
            remote.put_if_absent(f"{ME}/feeds/{name}", bytes(size))
        remote.put_if_absent(blob(40), b"not in feeds")
        listed = [one for one in remote.list(f"{ME}/feeds") if one.name != "head"]
        assert [one.name for one in listed] == sorted(names)
        assert {one.name: one.size for one in listed} == {name: size for size, name in enumerate(names, 1)}
        after = [one.name for one in remote.list(f"{ME}/feeds", after="000000000003") if one.name != "head"]
        assert after == sorted(names)[1:]
        beyond = [one.name for one in remote.list(f"{ME}/feeds", after=sorted(names)[1]) if one.name != "head"]
        assert beyond == sorted(names)[2:]
        assert list(remote.list(f"{OTHER}/feeds")) == []
        assert blob(40).rpartition("/")[2] in {one.name for one in remote.list(f"{ME}/blobs")}

    def test_nothing_else_has_a_name(self, remote: Remote) -> None:
        """No way leads out of the layout."""
        for name in BAD_NAMES:
            with pytest.raises(Misuse):
                remote.put_if_absent(name, b"x")
            with pytest.raises(Misuse):
                remote.replace(name, b"x")
            with pytest.raises(Misuse):
                remote.get(name)
        for name in {*BAD_NAMES, f"{ME}/blobs/{ME}", "feeds", f"{ME}/other"} - {f"{ME}/blobs"}:
            with pytest.raises(Misuse):
                list(remote.list(name))

    def test_news_is_another_word(self, remote: Remote) -> None:
        """The same word while nothing happens."""
        remote.replace(HEAD, b"1")
        word = remote.news([ME])
        assert remote.news([ME], word) == word
        remote.replace(HEAD, b"2")
        assert remote.news([ME], word) != word

    def test_who_waits_for_news_is_told(self, remote: Remote) -> None:
        """And who waits in vain is let go."""
        remote.replace(HEAD, b"3")
        word = remote.news([ME])
        assert remote.news([ME], word, 0.2) == word
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(remote.news, [ME], word, 20.0)
            remote.replace(HEAD, b"4")
            assert waiting.result(timeout=15) != word

    def test_closing_twice_is_closing_once(self, remote: Remote) -> None:
        """Nothing happens the second time."""
        remote.close()
        remote.close()
