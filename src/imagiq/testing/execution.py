"""Runs a strategy at several sites, without store, network or models: commits come in any order, sites act at any pace.

What goes wrong is yours to say: sites that are silent, failing, removed or parted, models that are withheld, commits that
turn out void. All that is drawn follows from the seed.
"""

# ruff: noqa: S101 - asserts are what this module is for
from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random  # noqa: TID251 - draws the pace from a given seed

from imagiq.federation import (
    Action,
    Finished,
    Merge,
    Named,
    Strategy,
    Study,
    StudyHistory,
    Train,
    View,
    Wait,
    Work,
    identity,
)
from imagiq.history import Entry, History
from imagiq.objects import JSON, Certificate, Commit, Digest, Parent, Recipe, digest_of
from imagiq.strategies import BUILT_IN

__all__ = ["Execution", "Worker", "commit_of", "take"]

FEDERATION = digest_of(b"federation")


def commit_of(
    site: str, number: int, previous: Commit | None, recipe: Recipe, parents: Sequence[Parent] = (), **fields: object
) -> Commit:
    """Return an unsigned commit: what strategies look at, and nothing else."""
    name = digest_of(f"{site} {number} {recipe.name} {parents} {sorted(fields.items(), key=str)}".encode())
    feed = digest_of(f"feed {site}".encode())
    certificate = Certificate(federation=FEDERATION, site=f"key of {site}", feed=feed, number=1, ends=None)
    values = {"tree": name, "study": None, "action": None, "cases": None} | fields
    return Commit(
        raw=b"",
        digest=name,
        federation=FEDERATION,
        charter=FEDERATION,
        feed=feed,
        number=number,
        previous=None if previous is None else previous.digest,
        parents=tuple(sorted(parents)),
        recipe=recipe,
        metrics={},
        seen=(),
        created="",
        certificate=certificate if previous is None else None,
        **values,  # type: ignore[arg-type]
    )


def take(steps: StudyHistory, entry: Entry, *, is_input: bool) -> None:
    """Let a study's history take in an entry, as a bench does."""
    site = entry.site.removeprefix("key of ")
    if entry.commit.recipe.name == "trouble":
        steps.add_trouble(entry, site)
    else:
        steps.add(entry, site, is_input=is_input)


@dataclass
class Worker:
    """One site: what it knows, what it has written, what it was told to do."""

    name: str
    study: Study
    start: Commit
    cases: int
    history: History = field(default_factory=History)
    seen_s: dict[Digest, float] = field(default_factory=dict)
    done: set[Digest] = field(default_factory=set)
    told: set[Digest] = field(default_factory=set)
    last: Commit | None = None

    def __post_init__(self) -> None:
        """Begin with the study's first model."""
        self.steps = StudyHistory(self.study, self.history.add(self.start))

    def learn(self, commit: Commit, now_s: float) -> None:
        """Take in a commit."""
        entry = self.history.add(commit)
        self.seen_s[commit.digest] = now_s
        take(self.steps, entry, is_input=True)

    def can_learn(self, commit: Commit) -> bool:
        """Tell whether a commit is new, and all that it names is here."""
        return commit.digest not in self.history and not self.history.missing(commit)

    def view(
        self,
        members: Collection[str],
        now_s: float,
        withheld: Collection[Digest] = (),
        set_aside: Collection[Digest] = (),
    ) -> View:
        """Return what the site sees; withheld models of others are not here."""
        own = {} if self.last is None else {entry.digest: entry for entry in self.history.chain(self.last.digest)}
        lacking = {digest for digest in withheld if digest not in own}
        return View(
            study=self.study,
            steps=self.steps,
            members=frozenset(members),
            now_s=now_s,
            first_seen_s=self.seen_s,
            complete={entry.digest for entry in self.history} - lacking if lacking else None,
            set_aside=frozenset(set_aside),
        )

    def do(self, work: Work, now_s: float) -> Commit:
        """Succeed in an action; one that has succeeded must never be answered again."""
        action = identity(self.study, work, self.name, "")
        assert action not in self.done, f"{self.name} was told to {work} again"
        self.done.add(action)
        return self._write(
            now_s,
            work.recipe(self.study, self.name),
            work.parents,
            action=action,
            cases=self.cases if isinstance(work, Train) else None,
        )

    def fail(self, work: Work, now_s: float) -> Commit | None:
        """Fail in an action until others are told of it; None: they have been."""
        action = identity(self.study, work, self.name, "")
        if action in self.told:
            return None
        self.told.add(action)
        return self._write(now_s, Recipe("trouble", 1, {"action": action, "code": "learner-failed"}), tree=None)

    def _write(self, now_s: float, recipe: Recipe, parents: Sequence[Parent] = (), **fields: object) -> Commit:
        number = 1 if self.last is None else self.last.number + 1
        self.last = commit_of(self.name, number, self.last, recipe, parents, study=self.study.digest, **fields)
        self.learn(self.last, now_s)
        return self.last


