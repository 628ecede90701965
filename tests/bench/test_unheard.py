"""What a bench says that others know and it does not, and since when: also of what waits, and after a restart."""

from __future__ import annotations

from imagiq.bench import Bench, Waiting
from imagiq.bench.unheard import unheard
from imagiq.federation import State, vote_recipe
from imagiq.federation.membership import Change, successor
from tests.bench.town import Town


def told(bench: Bench) -> list[tuple[str, dict[str, int], float]]:
    found = unheard(bench).items()
    return [(one.site, {name: seen.number for name, seen in one.witnesses.items()}, at_s) for one, at_s in found]


def test_it_is_told_since_the_first_commit_that_said_so_came() -> None:
    town = Town()
    hidden = town.study("c")
    town.benches["b"].admit([hidden.commit.raw], "c")
    words = [town.study("b") for _ in range(2)]
    for at_s, word in zip((5.0, 9.0), words, strict=True):
        town.clock.advance_to(at_s)
        town.benches["a"].admit([word.commit.raw], "b")
    assert told(town.benches["a"]) == [("c", {"b": 2}, 5.0)]
    assert told(town.reopen("a")) == [("c", {"b": 2}, 5.0)]
    town.benches["a"].admit([hidden.commit.raw], "c")
    assert told(town.benches["a"]) == []


def test_a_commit_that_waits_for_what_is_withheld_is_a_witness_also_to_who_only_reads() -> None:
    town = Town()
    hidden = town.study("c")
    town.benches["b"].admit([hidden.commit.raw], "c")
    word = town.train("b", hidden.digest, 1.0, hidden.digest)
    town.clock.advance_to(5.0)
    (outcome,) = town.benches["a"].admit([word.commit.raw], "b")
    assert isinstance(outcome, Waiting)
    assert told(town.benches["a"]) == [("c", {"b": 2}, 5.0)]
    town.clock.advance_to(9.0)
    assert told(town.reopen("a")) == [("c", {"b": 2}, 5.0)]
    reader = Bench(town.stores["a"], town.founding, clock=town.clock, read_only=True)
    assert told(reader) == [("c", {"b": 2}, 5.0)]


def test_what_is_void_is_not_witnessed() -> None:
    """Nobody passes it on, so whoever lacks it would blame a remote for that."""
    town = Town()
    alba, bert = town.benches["a"], town.benches["b"]
    late = town.study("c")
    caro = next(member for member in town.founding.members if member.name == "c")
    without = successor(town.founding, [Change(caro, None)])
    for bench in (alba, bert):
        bench.store.add([without.raw])
        bench.learn_charter(without)
    votes = [bench.commit(vote_recipe(without.digest, 1)) for bench in (alba, bert)]
    alba.admit([votes[1].commit.raw, late.commit.raw], "b")
    assert alba.standing.state(late.digest) is State.VOID
    said = town.study("a")
    assert [seen.commit for seen in said.commit.seen] == [votes[1].digest]
