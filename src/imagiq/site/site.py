"""A site: sync, decide, act, commit. Real hospitals and simulations run this very code.

The site keeps no state of its own beside its store: a site that crashed looks at the history and goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial

from imagiq.bench import Bench, Verdict
from imagiq.clock import Clock
from imagiq.errors import ImagiqError, Misuse, Unreachable
from imagiq.exchange import Fetched, Peer, fetch_model, pull
from imagiq.federation import (
    Action,
    Evaluate,
    Finished,
    Start,
    Study,
    StudyHistory,
    Train,
    View,
    Wait,
    Work,
    ballot_for,
    check_successor,
    identity,
    vote_recipe,
)
from imagiq.federation.notices import STOP, is_stopped
from imagiq.history import Entry
from imagiq.keys import FeedKey
from imagiq.learning import Advance, Begins, Learner, Pending
from imagiq.objects import Charter, Digest, Parent, Recipe, Tree, digest_of
from imagiq.site.attempts import Attempts
from imagiq.site.local import Local
from imagiq.site.mark import HighWaterMark
from imagiq.site.needs import accused, asked, look_again, named_by, to_check
from imagiq.site.pen import Pen
from imagiq.site.sources import SiteCases, parted_as_stated
from imagiq.site.work import STATE, begin_training, perform

__all__ = ["Local", "Planned", "Site"]


@dataclass(frozen=True, slots=True)
class Planned:
    """Work that a site is about to do. ``action``: its identity."""

    study: Study
    work: Work
    action: Digest


class Site:
    """One institution's imagiq.

    Args:
        name: The site's name in the charter.
        bench: Its store's view of the federation, with the keys to write.
        local: Its data, learners and policy.
        clock: Where the time comes from.
        mark: The high-water mark of its feed, outside the store.
        new_feed_key: Makes the key of a new feed, given its certificate's number; a simulation derives it from its seed.
    """

    def __init__(
        self,
        name: str,
        bench: Bench,
        local: Local,
        *,
        clock: Clock,
        mark: HighWaterMark,
        new_feed_key: Callable[[int], FeedKey] = lambda _: FeedKey.new(),
    ) -> None:
        self.name = name
        self.bench = bench
        self.local = local
        self._clock = clock
        self._pen = Pen(bench, mark, new_feed_key)
        self._attempts = Attempts(bench.store, bench.store.journal.read())
        self._memories: dict[Digest, dict[Hashable, object]] = {}
        self._learners: dict[Digest, Learner] = {}
        self._running: dict[Digest, Pending] = {}
        self._begun: dict[Digest, Planned] = {}
        self.tell: Callable[[Planned, Advance], None] = lambda *_: None
        """Called now and then, from any thread, with how far a training is."""
        self.failed: Callable[[Planned, ImagiqError], None] = lambda *_: None
        """Called when work has failed, with why."""
        self.aside: Callable[[], AbstractContextManager[None]] = nullcontext
        """Entered while a learner works or a remote is waited for: others may work at the bench meanwhile."""
        self.paused: str | None = None
        """Why nothing new is begun for now, although it could be; None: it is."""

    def start(self, peers: Sequence[Peer]) -> Start:
        """Find out whether this store may be written to; see :meth:`Pen.start`."""
        return self._pen.start(peers)

    def hold(self) -> None:
        """Write nothing until a peer has answered or :meth:`go_alone` is called; see :meth:`Pen.hold`."""
        self._pen.hold()

    def go_alone(self) -> Start:
        """Find out whether this store may be written to although nobody answers; see :meth:`Pen.conclude`."""
        return self._pen.conclude(told=False)

    @property
    def why_not(self) -> str | None:
        """Why nothing may be written for now; None: it may."""
        return self._pen.why_not

    # ------------------------------------------------------------------------------------------------ sync

    def sync(self, peer: Peer) -> int:
        """Learn from a peer: commits, then the blobs that this site's next actions need.

        Returns:
            How many commits and models came.

        Raises:
            Unreachable: the peer or the own disk failed; what came before is kept.
        """
        news = self.learn(peer) + self.fetch([peer])
        self.attest()
        return news

    def learn(self, peer: Peer) -> int:
        """Learn commits from a peer, and return how many came; raises as :meth:`sync` does."""
        news = pull(self.bench, peer)
        if self._pen.why_not is not None:
            self._pen.conclude(told=True)
        return news

    def fetch(
        self,
        peers: Sequence[Peer],
        *,
        progress: Callable[[Entry, Fetched], None] = lambda *_: None,
        kept: Callable[[Entry, Sequence[Digest]], None] = lambda *_: None,
    ) -> int:
        """Fetch the models that this site's next actions need, from several peers side by side.

        Args:
            peers: Whom to ask.
            progress: Called as soon as it is known how much of a commit's model is lacking, and as that is kept.
            kept: Called with the names of what is kept.

        Returns:
            How many models are complete by that.

        Raises:
            Unreachable: no peer answers, or the own disk failed; what came before is kept.
        """
        count = 0
        tried: set[Digest] = set()
        while wanted := [digest for digest in self.wanted() if digest not in tried]:
            tried |= set(wanted)
            for entry in map(self.bench.history.__getitem__, wanted):
                count += fetch_model(
                    self.bench,
                    entry.digest,
                    peers,
                    progress=partial(progress, entry),
                    kept=partial(kept, entry),
                    aside=self.aside,
                )
        return count

    def wanted(self) -> tuple[Digest, ...]:
        """Return the commits whose models this site needs next and that are not complete here."""
        return tuple(digest for digest in self._needs(suppose_complete=True) if self._lacks(digest))

    def needed(self) -> set[Digest]:
        """Return the commits whose models this site needs next, here or not: nothing of them may be forgotten."""
        begun = {parent.commit for planned in self._begun.values() for parent in planned.work.parents}
        return begun.union(self._needs(suppose_complete=True), self._needs(suppose_complete=False))

    def _needs(self, *, suppose_complete: bool) -> dict[Digest, None]:
        """Return what the next actions stand on, by what is here or by what could be, and what else is to be had."""
        found: dict[Digest, None] = {}
        for steps in self._joined():
            found[steps.study.digest] = None
            action = self._decide_in(steps, suppose_complete=suppose_complete)
            if isinstance(action, Wait):
                found |= dict.fromkeys(action.meanwhile)
            elif isinstance(action, Finished):
                found[action.model] = None
            else:
                found |= dict.fromkeys(parent.commit for parent in action.parents)
        checks = to_check(self.bench, self.name) if self._is_member() else ()
        return found | dict.fromkeys((*accused(self.bench), *checks, *named_by(self.bench, self.name)))

    def _lacks(self, digest: Digest) -> bool:
        models = self.bench.models
        entry = self.bench.history.get(digest)
        if entry is None or entry.commit.tree is None or digest in models.set_aside:
            return False
        return digest not in models.complete

    # ---------------------------------------------------------------------------------------------- decide

    def _joined(self) -> list[StudyHistory]:
        if not self._is_member():
            return []
        studies = (steps for _, steps in sorted(self.bench.studies.items()))
        return [
            steps
            for steps in studies
            if self.name in steps.study.sites and not self.is_stopped(steps.study) and self.local.accepts(steps.study)
        ]

    def is_stopped(self, study: Study) -> bool:
        """Tell whether a study has been ended for all."""
        history = self.bench.history
        stops = (history[digest] for digest in self.bench.known.notices[STOP])
        return is_stopped(history[study.digest], stops, self.bench.standing)

    def _is_member(self) -> bool:
        """Tell whether the ruling charter names this site by its key; another site may have its name by now."""
        charter, author = self.bench.standing.ruling, self.bench.author
        return charter is not None and author is not None and author.site.public in charter.names_by_site_key

    def view(self, steps: StudyHistory) -> View:
        """Return what this site sees of a study."""
        charter = self.bench.standing.ruling
        return View(
            study=steps.study,
            steps=steps,
            members=frozenset(member.name for member in charter.members) if charter is not None else frozenset(),
            now_s=self._clock.now_s(),
            first_seen_s=self.bench.first_seen_s,
            complete=self.bench.models.complete,
            set_aside=self.bench.models.set_aside.keys(),
            failed=self._attempts.retry_at_s,
            memory=self._memories.setdefault(steps.study.digest, {}),
        )

    def _decide_in(self, steps: StudyHistory, *, suppose_complete: bool = False) -> Action:
        named = steps.study.strategy
        strategy = self.local.strategies.get((named.name, named.version))
        if strategy is None:
            return Wait(why=f"its owner to install the strategy '{named.name}' version {named.version}")
        if not suppose_complete and steps.study.digest not in self.bench.models.complete:
            return Wait(why="the study's first model")
        view = self.view(steps)
        action = strategy(view.supposing_all_complete() if suppose_complete else view, self.name)
        if isinstance(action, Finished):
            return self._evaluation(steps, action)
        return action

    def _evaluation(self, steps: StudyHistory, finished: Finished) -> Action:
        """Measure what came of a study on the own held-back cases, once."""
        work = Evaluate(model=finished.model)
        if self._action_of(steps.study, work) in self.bench.known.own_actions:
            return finished
        return work if self._holds_cases_back() else finished

    def _holds_cases_back(self) -> bool:
        """Tell whether there is something to measure on; if the cases cannot be read, who evaluates says so."""
        try:
            return len(self.local.cases().held_back) > 0
        except ImagiqError:
            return True

    def _action_of(self, study: Study, work: Work) -> Digest:
        return identity(study, work, self.name, self.local.data)

    def actions(self) -> Mapping[Digest, Action]:
        """Return what this site should do next in each study that it has joined."""
        return {steps.study.digest: self._decide_in(steps) for steps in self._joined()}

    def is_backed_off(self, study: Study, work: Work) -> bool:
        """Tell whether work has failed and is not tried again yet."""
        return self._attempts.retry_at_s.get(self._action_of(study, work), 0.0) > self._clock.now_s()

    def plan(self) -> Planned | Wait:
        """Choose what to do now, of all studies: the one in which this site has done least comes first.

        Raises:
            Unreachable: an own commit is still in doubt, since the disk does not take it.
        """
        if self._pen.why_not is not None:
            return Wait(why=self._pen.why_not)
        self._pen.settle_doubt()
        if self.paused is not None:
            return Wait(why=self.paused)
        planned: list[tuple[int, Digest, Planned]] = []
        until_s: list[float] = []
        ended = set(self._learners)
        for steps in self._joined():
            action = self._decide_in(steps)
            if not isinstance(action, Finished):
                ended.discard(steps.study.digest)
            if isinstance(action, Wait):
                until_s += self._moments(steps, action)
                continue
            if isinstance(action, Finished):
                continue
            name = self._action_of(steps.study, action)
            retry_at_s = self._attempts.retry_at_s.get(name, 0.0)
            if name in self.bench.known.own_actions:
                continue
            if retry_at_s > self._clock.now_s():
                until_s.append(retry_at_s)
                continue
            planned.append((len(steps.trainings(self.name)), steps.study.digest, Planned(steps.study, action, name)))
        self._dismiss_learners(ended)
        if planned:
            return min(planned, key=lambda item: item[:2])[2]
        return Wait(why="news from others", until_s=min(until_s, default=None))

    def _moments(self, steps: StudyHistory, waiting: Wait) -> list[float]:
        """Return when to look again: what is decided then may be wanted only then, and is not complete before."""
        supposed = self._decide_in(steps, suppose_complete=True)
        waits = (waiting, supposed) if isinstance(supposed, Wait) else (waiting,)
        return [wait.until_s for wait in waits if wait.until_s is not None]

    # ------------------------------------------------------------------------------------------ act, commit

    def begin(self, planned: Planned) -> int:
        """Mark work as started, durably; return the number of the attempt.

        A training whose learner can train beside this process runs from now on.
        """
        until = planned.work.until if isinstance(planned.work, Train) else None
        number = self._attempts.start(planned.action, self._clock.now_s(), until)
        self._begun[planned.action] = planned
        if isinstance(planned.work, Train) and planned.action not in self._running:
            try:
                self._begin_beside(planned, planned.work)
            except ImagiqError:
                self._running.pop(planned.action, None)  # finish() begins it again, and tells what is wrong
        return number

    def _begin_beside(self, planned: Planned, work: Train) -> None:
        learner = self._learner(planned.study)
        if isinstance(learner, Begins):
            self._running[planned.action] = begin_training(
                work,
                study=planned.study,
                recipe=work.recipe(planned.study, self.name),
                bench=self.bench,
                learner=learner,
                training=self._cases_for(planned.study).training,
                state=self.state_in(planned.study),
                tell=lambda advance: self.tell(planned, advance),
            )

    def abandon(self) -> None:
        """Give up what was begun and is not finished: the process ends."""
        while self._running:
            self._running.popitem()[1].cancel()

    def state_in(self, study: Study) -> bytes:
        """Return what this site's last training in a study left at the site; empty: nothing, or it is lost."""
        steps = self.bench.studies.get(study.digest)
        own = () if steps is None else steps.trainings(self.name)
        return (self.bench.store.sidecar_read(own[-1].digest, STATE) or b"") if own else b""

    def finish(self, planned: Planned) -> Entry | None:
        """Do work that was begun and commit the result; None if it failed, which is remembered and backed off from.

        Raises:
            Unreachable: the disk failed. Nothing is lost; the work, or its commit in doubt, is taken up again.
        """
        try:
            entry = self._do(planned)
        except Unreachable:
            raise
        except ImagiqError as error:
            self._running.pop(planned.action, None)
            look_again(self.bench, error, {p.commit for p in planned.work.parents} | {planned.study.digest})
            self._fail(planned, error)
            return None
        finally:
            self._begun.pop(planned.action, None)
        self._running.pop(planned.action, None)
        if isinstance(planned.work, Train):
            self._attempts.note_trained(planned.study.digest)
        return entry

    def _cases_for(self, study: Study) -> SiteCases:
        return parted_as_stated(self.local.cases(), study.task)

    def _do(self, planned: Planned) -> Entry:
        recipe = planned.work.recipe(planned.study, self.name)
        pending = self._running.get(planned.action)
        needs_state = isinstance(planned.work, Train | Evaluate) and pending is None
        result = perform(
            planned.work,
            study=planned.study,
            recipe=recipe,
            bench=self.bench,
            learner=self._learner(planned.study),
            cases=partial(self._cases_for, planned.study),
            state=self.state_in(planned.study) if needs_state else b"",
            pending=pending,
            aside=self.aside,
        )
        return self._pen.commit(
            recipe,
            parents=planned.work.parents,
            study=planned.study.digest,
            tree=result.tree,
            action=planned.action,
            metrics=result.metrics,
            cases=result.cases,
            sidecar=result.sidecar,
        )

    def _learner(self, study: Study) -> Learner:
        if study.digest not in self._learners:
            self._learners[study.digest] = self.local.learner_of(study.task)
        return self._learners[study.digest]

    def _dismiss_learners(self, ended: AbstractSet[Digest]) -> None:
        """Let go of what trains in studies where nothing is left to do: a worker with PyTorch holds much memory."""
        for study in ended - {planned.study.digest for planned in self._begun.values()}:
            self.local.dismiss(self._learners.pop(study))

    def _fail(self, planned: Planned, error: ImagiqError) -> None:
        self.failed(planned, error)
        trains_in = planned.study.digest if isinstance(planned.work, Train) else None
        if self._attempts.fail(planned.action, error.code, self._clock.now_s(), trains_in=trains_in):
            recipe = Recipe("trouble", 1, {"action": planned.action, "code": error.code})
            self._pen.commit(recipe, study=planned.study.digest)

    # --------------------------------------------------------------------------------------- audit, charter

    def attest(self) -> None:
        """Say of merges that were recomputed since the last call what came of it: FALSE always, verified when drawn."""
        if self._pen.why_not is not None or not self._is_member():
            return
        asked_about = asked(self.bench, self.name)
        known = [(merge, self.bench.verdicts[merge]) for merge in sorted(asked_about) if merge in self.bench.verdicts]
        for merge, verdict in (*self.bench.take_verdicts(), *known):
            per_mille = self._ruling().rules.get("audit_per_mille", 0)
            drawn = merge in asked_about or (isinstance(per_mille, int) and self.local.audit_draw(merge) < per_mille)
            action = digest_of(f"imagiq attest\n{merge}".encode())
            if (verdict is Verdict.FALSE or drawn) and action not in self.bench.known.own_actions:
                study = self.bench.history[merge].commit.study
                recipe = Recipe("attest", 1, {"verdict": verdict.value})
                self._pen.commit(recipe, parents=[Parent("input", merge)], study=study, action=action)

    def _ruling(self) -> Charter:
        ruling = self.bench.standing.ruling
        if ruling is None:
            raise Misuse(
                "federation-not-founded", "Not all founders have voted for the charter yet.", "Sync, and wait."
            )
        return ruling

    def vote(self, proposal: Charter) -> Entry | None:
        """Vote for a charter, if a ballot is open in which this site has not voted; None: it has, and waits.

        Raises:
            Misuse: the proposal does not follow the ruling charter.
        """
        standing = self.bench.standing
        self.bench.store.add([proposal.raw])
        self.bench.learn_charter(proposal)
        if proposal.previous is None:
            return self._pen.commit(vote_recipe(proposal.digest, 1), charter=proposal.digest)
        check_successor(standing.line.versions, proposal)
        ballot = ballot_for(self._ruling(), standing.votes, self.name)
        return None if ballot is None else self._pen.commit(vote_recipe(proposal.digest, ballot))

    def open_study(self, recipe: Recipe, first: Tree, *, action: Digest | None = None) -> Entry:
        """Open a study: its terms, and its first model, which was kept before.

        Raises:
            Refused: the charter does not permit it.
        """
        return self._pen.commit(recipe, tree=first, action=action)

    def say(
        self,
        recipe: Recipe,
        *,
        parents: Sequence[Parent] = (),
        study: Digest | None = None,
        action: Digest | None = None,
    ) -> Entry:
        """Write a commit that only says something, such as a request, a recovery or a tag.

        Raises:
            Refused: nothing may be written now, or this site is no member.
        """
        return self._pen.commit(recipe, parents=parents, study=study, action=action)
