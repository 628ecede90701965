"""May a site go on in its feed, or was its store put back to an older state?"""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagiq.federation import Continue, Head, OpenFeed, ReadOnly, Start, at_start
from imagiq.objects import Digest, digest_of


def commit(feed: str, number: int, branch: str = "") -> Digest:
    return digest_of(f"{feed} {number} {branch}".encode())


def head(number: int, feed: str = "first", branch: str = "") -> Head:
    return Head(feed, number, commit(feed, number, branch))


def unwritten(feed: str = "first") -> Head:
    return Head(feed, 0, commit(feed, 0))


def held(number: int, feed: str = "first") -> set[Digest]:
    return {commit(feed, n) for n in range(1, number + 1)}


def start(own: int, *, told: list[Head] | None, mark: Head | None, certificates: int = 1) -> Start:
    return at_start(head(own) if own else unwritten(), known=held(own), told=told, mark=mark, certificates=certificates)


def test_a_new_site_begins() -> None:
    assert start(0, told=None, mark=None, certificates=0) == Continue()
    assert start(0, told=[], mark=None, certificates=0) == Continue()


def test_who_is_told_nothing_new_goes_on() -> None:
    assert start(5, told=[], mark=head(5)) == Continue()
    assert start(5, told=[head(3)], mark=head(5)) == Continue()
    assert start(5, told=[head(5)], mark=head(5)) == Continue()


def test_an_answer_is_enough_when_the_mark_is_missing_or_old() -> None:
    assert start(5, told=[head(5)], mark=None) == Continue()
    assert start(5, told=[head(5)], mark=head(2)) == Continue()


def test_a_feed_that_has_moved_on_is_left() -> None:
    assert start(3, told=[head(2), head(7)], mark=head(3)) == OpenFeed(2, head(7).commit)


def test_another_commit_of_the_own_number_means_another_feed() -> None:
    assert isinstance(start(3, told=[head(3, branch="clone")], mark=head(3)), OpenFeed)


def test_a_branch_below_the_own_number_means_another_feed() -> None:
    assert isinstance(start(3, told=[head(2, branch="clone")], mark=head(3)), OpenFeed)


def test_a_later_feed_that_the_store_does_not_know_means_another_feed() -> None:
    told = [head(3), head(2, feed="second")]
    assert start(3, told=told, mark=head(3), certificates=2) == OpenFeed(3, head(2, feed="second").commit)


def test_a_store_that_lost_everything_does_not_begin_again() -> None:
    assert start(0, told=[head(4)], mark=None) == OpenFeed(2, head(4).commit)
    assert isinstance(start(0, told=None, mark=head(4), certificates=0), ReadOnly)


def test_a_mark_ahead_of_the_store_proves_a_restored_one_even_if_who_answers_knows_less() -> None:
    assert start(3, told=[head(2)], mark=head(9)) == OpenFeed(2, head(9).commit)


class TestNobodyAnswers:
    def test_a_mark_that_agrees_lets_the_site_go_on(self) -> None:
        assert start(5, told=None, mark=head(5)) == Continue()

    def test_a_mark_one_behind_is_a_crash_between_commit_and_mark(self) -> None:
        assert start(5, told=None, mark=head(4)) == Continue()
        assert start(1, told=None, mark=unwritten()) == Continue()

    def test_a_feed_that_was_opened_and_not_written_is_begun(self) -> None:
        known = held(4)
        for mark in (unwritten("second"), head(4)):  # head(4): it was stopped between the new key and its mark
            assert at_start(unwritten("second"), known=known, told=None, mark=mark, certificates=1) == Continue()

    def test_a_store_from_before_a_feed_was_opened_is_an_old_one(self) -> None:
        assert isinstance(start(5, told=None, mark=unwritten("second")), ReadOnly)
        assert start(5, told=[], mark=unwritten("second")) == OpenFeed(2, head(5).commit)
        assert isinstance(start(0, told=None, mark=unwritten("second"), certificates=0), ReadOnly)
        assert start(0, told=[], mark=unwritten("second"), certificates=0) == OpenFeed(1, None)

    def test_a_mark_ahead_is_a_restored_store(self) -> None:
        assert isinstance(start(3, told=None, mark=head(5)), ReadOnly)
        assert isinstance(start(3, told=None, mark=head(4)), ReadOnly)

    def test_a_mark_on_another_branch_is_another_store(self) -> None:
        assert isinstance(start(5, told=None, mark=head(5, branch="clone")), ReadOnly)
        assert isinstance(start(5, told=None, mark=head(4, branch="clone")), ReadOnly)

    def test_a_mark_further_behind_than_a_crash_leaves_it_witnesses_nothing(self) -> None:
        assert isinstance(start(5, told=None, mark=head(3)), ReadOnly)

    def test_a_missing_mark_witnesses_nothing(self) -> None:
        assert isinstance(start(5, told=None, mark=None), ReadOnly)
        assert isinstance(start(1, told=None, mark=None), ReadOnly)
        assert isinstance(start(1, told=None, mark=None, certificates=2), ReadOnly)


@dataclass
class Store:
    """A model: what a site has written, what it has shown to others, and its mark."""

    written: int = 0
    marked: int = 0
    shown: int = 0


@pytest.mark.parametrize("somebody_answers", [False, True])
@given(
    steps=st.lists(st.sampled_from(["write", "write", "mark", "show", "backup"]), max_size=20), lag=st.integers(0, 5)
)
def test_no_number_is_shown_twice(steps: list[str], lag: int, *, somebody_answers: bool) -> None:
    """A site that follows the order commit, mark, show crashes, and perhaps its store is put back."""
    now, backup = Store(), 0
    for step in steps:
        if step == "write" and now.marked == now.written:
            now.written += 1
        elif step == "mark":
            now.marked = now.written
        elif step == "show":
            now.shown = now.marked
        elif step == "backup":
            backup = now.written
    mark = head(now.marked)
    others_know = max(0, now.shown - lag)
    told = None
    if somebody_answers:
        told = [head(others_know)] if others_know else []
    assert start(now.written, told=told, mark=mark, certificates=min(1, now.written)) == Continue(), "a crash alone"
    if backup < now.shown:
        restored = start(backup, told=told, mark=mark, certificates=min(1, backup))
        assert isinstance(restored, OpenFeed if somebody_answers else ReadOnly)
