"""Which commits are void, contested or tainted."""

from __future__ import annotations

import pytest

from imagiq.federation import State
from imagiq.history import Entry
from imagiq.objects import Commit, Cut
from tests.federation.world import Feed, Reader, World, charter, read, successor


def state_in(world: World, commit: Commit) -> str:
    return read(world).state(commit)


@pytest.fixture
def world() -> World:
    return World(charter("ABC")).found()


def remove_c(world: World, *cuts: Commit | Cut) -> None:
    world.enact(successor(world.founding, remove="C", cuts=cuts), by="AB")


def test_what_members_make_is_sound(world: World) -> None:
    note = world.feeds["A"].note()
    assert state_in(world, note) == "sound"


class TestRemoved:
    def test_what_a_removed_member_made_stands_up_to_the_cut(self, world: World) -> None:
        c = world.feeds["C"]
        before, last, beyond = c.note("1"), c.note("2"), c.note("3")
        remove_c(world, last)
        states = read(world)
        assert [states.state(commit) for commit in (before, last, beyond)] == ["sound", "sound", "void"]

    def test_a_removed_member_that_goes_on_is_void(self, world: World) -> None:
        c = world.feeds["C"]
        remove_c(world, c.note())
        assert state_in(world, c.note("later")) == "void"

    def test_a_removed_member_that_backdates_in_a_new_feed_is_void(self, world: World) -> None:
        remove_c(world, world.feeds["C"].note())
        assert state_in(world, world.feed("C", number=2).note(under=world.founding)) == "void"

    def test_a_removed_member_that_forks_below_the_cut_gains_nothing(self, world: World) -> None:
        c = world.feeds["C"]
        root = c.note("root")
        other = c.fork().note("other")
        stands = c.note("stands")
        remove_c(world, c.note("last"))
        states = read(world)
        assert [states.state(commit) for commit in (root, stands, other)] == ["sound", "sound", "void"]

    def test_of_a_feed_that_is_not_named_nothing_stands(self, world: World) -> None:
        other = world.feed("C", number=2).note()
        remove_c(world, world.feeds["C"].note())
        assert state_in(world, other) == "void"

    def test_a_cut_that_is_not_repeated_stands_no_longer(self, world: World) -> None:
        last = world.feeds["C"].note()
        remove_c(world, last)
        second = read(world).standing.ruling
        assert second is not None
        third = world.enact(successor(second), by="AB")
        assert state_in(world, last) == "sound"
        world.enact(successor(third, cuts_again=False), by="AB")
        assert state_in(world, last) == "void"

    def test_a_member_with_a_new_key_keeps_its_name(self, world: World) -> None:
        last = world.feeds["C"].note()
        second = world.enact(successor(world.founding, keys={"C": "C2"}, cuts=[last]), by="AB")
        new = world.feed("C", key="C2")
        commit, old = new.note(under=second), world.feeds["C"].note()
        states = read(world)
        assert [states.state(c) for c in (last, old, commit)] == ["sound", "void", "sound"]
        assert {states.standing.name_of(states.history[c.digest]) for c in (last, commit)} == {"C"}


class TestCutNotKnownYet:
    def test_numbers_decide_until_the_cut_commit_is_known(self, world: World) -> None:
        c = world.feeds["C"]
        first = c.note("1")
        last = c.note("2")
        beyond = c.fork().note("3")
        remove_c(world, Cut(last.feed, last.number, last.digest))
        del world.commits[last.digest], world.commits[beyond.digest]
        reader = read(world)
        assert reader.state(first) == "sound"
        reader.learn(last, beyond)
        assert [reader.state(commit) for commit in (first, last, beyond)] == ["sound", "sound", "void"]

    def test_a_fork_is_contested_until_it_is_known_which_branch_stands(self, world: World) -> None:
        c = world.feeds["C"]
        one, two = c.fork().note("one"), c.fork().note("two")
        pen = c.fork(two)
        last = pen.note("last")
        remove_c(world, last)
        del world.commits[last.digest]
        reader = read(world)
        assert {reader.state(one), reader.state(two)} == {"contested"}
        reader.learn(last)
        assert [reader.state(commit) for commit in (one, two, last)] == ["void", "sound", "sound"]

    def test_a_cut_of_a_commit_in_another_feed_lets_nothing_stand(self, world: World) -> None:
        mistaken = world.feeds["A"].note()
        made = world.feeds["C"].note()
        remove_c(world, Cut(made.feed, made.number, mistaken.digest))
        assert state_in(world, made) == "void"


