"""Real sites that crash, fail, are restored and cloned, on lines that lie, beside a member who keeps no rule."""

from __future__ import annotations

import random
from dataclasses import replace

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

import imagiq.bench.bench as bench_module
from imagiq.bench import Admitted, RefusedCommit, Waiting
from imagiq.errors import Misuse, Refused
from imagiq.exchange import BenchPeer
from imagiq.federation import Finished, Named, preferred
from imagiq.objects import Charter, Cut, Member
from imagiq.strategies import BUILT_IN
from tests.machines.effort import effort
from tests.machines.hospitals import Hospital, World, copy_of
from tests.machines.model import Model
from tests.machines.scrutiny import check_anew, on_commit, survey
from tests.machines.stranger import DEEDS, DEEDS_TOO, NONSENSE, Stranger
from tests.machines.toy import BadLine

STRATEGIES = sorted(name for name, _ in BUILT_IN)
OPERATIONS = {
    "work": 8, "bad_sync": 6, "sync": 6, "meet": 1, "slow_work": 2, "crash": 4, "fail": 3, "restart": 1, "tick": 2,
    "back_up": 1, "restore": 1, "clone": 1, "propose": 2, "vote": 4, "deed": 5, "show": 3, "nonsense": 2, "study": 1,
    "sick": 2, "forget": 3,
}  # fmt: skip
MOST_ROUNDS = 60


