"""Small federations in which something happens, each with the answers that imagiq gives."""
# ruff: noqa: INP001 - beside a script

from __future__ import annotations

from collections.abc import Callable, Mapping

from imagiq.federation import Standing, recover_recipe
from imagiq.history import History
from imagiq.keys import FeedKey, recovery_signature
from imagiq.objects import JSON, Charter, Cut, Recipe
from spec.vectors.builder import Federation, Site, founding, successor

__all__ = ["SCENES", "answers"]

ANNA, BERT, CARL, DORA = (Site(name) for name in ("anna", "bert", "carl", "dora"))
TRIO = (ANNA, BERT, CARL)
RECOVERY = tuple(FeedKey(bytes([number]) * 32) for number in (201, 202, 203))
NOTE = Recipe("note", 1)


def founded() -> Federation:
    """Three founders, all of whom voted."""
    world = Federation(founding(TRIO, recovery=RECOVERY))
    world.found(TRIO)
    return world


def unfounded() -> Federation:
    """One founder has not voted yet: nothing is in force, and nothing is void."""
    world = Federation(founding(TRIO))
    world.found(TRIO[:2])
    world.commit(ANNA, NOTE)
    return world


def joined() -> Federation:
    """A fourth site joins by two of three votes, in the second ballot after a split one."""
    world = founded()
    rules: tuple[Mapping[str, JSON], ...] = ({}, {"tasks": ["a"]}, {"tasks": ["b"]})
    wishes = [world.propose(successor(world.charter, (*TRIO, DORA), rules=rule)) for rule in rules]
    for site, wish in zip(TRIO, wishes, strict=True):
        world.vote(site, wish)
    for site in TRIO[:2]:
        world.vote(site, wishes[0], 2)
    world.commit(DORA, NOTE, under=wishes[0])
    return world


def minority() -> Federation:
    """One of three votes, and the same vote cast again: nothing new is in force."""
    world = founded()
    wish = world.propose(successor(world.charter, (*TRIO, DORA)))
    world.vote(ANNA, wish)
    world.vote(ANNA, wish)
    world.vote(ANNA, wish, 2)
    return world


def rivals() -> Federation:
    """A voter votes twice, and two successors win: the version before them rules; both are enacted."""
    world = founded()
    one = world.propose(successor(world.charter, TRIO, rules={"tasks": ["one"]}))
    two = world.propose(successor(world.charter, TRIO, rules={"tasks": ["two"]}))
    world.vote(ANNA, one)
    world.vote(BERT, one)
    world.vote(BERT, two)
    world.vote(CARL, two)
    world.commit(ANNA, NOTE, under=one)
    world.commit(CARL, NOTE, under=two)
    return world


def recovered() -> Federation:
    """The same, settled by two of three recovery keys; one more signature is worth nothing."""
    world = rivals()
    two = world.charters[2]
    signatures = {key.public: recovery_signature(key.seed, two.digest) for key in RECOVERY[:2]}
    one = world.charters[1]
    world.commit(BERT, recover_recipe(one.digest, {RECOVERY[2].public: recovery_signature(b"x" * 32, one.digest)}))
    for key, signature in signatures.items():
        world.commit(BERT, recover_recipe(two.digest, {key: signature}))
    return world


def _without_carl(world: Federation, cut: Cut) -> Charter:
    charter = world.propose(successor(world.charter, (ANNA, BERT), cuts=(cut,)))
    for site in (ANNA, BERT):
        world.vote(site, charter)
    return charter


def removed() -> Federation:
    """A site is removed and goes on: void beyond its cut; what stands on that is tainted; its votes are never void."""
    world = founded()
    kept = world.commit(CARL, NOTE)
    charter = _without_carl(world, Cut(kept.feed, kept.number, kept.digest))
    void = world.commit(CARL, NOTE)
    world.vote(CARL, charter)
    other = world.commit(CARL, NOTE, word="second", certificate=2)
    mixed = world.commit(ANNA, NOTE, under=charter, parents=[("input", void), ("base", kept)])
    world.commit(BERT, NOTE, under=charter, parents=[("base", mixed)])
    world.commit(BERT, NOTE, under=charter, parents=[("base", kept)])
    world.commit(BERT, NOTE, under=charter, parents=[("state", other)])
    return world


def removed_unknown() -> Federation:
    """The commit of a cut is not known: the number alone counts, and a fork below it stays contested."""
    world = founded()
    first = world.commit(CARL, NOTE)
    world.commit(CARL, NOTE, after=world.commits[2], parents=[("base", world.commits[0])])
    _without_carl(world, Cut(first.feed, 3, world.charter.digest))
    world.commit(CARL, NOTE, after=first)
    beyond = world.commit(CARL, NOTE)
    assert beyond.number == 4  # noqa: S101 - the scene is as it says
    return world


def forked() -> Federation:
    """A feed forks at its third commit: from there on both branches are contested, what stands on them is tainted."""
    world = founded()
    common = world.commit(CARL, NOTE)
    left = world.commit(CARL, NOTE)
    world.commit(CARL, NOTE, after=common, parents=[("base", common)])
    world.commit(CARL, NOTE, after=left)
    world.commit(ANNA, NOTE, parents=[("base", left)])
    world.commit(CARL, NOTE, word="second", certificate=2)
    return world


def settled() -> Federation:
    """A fork that a later charter settles by a cut: one branch stands up to the cut, the other is void."""
    world = forked()
    left = world.commits[4]
    charter = world.propose(successor(world.charter, TRIO, cuts=(Cut(left.feed, left.number, left.digest),)))
    for site in (ANNA, BERT):
        world.vote(site, charter)
    return world


def cloned() -> Federation:
    """Two feeds with certificates of one number: all of both is contested."""
    world = founded()
    world.commit(CARL, NOTE, word="clone", certificate=1)
    world.commit(CARL, NOTE, word="third", certificate=2)
    return world


def returned() -> Federation:
    """A charter that brings a removed site key back, and one that renames a key, never win."""
    world = founded()
    charter = world.propose(successor(world.charter, (ANNA, BERT)))
    for site in (ANNA, BERT):
        world.vote(site, charter)
    renamed = Site("bert")
    renamed.name = "robert"
    for wish in (successor(charter, TRIO), successor(charter, (ANNA, renamed))):
        world.propose(wish)
        for site in (ANNA, BERT):
            world.vote(site, wish, under=charter)
    return world


SCENES: Mapping[str, Callable[[], Federation]] = {
    scene.__name__: scene
    for scene in (
        unfounded,
        founded,
        joined,
        minority,
        rivals,
        recovered,
        removed,
        removed_unknown,
        forked,
        settled,
        cloned,
        returned,
    )
}
"""Every scene by its name."""


def answers(world: Federation) -> dict[str, object]:
    """Return what imagiq says of a federation in which everything written is known."""
    history = History()
    standing = Standing(history, world.charter)
    for charter in world.charters:
        standing.learn_charter(charter)
    for commit in world.commits:
        standing.note(history.add(commit))
    return {
        "line": [charter.digest for charter in standing.line.versions],
        "rivals": list(standing.line.rivals),
        "enacted": sorted(standing.line.enacted),
        "forks": dict(history.forks),
        "heads": sorted([feed, head] for feed, heads in history.heads.items() for head in heads),
        "heights": {entry.digest: entry.height for entry in history},
        "states": {entry.digest: standing.state(entry.digest).value for entry in history},
    }
