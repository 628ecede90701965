"""The steps of a study: what is one, what may be an input, and what the indexes say."""

from __future__ import annotations

import pytest

from imagiq.errors import Misuse, Refused
from imagiq.federation import Merge, Named, Step, StudyHistory, Train, check_permitted, identity, parse_study
from imagiq.federation.study import study_recipe
from imagiq.objects import Commit, Digest, Parent, Recipe, digest_of
from tests.federation.world import World, charter, read, successor, tree

ACTION = digest_of(b"an action")


class Scene:
    """Members A and B, and C, who takes no part in the study."""

    def __init__(self, steps: int = 3) -> None:
        self.world = World(charter("ABC")).found()
        self.a, self.b, self.c = (self.world.feeds[name] for name in "ABC")
        self.start = self.a.study("fedavg", ["A", "B"], steps=steps)

    @property
    def steps(self) -> StudyHistory:
        (steps,) = read(self.world).studies.values()
        return steps

    def is_input(self, commit: Commit) -> bool:
        steps = self.steps
        step = steps.get(commit.digest)
        assert step is not None
        return steps.is_input(step)


def digests(steps: object) -> list[Digest]:
    assert isinstance(steps, list)
    return [step.digest for step in steps if isinstance(step, Step)]


def test_training_and_merges_of_the_study_are_steps() -> None:
    scene = Scene()
    one, two = scene.a.train(scene.start, scene.start), scene.b.train(scene.start, scene.start)
    merge = scene.a.merge(scene.start, [one, two], scene.start)
    steps = scene.steps
    assert [step.kind for step in steps] == ["start", "train", "train", "merge"]
    assert digests(steps.trainings("A")) == [one.digest]
    assert set(digests(steps.trained_from(scene.start.digest))) == {one.digest, two.digest}
    assert digests(steps.merges()) == digests(steps.merges_by("A")) == digests(steps.merged_into(two.digest))
    assert digests(steps.merges()) == [merge.digest]
    assert list(steps.progress) == [1, 1]


def test_progress_counts_along_the_longest_line() -> None:
    scene = Scene(steps=9)
    one = scene.a.train(scene.start, scene.start)
    two = scene.a.train(scene.start, one)
    other = scene.b.train(scene.start, one)
    merge = scene.b.merge(scene.start, [two, other])
    step = scene.steps.get(merge.digest)
    assert step is not None
    assert step.progress == (2, 1)


class TestNoStep:
    def test_what_a_site_outside_the_study_makes(self) -> None:
        scene = Scene()
        assert scene.steps.get(scene.c.train(scene.start, scene.start).digest) is None

    def test_what_stands_on_something_outside_the_study(self) -> None:
        scene = Scene()
        outside = scene.c.note()
        assert scene.steps.get(scene.a.train(scene.start, outside).digest) is None

    @pytest.mark.parametrize("recipe", [Recipe("train", 2), Recipe("merge", 2), Recipe("distil")])
    def test_what_this_version_does_not_know(self, recipe: Recipe) -> None:
        scene = Scene()
        parents = (Parent("base", scene.start.digest), Parent("input", scene.start.digest))
        made = scene.a.commit(recipe, study=scene.start.digest, parents=parents, tree=tree("x"))
        assert scene.steps.get(made.digest) is None

    def test_training_without_one_base(self) -> None:
        scene = Scene()
        one = scene.a.train(scene.start, scene.start)
        for parents in ((), (Parent("base", scene.start.digest), Parent("base", one.digest))):
            named = tuple(sorted(parents))
            made = scene.a.commit(Recipe("train"), study=scene.start.digest, parents=named, tree=tree("x"))
            assert scene.steps.get(made.digest) is None

    def test_a_merge_without_inputs(self) -> None:
        scene = Scene()
        parents = (Parent("base", scene.start.digest),)
        made = scene.a.commit(Recipe("merge"), study=scene.start.digest, parents=parents, tree=tree("x"))
        assert scene.steps.get(made.digest) is None

    def test_what_holds_no_model(self) -> None:
        scene = Scene()
        made = scene.a.commit(
            Recipe("train"), study=scene.start.digest, parents=(Parent("base", scene.start.digest),), cases=1
        )
        assert scene.steps.get(made.digest) is None