class FederationMachine(RuleBasedStateMachine):
    """What is drawn by Hypothesis is which operation, and one number from which all else follows."""

    def __init__(self) -> None:
        super().__init__()
        self.usual, bench_module.STALE_RECORDS = bench_module.STALE_RECORDS, 2
        self.world: World | None = None

    @initialize(
        seed=st.integers(0, 2**32 - 1),
        honest=st.integers(2, 4),
        first=st.sampled_from(STRATEGIES),
        second=st.sampled_from(STRATEGIES),
        patient=st.booleans(),
    )
    def begin(self, seed: int, honest: int, first: str, second: str, patient: bool) -> None:
        self.draw = random.Random(seed)
        self.stranger = Stranger("zz", 99)
        self.world = World(self.draw, honest, {"zz": self.stranger.key})
        self.world.on_look = on_commit
        self.world.found([self.stranger.settle_in(self.world)])
        self.patient = patient
        self.stranger.listen()
        for name in sorted({first, second}):
            self.open_study(name)
        self.touched: set[Hospital] = set(self.world.hospitals)

    @property
    def running(self) -> World:
        assert self.world is not None
        return self.world

    def open_study(self, name: str) -> None:
        """Patient studies wait for all, so that they hold no site that never answers; others have a quorum of one."""
        parameters = {} if self.patient else {"quorum": 1, "deadline_s": 50, "patience_s": 60}
        hospital = self.draw.choice(self.running.founders)
        if hospital.site is None or not self.is_member(hospital):
            return
        charter = hospital.bench.standing.ruling
        assert charter is not None
        sites = [m.name for m in charter.members if m.name != "zz" or not self.patient]
        self.running.open_study(hospital, Named(name, 1, parameters), sites, 2, self.draw.randrange(100))

    def is_member(self, hospital: Hospital) -> bool:
        charter = hospital.bench.standing.ruling
        return charter is not None and hospital.key.public in charter.names_by_site_key and self.may_write(hospital)

    def may_write(self, hospital: Hospital) -> bool:
        return hospital.running._pen.why_not is None

    # --------------------------------------------------------------------------------------------- what happens

    @rule(what=st.sampled_from(sorted(OPERATIONS)), seed=st.integers(0, 2**32 - 1))
    def one(self, what: str, seed: int) -> None:
        self.draw.seed(seed)
        self.operate(what)

    @rule(seed=st.integers(0, 2**32 - 1))
    def a_while(self, seed: int) -> None:
        self.draw.seed(seed)
        for _ in range(12):
            self.operate(self.draw.choices(list(OPERATIONS), list(OPERATIONS.values()))[0])
            self.nothing_is_lost_and_all_is_as_the_commits_say()

    def operate(self, what: str) -> None:
        hospital = self.draw.choice(self.running.up)
        self.touched.add(hospital)
        getattr(self, "do_" + what)(hospital)

    def other(self, hospital: Hospital) -> Hospital:
        return self.draw.choice(self.running.others(hospital))

    def do_work(self, hospital: Hospital) -> None:
        hospital.work(self.draw.randrange(1, 4))

    def do_sick(self, hospital: Hospital) -> None:
        """A learner that fails is given time, and others hear of it once."""
        with hospital.sick():
            hospital.work(3)

    def do_forget(self, hospital: Hospital) -> None:
        """It forgets models that are not needed, and may be stopped while it does."""
        if self.draw.random() < 0.5:
            hospital.forget()
            return
        with hospital.trouble(self.draw.randrange(1, 12), fails=False, power=self.draw.random() < 0.5):
            hospital.forget()

    def do_slow_work(self, hospital: Hospital) -> None:
        """News comes while a site works, and it forgets what it does not need."""
        planned = hospital.choose()
        hospital.sync(self.other(hospital), self.draw)
        hospital.forget()
        if planned is not None and self.may_write(hospital):
            hospital.do(planned)

    def do_sync(self, hospital: Hospital) -> None:
        hospital.sync(self.other(hospital))

    def do_bad_sync(self, hospital: Hospital) -> None:
        hospital.sync(self.other(hospital), self.draw)

    def do_meet(self, _: Hospital) -> None:
        for one in self.running.up:
            for other in self.running.others(one):
                one.sync(other)
        self.touched |= set(self.running.up)

    def do_crash(self, hospital: Hospital) -> None:
        self.trouble(hospital, fails=False)

    def do_fail(self, hospital: Hospital) -> None:
        self.trouble(hospital, fails=True)

    def trouble(self, hospital: Hospital, *, fails: bool) -> None:
        after, power = self.draw.choice([1, 2, 3, 4, 5, 6, 8, 10, 15, 20]), self.draw.random() < 0.5
        other = self.other(hospital)
        with hospital.trouble(after, fails=fails, power=power):
            if self.draw.random() < 0.5:
                hospital.work(3)
            else:
                hospital.sync(other)
                hospital.work(1)

    def do_restart(self, hospital: Hospital) -> None:
        """A process that ended in good order forgets nothing at all."""
        hospital.bench.admit([], "nobody")
        before, waiting = self.memory_of(hospital), {commit.digest for commit, _ in hospital.bench.waiting.commits()}
        read_only = not self.may_write(hospital) or hospital.key_in_two_places
        hospital.stop()
        hospital.boot()
        assert read_only or self.may_write(hospital), "a site that lost nothing may not write"
        bench = hospital.bench
        assert all(digest in bench.waiting or digest in bench.history for digest in waiting), "what waited is forgotten"
        after = self.memory_of(hospital)
        for what, remembered in before.items():
            assert after[what] >= remembered, f"{what} is not remembered"

    def memory_of(self, hospital: Hospital) -> dict[str, set[object]]:
        bench = hospital.bench
        return {
            "what is complete": set(bench.models.complete),
            "what is set aside": set(bench.models.set_aside),
            "what merges are": set(bench.verdicts.items()),
            "when commits came": set(bench.first_seen_s.items()),
            "what was done": set(bench.known.own_actions),
            "history": set(bench.history.heads.items()),
        }

    def do_tick(self, _: Hospital) -> None:
        self.running.clock.advance_to(self.running.clock.now_s() + self.draw.choice([5, 100, 10_000]))

    def do_back_up(self, hospital: Hospital) -> None:
        hospital.backup, hospital.old_mark = copy_of(hospital), hospital.mark.read()

    def do_restore(self, hospital: Hospital) -> None:
        """Put an old copy back; the mark that lies beside the store stays, or is put back with it."""
        if hospital.backup is None or hospital in self.running.clones:
            return
        hospital.stop()
        hospital.files, hospital.memory = None, hospital.backup.copy()
        hospital.acknowledged = set(hospital.memory.commits())
        hospital.was_restored, hospital.begun = True, {}
        peers = self.draw.sample(self.running.others(hospital), self.draw.randrange(2))
        if self.draw.random() < 0.3 and hospital.old_mark is not None:
            hospital.mark.write(hospital.old_mark)
            hospital.key_in_two_places = True
        hospital.boot(peers)

    def do_clone(self, hospital: Hospital) -> None:
        if not self.running.clones and hospital in self.running.founders and self.is_member(hospital):
            self.touched.add(self.running.clone(hospital))

    def do_propose(self, hospital: Hospital) -> None:
        ruling = hospital.bench.standing.ruling
        if ruling is None or len(self.running.proposals) > 6:
            return
        members, cuts = list(ruling.members), {cut.feed: cut for cut in ruling.cuts}
        new = self.running.hospitals[-1]
        if self.draw.random() < 0.4 and new.key.public not in ruling.names_by_site_key:
            members.append(Member(new.name, new.key.public, new.key.exchange_public))
        elif len(members) > 2:
            gone = members.pop(self.draw.choice([-1, self.draw.randrange(len(members))]))
            for feed in hospital.bench.history.feeds_of(gone.site_key):
                head = self.draw.choice(hospital.bench.history.heads[feed])
                chain = list(hospital.bench.history.chain(head))
                last = chain[min(self.draw.randrange(3), len(chain) - 1)].commit
                cuts[feed] = Cut(feed, last.number, last.digest)
        charter = Charter(
            title=f"proposal {len(self.running.proposals)}",
            version=ruling.version + 1,
            previous=ruling.digest,
            federation=self.running.founding.digest,
            members=tuple(sorted(members)),
            voters=tuple(sorted(member.name for member in members)),
            recovery=ruling.recovery,
            cuts=tuple(sorted(cuts.values())),
            rules=ruling.rules,
        )
        self.running.proposals.append(charter)

    def do_vote(self, hospital: Hospital) -> None:
        standing = hospital.bench.standing
        proposals = {charter.digest: charter for charter in self.running.proposals[1:]}
        ruling = standing.ruling
        if ruling is None or not proposals or not self.is_member(hospital):
            return
        wanted = preferred(
            ruling, standing.votes, [c.digest for c in proposals.values() if c.previous == ruling.digest]
        )
        charter = self.draw.choice(list(proposals.values()))
        charter = proposals[wanted] if wanted is not None and self.draw.random() < 0.7 else charter
        try:
            hospital.running.vote(charter)
        except Misuse:
            assert charter.digest not in self.running.model(hospital).followers(
                tuple(version.digest for version in standing.line.versions)
            )
        except Refused:
            assert not self.may_write(hospital)

    def do_deed(self, hospital: Hospital) -> None:
        """The member who keeps no rule does something, and shows it to some, in any order."""
        if len(self.stranger.made) > 25:
            return
        self.stranger.listen()
        raws = self.stranger.act(self.draw.choice(DEEDS + DEEDS_TOO))
        for one in (hospital, self.draw.choice(self.running.up)):
            self.show(one, self.draw.sample(raws, len(raws)))

    def show(self, hospital: Hospital, raws: list[bytes]) -> None:
        """Who was a member by the charter that a commit names is heard, or waits until all is known."""
        self.touched.add(hospital)
        for raw, outcome in zip(raws, hospital.bench.admit(raws, "zz"), strict=True):
            charter = hospital.bench.standing.charters.get(hospital.bench.checks.commit(raw).charter)
            member = charter is None or self.stranger.key.public in charter.names_by_site_key
            assert not (member and isinstance(outcome, RefusedCommit)), "order of arrival decides who is heard"
            assert member or not isinstance(outcome, Admitted), "who is no member is heard"

    def do_show(self, hospital: Hospital) -> None:
        """It lets its bench be read, or lets a commit fall into somebody's lap long before those that it names."""
        if self.draw.random() < 0.5:
            hospital.running.sync(BadLine(BenchPeer("zz", self.stranger.bench)))
        else:
            known = [commit.raw for commit in self.stranger.made[-8:]]
            self.show(hospital, self.draw.sample(known, min(3, len(known))))

    def do_nonsense(self, hospital: Hospital) -> None:
        kinds = self.draw.sample(NONSENSE, 3)
        before = len(hospital.bench.history)
        outcomes = hospital.bench.admit([self.stranger.nonsense(kind) for kind in kinds], "outsider")
        for kind, outcome in zip(kinds, outcomes, strict=True):
            waits = kind == "chain" and isinstance(outcome, Waiting)
            assert waits or isinstance(outcome, RefusedCommit), f"{kind} is let in"
        assert before == len(hospital.bench.history)

    def do_study(self, _: Hospital) -> None:
        if len(self.running.up[0].bench.studies) < 4:
            self.open_study(self.draw.choice(STRATEGIES))

    # ------------------------------------------------------------------------------------------- what must hold

    @invariant()
    def nothing_is_lost_and_all_is_as_the_commits_say(self) -> None:
        if self.world is None:
            return
        for hospital in [one for one in self.world.up if one in self.touched]:
            model = survey(hospital, self.honest_feeds())
            self.check_forks(model)
        self.touched.clear()

    def honest_feeds(self) -> set[str]:
        return {feed for h in self.running.up for site in [h.key.public] for feed in h.bench.history.feeds_of(site)}

    def check_forks(self, model: Model) -> None:
        honest = {h.key.public: h for h in self.running.everybody}
        for feed in model.forks:
            site = model.site(next(d for d, body in model.commits.items() if body["feed"] == feed))
            assert site not in honest or honest[site].key_in_two_places, "an honest site has used a number twice"
        for site, _ in model.certified_twice:
            assert site not in honest or honest[site].key_in_two_places, "an honest site has used a certificate twice"

    def teardown(self) -> None:
        """All go on without faults: everybody knows the same, decides the same, and finishes."""
        bench_module.STALE_RECORDS = self.usual
        if self.world is None:
            return
        for clone in self.world.clones:
            clone.stop()
        self.draw.seed(0)
        late = Hospital(self.world, "late", 77, on_disk=False)  # who comes last learns all that others know
        self.world.hospitals.append(late)
        late.boot()
        self.until_quiet()
        self.all_agree()
        for _ in range(MOST_ROUNDS):
            self.world.clock.advance_to(self.world.clock.now_s() + 5000)
            worked = sum(hospital.work(10) for hospital in self.world.up if self.may_write(hospital))
            for hospital in self.world.up:
                hospital.forget()
            self.until_quiet()
            if not worked:
                break
        else:
            raise AssertionError("the federation never comes to rest")
        for model in self.all_agree():
            self.check_forks(model)
        for hospital in self.world.up:
            self.all_is_done(hospital)
            self.do_restart(hospital)
            survey(hospital, self.honest_feeds())

    def until_quiet(self) -> None:
        for _ in range(MOST_ROUNDS):
            news = 0
            for hospital in self.running.up:
                lines = [BenchPeer(other.name, other.bench) for other in self.running.others(hospital)]
                for line in (*lines, BenchPeer("zz", self.stranger.bench)):
                    news += hospital.running.sync(BadLine(line))
            self.stranger.listen()
            if not news:
                return
        raise AssertionError("sites bring each other news for ever")

    def all_agree(self) -> list[Model]:
        models = [survey(hospital, self.honest_feeds()) for hospital in self.running.up]
        for hospital, model in zip(self.running.up, models, strict=True):
            first = models[0]
            assert model.line == first.line
            assert self.alive(model) == self.alive(first), "sites know different commits"
            assert self.alive_steps(model) == self.alive_steps(first)
            assert self.forks_that_count(model) == self.forks_that_count(first), "a fork is unseen"
            check_anew(hospital, model, self.draw)
            self.same_decisions(hospital)
        return models

    def alive(self, model: Model) -> dict[str, str]:
        return {digest: state for digest, state in model.states.items() if state != "void"}

    def forks_that_count(self, model: Model) -> set[str]:
        """Return the feeds that fork and of which anything stands; a cut settles what of them does."""
        stands = {model.commits[digest]["feed"] for digest in self.alive(model)}
        return (set(model.forks) & stands) - set(model.cuts)

    def alive_steps(self, model: Model) -> dict[str, object]:
        alive = self.alive(model)
        return {
            study: (steps.trainings, steps.merges, {d: p for d, p in steps.progress.items() if d in alive})
            for study, steps in model.studies.items()
        }

    def same_decisions(self, hospital: Hospital) -> None:
        """With equal local facts every site would decide the same in any site's place."""
        first = self.running.up[0]
        for study, steps in hospital.bench.studies.items():
            strategy = BUILT_IN.get((steps.study.strategy.name, 1))
            theirs = first.running.view(first.bench.studies[study])
            facts = {"now_s": 0.0, "first_seen_s": {}, "complete": None, "set_aside": frozenset(), "failed": {}}
            for name in theirs.sites if strategy is not None else ():
                mine = replace(hospital.running.view(steps), memory={}, **facts)  # type: ignore[arg-type]
                assert strategy is not None
                assert strategy(mine, name) == strategy(replace(theirs, memory={}, **facts), name)  # type: ignore[arg-type]

    def all_is_done(self, hospital: Hospital) -> None:
        """Who may work has finished what all of its sites could finish."""
        if not self.is_member(hospital):
            return
        whole = [h for h in self.running.up if not h.was_restored and not h.key_in_two_places]  # no model was lost
        live = {h.name for h in whole if self.is_member(h)}
        for study, action in hospital.running.actions().items():
            terms = hospital.bench.studies[study].study
            if set(terms.sites) <= live or (terms.strategy.name == "local" and hospital.name in live):
                assert isinstance(action, Finished), f"{hospital} waits in {terms.title}: {action}"


TestFederationMachine = FederationMachine.TestCase
TestFederationMachine.settings = effort(steps=0.5)
