"""What is wrong is told once, and that all is well again when it is."""

from __future__ import annotations

from imagiq.errors import Unreachable
from imagiq.site.troubles import Troubles


def full(what: str = "full") -> Unreachable:
    return Unreachable("disk-full", what, "Make room.")


def damaged() -> Unreachable:
    return Unreachable("disk-error", "damaged", "Check it.")


def code_of(troubles: Troubles) -> str:
    return "" if troubles.newest is None else troubles.newest.code


def test_a_part_that_works_says_nothing_of_one_that_does_not() -> None:
    troubles = Troubles()
    assert troubles.begin("work", full())
    for _ in range(3):
        assert not troubles.end("clerk"), "it was well before"
        assert not troubles.begin("work", full()), "that is known"
    assert code_of(troubles) == "disk-full"
    assert troubles.end("work")
    assert code_of(troubles) == ""
    assert not troubles.end("work"), "well again once"


def test_what_several_parts_find_wrong_is_told_once_and_well_are_all_or_none() -> None:
    troubles = Troubles()
    assert troubles.begin("clerk", full())
    assert not troubles.begin("work", full("of the same kind"))
    assert troubles.begin("work", damaged()), "something else"
    assert code_of(troubles) == "disk-error"
    assert not troubles.end("work")
    assert code_of(troubles) == "disk-full"
    assert troubles.end("clerk", "work")