class TestInputs:
    def test_void_and_contested_commits_are_lineage_only(self) -> None:
        scene = Scene()
        fork = scene.a.fork()
        contested = scene.a.train(scene.start, scene.start)
        fork.note("contests it")
        child = scene.b.train(scene.start, contested)
        assert not scene.is_input(contested)
        assert scene.is_input(child), "taint does not stop work"
        assert list(scene.steps.progress) == [0, 1]

    def test_the_first_success_of_an_action_counts_whichever_comes_first(self) -> None:
        scene = Scene()
        scene.a.note()
        later = scene.a.train(scene.start, scene.start, action=ACTION)
        earlier = scene.world.feed("A", number=2).train(scene.start, scene.start, action=ACTION)
        child = scene.b.train(scene.start, later)
        reader = read(scene.world)
        (steps,) = reader.studies.values()
        done = steps.done("A", ACTION)
        assert reader.history[earlier.digest].height < reader.history[later.digest].height
        assert done is not None
        assert done.digest == earlier.digest
        assert digests(steps.trainings("A")) == [earlier.digest]
        assert scene.is_input(child), "what was made from the other one stays"

    def test_the_first_of_three_successes_counts_in_every_order(self) -> None:
        scene = Scene()
        feeds = [scene.a, *(scene.world.feed("A", number=number) for number in (2, 3))]
        made = [feed.train(scene.start, scene.start, action=ACTION) for feed in feeds]
        study = parse_study(scene.start)
        assert study is not None
        history = read(scene.world).history
        entries = sorted((history[commit.digest] for commit in made), key=lambda entry: entry.order)
        for order in ((0, 1, 2), (2, 1, 0), (1, 2, 0), (2, 0, 1)):
            steps = StudyHistory(study, history[scene.start.digest])
            for place in order:
                steps.add(entries[place], "A", is_input=True)
            assert digests(steps.trainings("A")) == [entries[0].digest]
            steps.judge(entries[0].digest, is_input=False)
            assert digests(steps.trainings("A")) == [entries[1].digest], "a void success frees its action for the next"
            steps.judge(entries[0].digest, is_input=True)
            assert digests(steps.trainings("A")) == [entries[0].digest]

    def test_the_same_action_of_two_sites_are_two(self) -> None:
        scene = Scene()
        one = scene.a.train(scene.start, scene.start, action=ACTION)
        two = scene.b.train(scene.start, scene.start, action=ACTION)
        assert scene.is_input(one)
        assert scene.is_input(two)

    def test_training_beyond_the_budget_is_no_input(self) -> None:
        scene = Scene(steps=2)
        line = [scene.start]
        for _ in range(3):
            line.append(scene.a.train(scene.start, line[-1]))
        assert [scene.is_input(commit) for commit in line[1:]] == [True, True, False]
        assert list(scene.steps.progress) == [2, 0]

    @pytest.mark.parametrize(
        ("cases", "possible"), [(None, True), (0, False), (1, True), (2**31 - 1, True), (2**31, False)]
    )
    def test_a_number_of_cases_that_cannot_be_a_weight_is_no_input(self, cases: int | None, *, possible: bool) -> None:
        scene = Scene()
        assert scene.is_input(scene.a.train(scene.start, scene.start, cases=cases)) == possible

    def test_judging_what_is_no_step_changes_nothing(self) -> None:
        scene = Scene()
        steps = scene.steps
        version = steps.version
        steps.judge(scene.start.digest, is_input=False)
        steps.judge(ACTION, is_input=True)
        assert steps.version == version
        assert steps.is_input(steps.start)


def test_a_fold_is_shown_each_step_once() -> None:
    scene = Scene()
    reader = read(scene.world)
    (steps,) = reader.studies.values()
    for _ in range(3):
        reader.learn(scene.a.train(scene.start, scene.start))
        shown = steps.fold("shown", list[Step], list.append)
        assert shown == list(steps)


def test_a_member_keeps_its_steps_when_it_changes_its_key() -> None:
    scene = Scene()
    one = scene.b.train(scene.start, scene.start)
    second = scene.world.enact(successor(scene.world.founding, keys={"B": "B2"}, cuts=[one]), by="AC")
    two = scene.world.feed("B", key="B2").train(scene.start, one, under=second)
    assert digests(scene.steps.trainings("B")) == [one.digest, two.digest]
    assert list(scene.steps.progress) == [0, 2]


class TestStudies:
    def test_terms_are_read_back(self) -> None:
        scene = Scene()
        study = parse_study(scene.start)
        assert study is not None
        assert (study.strategy, study.steps, study.sites, study.seed) == (Named("fedavg"), 3, ("A", "B"), 7)

    def test_a_study_needs_sites_and_a_budget(self) -> None:
        for sites, steps, updates in (([], 1, 1), (["A"], 0, 1), (["A"], 1, 0)):
            with pytest.raises(Misuse):
                study_recipe(
                    title="",
                    strategy=Named("local"),
                    task=Named("t"),
                    steps=steps,
                    updates=updates,
                    sites=sites,
                    seed=0,
                )

    def test_what_opens_no_study_is_none(self) -> None:
        scene = Scene()
        assert parse_study(scene.a.note()) is None
        assert parse_study(scene.a.commit(Recipe("study", 1, {}, 1), tree=tree("x"))) is None

    def test_a_charter_permits_what_it_lists_or_all(self) -> None:
        study = parse_study(Scene().start)
        assert study is not None
        check_permitted(study, charter("A"))
        check_permitted(study, charter("A", rules={"strategies": ["fedavg"], "tasks": ["logistic"]}))
        for what in ("strategies", "tasks"):
            with pytest.raises(Refused) as error:
                check_permitted(study, charter("A", rules={what: ["something else"]}))
            assert error.value.code == "study-not-permitted"

    @pytest.mark.parametrize(("value", "read_as"), [(3, 3), (0, None), (-1, None), (True, None), ("3", None)])
    def test_a_parameter_that_is_no_number_from_1_is_as_good_as_absent(
        self, value: int | str, read_as: int | None
    ) -> None:
        assert Named("x", 1, {"p": value}).positive("p") == read_as
        assert Named("x").positive("p") is None


class TestIdentity:
    def test_it_tells_apart_what_is_different_work(self) -> None:
        study = parse_study(Scene().start)
        assert study is not None
        train = Train(base=study.digest, step=1, progress=0.0)
        further = Train(base=study.digest, step=2, progress=0.0)
        merge = Merge(inputs=((ACTION, 1),))
        heavier = Merge(inputs=((ACTION, 2),))
        based = Merge(inputs=((ACTION, 1),), base=study.digest)
        names = {identity(study, work, "A", "data") for work in (train, further, merge, heavier, based)}
        names |= {identity(study, train, "B", "data"), identity(study, train, "A", "other data")}
        assert len(names) == 7
        assert identity(study, Train(base=study.digest, step=1, progress=0.0), "A", "data") in names

    def test_the_order_of_inputs_does_not_matter(self) -> None:
        study = parse_study(Scene().start)
        assert study is not None
        other = digest_of(b"other")
        one, two = Merge(inputs=((ACTION, 1), (other, 2))), Merge(inputs=((other, 2), (ACTION, 1)))
        assert identity(study, one, "A", "") == identity(study, two, "A", "")
