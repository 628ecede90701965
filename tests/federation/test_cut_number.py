"""The commit of a cut's number stands while the commit of the cut itself has not come; it is the first that may fall."""

from __future__ import annotations

from imagiq.objects import Cut, digest_of
from tests.federation.world import Reader, World, charter, successor


def test_a_commit_of_the_cuts_own_number_stands_until_the_cut_is_known() -> None:
    world = World(charter("ABC")).found()
    first, second = (world.feeds["C"].note(str(number)) for number in range(2))
    elsewhere = Cut(first.feed, first.number, digest_of(b"another branch, which never comes"))
    world.enact(successor(world.founding, remove="C", cuts=[elsewhere]), by="AB")
    reader = Reader(world.founding).learn_all(world)
    assert reader.state(first) == "sound"
    assert reader.state(second) == "void"


def test_it_falls_when_the_cut_turns_out_to_be_on_another_branch() -> None:
    world = World(charter("ABC")).found()
    other = world.feeds["C"].fork()
    mine, theirs = world.feeds["C"].note("mine"), other.note("theirs")
    world.enact(successor(world.founding, remove="C", cuts=[theirs]), by="AB")
    del world.commits[theirs.digest]
    reader = Reader(world.founding).learn_all(world)
    assert reader.state(mine) == "sound"
    reader.learn(theirs)
    assert (reader.state(mine), reader.state(theirs)) == ("void", "sound")
