"""What a bench makes of a commit in which a site tells of work that fails: for whom nobody waits."""

from __future__ import annotations

from collections.abc import Mapping

from imagiq.bench.known import Known
from imagiq.federation import StudyHistory, View
from imagiq.objects import Commit, Digest, Recipe, digest_of
from tests.bench.town import Town
from tests.federation.world import Feed, World, charter, successor

TROUBLE = Recipe("trouble", 1, {"action": digest_of(b"an action"), "code": "learner-failed"})


def tell(feed: Feed, study: Commit, recipe: Recipe = TROUBLE) -> Commit:
    return feed.commit(recipe, study=study.digest)


def troubled(world: World, seen_s: Mapping[Digest, float] | None = None) -> Mapping[str, float]:
    known = Known(world.founding, "")
    for version in world.charters.values():
        known.standing.learn_charter(version)
    for commit in world.commits.values():
        known.add(commit)
    (steps,) = known.studies.values()
    ruling = known.standing.ruling
    assert ruling is not None
    names = frozenset(member.name for member in ruling.members)
    return View(study=steps.study, steps=steps, members=names, first_seen_s=seen_s or {}).troubled


class Scene:
    """Members A and B, and C, who takes no part in the study."""

    def __init__(self) -> None:
        self.world = World(charter("ABC")).found()
        self.a, self.b, self.c = (self.world.feeds[name] for name in "ABC")
        self.study = self.a.study("fedavg", ["A", "B"], steps=5)


def test_a_site_is_in_trouble_from_when_it_tells_of_it_until_it_trains() -> None:
    scene = Scene()
    assert troubled(scene.world) == {}
    told = tell(scene.b, scene.study)
    assert troubled(scene.world, {told.digest: 7.0}) == {"B": 7.0}
    scene.a.train(scene.study, scene.study)
    scene.b.note()
    assert troubled(scene.world) == {"B": 0.0}
    scene.b.train(scene.study, scene.study)
    assert troubled(scene.world) == {}


def test_the_last_word_counts() -> None:
    scene = Scene()
    first = tell(scene.b, scene.study)
    one = scene.b.train(scene.study, scene.study)
    again = tell(scene.b, scene.study)
    assert troubled(scene.world, {first.digest: 1.0, again.digest: 2.0}) == {"B": 2.0}
    scene.b.train(scene.study, one)
    assert troubled(scene.world) == {}


def test_who_takes_no_part_and_what_is_of_another_version_or_study_says_nothing() -> None:
    scene = Scene()
    tell(scene.c, scene.study)
    tell(scene.b, scene.study, Recipe("trouble", 2))
    scene.b.commit(TROUBLE)
    assert troubled(scene.world) == {}


def test_trouble_that_lies_beyond_a_cut_or_is_of_a_removed_site_is_not_heard() -> None:
    for change in ({"remove": "B"}, {"keys": {"B": "B2"}}):
        scene = Scene()
        stands = scene.b.note()
        tell(scene.b, scene.study)
        scene.world.enact(successor(scene.world.founding, cuts=[stands], **change), by="AC")
        assert troubled(scene.world) == {}


def test_who_contests_its_own_feed_takes_its_trouble_not_back() -> None:
    """What others made without it stays."""
    scene = Scene()
    fork = scene.b.fork()
    tell(scene.b, scene.study)
    fork.note("contests it")
    assert troubled(scene.world) == {"B": 0.0}


def test_how_much_a_site_had_made_does_not_depend_on_what_came_first() -> None:
    scene = Scene()
    scene.b.train(scene.study, scene.study)
    tell(scene.b, scene.study)
    known = Known(scene.world.founding, "")
    for commit in scene.world.commits.values():
        known.add(commit)
    (steps,) = known.studies.values()
    again = StudyHistory(steps.study, known.history[scene.study.digest])
    own = [
        entry for entry in known.history if entry.commit.study is not None and entry.commit.feed == scene.b.key.public
    ]
    for entry in reversed(own):
        again.add_trouble(entry, "B") if entry.commit.tree is None else again.add(entry, "B", is_input=True)
    assert again.made_before_trouble("B") == steps.made_before_trouble("B") == 1
    assert again.made_before_trouble("A") is None


def test_it_is_known_after_a_restart() -> None:
    """Trouble names no parent, and must wait for its study also when a store is read in another order."""
    town = Town()
    before = [town.benches["a"].commit(Recipe("note")) for _ in range(3)]
    study = town.study("a")
    town.give("a", "b", *before, study)
    told = town.benches["b"].commit(TROUBLE, study=study.digest)
    assert told.commit.number < study.commit.number, "a store is read in the order of numbers"
    town.give("b", "a", told)
    (steps,) = town.reopen("a").studies.values()
    assert steps.trouble("b") == told.digest