class TestContested:
    def test_two_commits_of_one_number_contest_both_branches_from_there_on(self, world: World) -> None:
        a = world.feeds["A"]
        before = a.note("before")
        other = a.fork()
        mine, later = a.note("mine"), a.note("later")
        theirs = other.note("theirs")
        states = read(world)
        assert [states.state(commit) for commit in (before, mine, later, theirs)] == [
            "sound",
            "contested",
            "contested",
            "contested",
        ]

    def test_a_lower_fork_contests_more(self, world: World) -> None:
        a = world.feeds["A"]
        low = a.fork()
        middle, after = a.note("middle"), a.fork()
        a.note("one")
        after.note("two")
        reader = read(world)
        assert reader.state(middle) == "sound"
        reader.learn(low.note("lower"))
        assert reader.state(middle) == "contested"

    def test_the_owner_goes_on_in_a_new_feed(self, world: World) -> None:
        a = world.feeds["A"]
        a.fork().note("one")
        a.note("two")
        assert state_in(world, world.feed("A", number=2).note()) == "sound"

    def test_two_certificates_of_one_number_contest_both_feeds(self, world: World) -> None:
        one = world.feeds["A"].note()
        two = world.feed("A", "another feed of A", number=1).note()
        next_one = world.feed("A", number=2).note()
        states = read(world)
        assert [states.state(commit) for commit in (one, two, next_one)] == ["contested", "contested", "sound"]

    def test_two_first_commits_of_one_feed_are_a_fork(self, world: World) -> None:
        one, two = world.feed("A", "F", number=2).note("one"), world.feed("A", "F", number=2).note("two")
        states = read(world)
        assert {states.state(one), states.state(two)} == {"contested"}

    def test_a_feed_that_two_sites_certify_is_contested(self, world: World) -> None:
        one, two = world.feed("A", "F", number=2).note(), world.feed("B", "F", number=2).note()
        states = read(world)
        assert {states.state(one), states.state(two)} == {"contested"}

    def test_a_charter_settles_by_a_cut_what_stands(self, world: World) -> None:
        a = world.feeds["A"]
        other = a.fork()
        mine, theirs = a.note("mine"), other.note("theirs")
        world.enact(successor(world.founding, cuts=[mine]), by="BC")
        states = read(world)
        assert [states.state(commit) for commit in (mine, theirs)] == ["sound", "void"]

    def test_votes_of_a_contested_feed_count(self, world: World) -> None:
        a = world.feeds["A"]
        other = a.fork()
        proposal = successor(world.founding, add="D")
        a.vote(proposal)
        other.note()
        world.feeds["B"].vote(proposal)
        assert read(world).standing.ruling == proposal


class TestTainted:
    def test_what_stands_on_void_or_contested_commits_is_tainted_and_an_input(self, world: World) -> None:
        a = world.feeds["A"]
        other = a.fork()
        mine = a.note("mine")
        other.note("theirs")
        child = world.feeds["B"].note(parents=[mine])
        grandchild = world.feeds["C"].note(parents=[child])
        reader = read(world)
        assert [reader.state(c) for c in (child, grandchild)] == ["tainted", "tainted"]
        assert reader.standing.state(grandchild.digest).is_input

    def test_a_member_who_contests_its_own_feed_stops_nobody(self, world: World) -> None:
        a = world.feeds["A"]
        fork = a.fork()
        made = a.note("made")
        reader = Reader(world.founding).learn_all(world)
        child = world.feeds["B"].note(parents=[made])
        unrelated = world.feeds["C"].note()
        reader.learn(child, unrelated)
        assert reader.state(child) == "sound"
        reader.learn(fork.note("contests it"))
        assert reader.state(child) == "tainted"
        assert reader.standing.state(child.digest).is_input
        assert reader.state(unrelated) == "sound"

    def test_what_only_stands_before_in_the_feed_does_not_taint(self, world: World) -> None:
        b = world.feeds["B"]
        a = world.feeds["A"]
        other = a.fork()
        mine = a.note("mine")
        other.note("theirs")
        b.note(parents=[mine])
        assert state_in(world, b.note("after")) == "sound"

    def test_a_cut_that_settles_a_feed_takes_the_taint_away(self, world: World) -> None:
        a = world.feeds["A"]
        other = a.fork()
        mine = a.note("mine")
        other.note("theirs")
        child = world.feeds["B"].note(parents=[mine])
        reader = read(world)
        world.enact(successor(world.founding, cuts=[mine]), by="BC")
        reader.learn_all(world)
        assert reader.state(child) == "sound"


class TestIncrements:
    def test_the_epoch_counts_only_when_what_was_told_has_changed(self, world: World) -> None:
        a = world.feeds["A"]
        other = a.fork()
        reader = read(world)
        start = reader.standing.epoch
        reader.learn(a.note("one"))
        assert reader.standing.epoch == start
        reader.learn(other.note("two"))
        assert reader.standing.epoch == start + 1

    def test_note_returns_what_has_changed(self, world: World) -> None:
        a = world.feeds["A"]
        other = a.fork()
        mine = a.note("mine")
        child = world.feeds["B"].note(parents=[mine])
        reader = read(world)
        reader.learn(other.note("theirs"))
        assert reader.changes[-1] == {mine.digest, child.digest}

    def test_noting_a_commit_again_changes_nothing(self, world: World) -> None:
        reader = read(world)
        before = (reader.states(), reader.standing.line, reader.standing.epoch)
        for entry in reader.history:
            assert reader.standing.note(entry) == frozenset()
        assert (reader.states(), reader.standing.line, reader.standing.epoch) == before

    def test_a_fork_costs_a_look_at_its_feed_and_not_at_the_history(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        feeds: list[Feed] = [world.feeds["B"], world.feeds["C"]]
        for number in range(50):
            feeds[number % 2].note(str(number))
        fork = world.feeds["A"].fork()
        world.feeds["A"].note("one")
        reader = read(world)
        judged: list[Entry] = []
        judge = reader.standing._judge

        def counted(entry: Entry) -> State:
            judged.append(entry)
            return judge(entry)

        monkeypatch.setattr(reader.standing, "_judge", counted)
        reader.learn(fork.note("two"))
        assert len(judged) <= 3