class Execution:
    """A study of sites A, B, C and so on, with 10, 20, 30 ... cases.

    Args:
        strategy: A built-in one by its name, or a function.
        sites: How many sites there are, up to 8.
        steps: The budget.
        seed: All that is drawn follows from it.
        silent: Sites that never act.
        parameters: The strategy's.

    Attributes:
        members: Who is in the charter; a site that is taken out was removed.
        failing: Sites whose training fails, again and again; they tell others once of each action, as a site does.
        groups: Who can reach whom: sites in no group stand alone.
        withheld: Models that nobody but their author has.
        set_aside: Models that the gate refused, at all sites.
        voided: Commits that cannot be inputs; see :meth:`void`.
        commits: All that were written.
        works: Who did what, in order.
        now_s: The time, at all sites.
    """

    def __init__(
        self,
        strategy: str | Strategy,
        *,
        sites: int,
        steps: int,
        seed: int = 0,
        silent: Collection[str] = (),
        parameters: Mapping[str, JSON] | None = None,
    ) -> None:
        self.random = Random(seed)  # noqa: S311 - a given seed
        self.names = tuple("ABCDEFGH"[:sites])
        named = Named(strategy if isinstance(strategy, str) else "mine", 1, parameters or {})
        self.decide = BUILT_IN[named.name, 1] if isinstance(strategy, str) else strategy
        self.start = commit_of("A's first feed", 1, None, Recipe("study", 1, {}))
        self.study = Study(
            digest=self.start.digest,
            title="",
            strategy=named,
            task=Named("none"),
            steps=steps,
            updates=1,
            seed=seed,
            sites=self.names,
        )
        self.workers = {
            name: Worker(name, self.study, self.start, 10 * (place + 1)) for place, name in enumerate(self.names)
        }
        self.members = set(self.names)
        self.silent = set(silent)
        self.failing: set[str] = set()
        self.groups: list[set[str]] = [set(self.names)]
        self.withheld: set[Digest] = set()
        self.set_aside: set[Digest] = set()
        self.voided: set[Digest] = set()
        self.commits: list[Commit] = []
        self.works: list[tuple[str, Work]] = []
        self.now_s = 0.0

    def view(self, name: str) -> View:
        """Return what a site sees."""
        return self.workers[name].view(self.members, self.now_s, self.withheld, self.set_aside)

    def action(self, name: str) -> Action:
        """Return what a site's strategy says."""
        action = self.decide(self.view(name), name)
        assert action == self.decide(self.view(name), name), "equal view, equal action"
        return action

    def act(self, name: str) -> Action:
        """Let a site do what its strategy says; who fails waits for another try."""
        action = self.action(name)
        if isinstance(action, Train) and name in self.failing:
            told = self.workers[name].fail(action, self.now_s)
            self.commits += [] if told is None else [told]
            return Wait(why="another try")
        if not isinstance(action, Wait | Finished):
            self.works.append((name, action))
            self.commits.append(self.workers[name].do(action, self.now_s))
        return action

    def tell(self, name: str, commit: Commit | None = None) -> bool:
        """Let a site learn one commit; tell whether there was one to learn."""
        worker = self.workers[name]
        news = [c for c in self.commits if worker.can_learn(c) and self._reaches(name, c)]
        news = news if commit is None else [commit]
        if news:
            chosen = self.random.choice(news)
            worker.learn(chosen, self.now_s)
            worker.steps.judge(chosen.digest, is_input=chosen.digest not in self.voided)
        return bool(news)

    def _reaches(self, name: str, commit: Commit) -> bool:
        """Tell whether somebody near holds a commit; what no strategy made comes from anywhere."""
        holders = {other for other, worker in self.workers.items() if commit.digest in worker.history}
        near = {other for group in self.groups if name in group for other in group}
        return not holders or bool(holders & near)

    def tell_all(self) -> None:
        """Let everybody learn everything that it can reach."""
        while sum(self.tell(name) for name in self.names):
            pass

    def void(self, digest: Digest) -> None:
        """Let everybody see that a commit and what its author wrote after it can be no inputs; the work may be done again."""
        feed, number = next((commit.feed, commit.number) for commit in self.commits if commit.digest == digest)
        void = [commit for commit in self.commits if commit.feed == feed and commit.number >= number]
        self.voided |= {commit.digest for commit in void}
        for worker in self.workers.values():
            worker.done -= {commit.action for commit in void if commit.action is not None}
            for commit in void:
                worker.steps.judge(commit.digest, is_input=False)

    @property
    def active(self) -> list[str]:
        """The members who act."""
        return [name for name in self.names if name in self.members and name not in self.silent]

    def go_on(self, turns: int) -> None:
        """Let sites, drawn one after the other, hear all that they can and act."""
        for _ in range(turns):
            name = self.random.choice(self.names)
            self.tell(name)
            self.act(name)

    def run(self, *, most: int = 2_000) -> Mapping[str, Action]:
        """Run until nobody has anything left to do; return what each site is told in the end."""
        pace = {name: self.random.choice((1, 1, 3, 9)) for name in self.active}
        for _ in range(most):
            name = self.random.choices(list(pace), weights=list(pace.values()))[0]
            if self.random.random() < 0.5:
                self.tell(name)
            else:
                self.act(name)
            self.now_s += self.random.random()
        return self.finish()

    def finish(self, *, most: int = 2_000) -> Mapping[str, Action]:
        """Deliver everything and let everybody act until nothing changes, time passing where somebody waits for it."""
        for _ in range(most):
            self.tell_all()
            known = len(self.commits)
            actions = {name: self.act(name) for name in self.random.sample(self.active, k=len(self.active))}
            if len(self.commits) == known and all(isinstance(one, Wait | Finished) for one in actions.values()):
                until = [a.until_s for a in actions.values() if isinstance(a, Wait) and a.until_s is not None]
                if not until:
                    return actions
                self.now_s = max(self.now_s, min(until))
        raise AssertionError("the study never ends")

    def trainings(self, name: str) -> list[Commit]:
        """Return a site's training commits."""
        feed = self.workers[name].last
        return [c for c in self.commits if feed is not None and c.feed == feed.feed and c.recipe.name == "train"]

    def merges(self) -> list[tuple[str, Merge]]:
        """Return who merged what, in order."""
        return [(name, work) for name, work in self.works if isinstance(work, Merge)]

    def cases_of(self, digest: Digest) -> int | None:
        """Return on how many cases a commit was trained."""
        return next(commit.cases for commit in self.commits if commit.digest == digest)

    def kind_of(self, digest: Digest) -> str:
        """Return a commit's recipe."""
        return next(commit.recipe.name for commit in self.commits if commit.digest == digest)
