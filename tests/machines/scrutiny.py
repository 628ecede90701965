"""What must be true of a site at any time, of each commit that it writes, and of a site made anew from what it knows."""

from __future__ import annotations

import math
import random
import struct
from dataclasses import replace

from imagiq.bench import Bench, Verdict
from imagiq.bench.known import Known
from imagiq.errors import NotFound
from imagiq.federation import StudyHistory, View
from imagiq.objects import Commit, Digest, digest_of
from imagiq.strategies import BUILT_IN
from tests.machines.decisions import check_decision, told_of_trouble
from tests.machines.hospitals import LIMITS, Hospital
from tests.machines.model import BLOB_SIZES, Body, Model, Read, mean_of, name_of, numbers_of, read_commit, tree_of
from tests.machines.toy import SCHEMA

ACTS = frozenset({"train", "merge", "evaluate"})
SEEN_AT_ONCE = 64


def flaw_of(read: Read, body: Body, model: Model) -> str | None:
    """Return what is wrong with a commit's model, all of whose objects are here; None: nothing."""
    schema, blobs = tree_of(read, body["tree"])
    if schema != SCHEMA.digest:
        return "schema"
    if tuple(len(read(blob)) for blob in blobs) != BLOB_SIZES:
        return "blobs"
    wide, narrow, _ = numbers_of(read, body["tree"])
    if not all(map(math.isfinite, [*wide, *narrow])):
        return "not finite"
    return "false" if is_false_merge(read, body, model) else None


def is_false_merge(read: Read, body: Body, model: Model) -> bool | None:
    """Tell whether a merge is not what its parents give; None: that cannot be told here, or it is no merge."""
    recipe = body["recipe"]
    if (recipe["name"], recipe["version"], recipe["parameters"].get("rule")) != ("merge", 1, "mean"):
        return None
    inputs = [model.commits[parent["commit"]] for parent in body["parents"] if parent["role"] == "input"]
    weights = recipe["parameters"].get("weights")
    if any("tree" not in one for one in inputs):
        return True
    try:
        trees = [one["tree"] for one in inputs]
        contents = [b"".join(map(read, tree_of(read, tree)[1])) for tree in (*trees, body["tree"])]
        schemas = {tree_of(read, tree)[0] for tree in trees}
        for tree in trees:
            read(tree_of(read, tree)[0])
    except NotFound:
        return None
    if not isinstance(weights, list) or len(weights) != len(inputs) or min(weights) < 1 or schemas != {SCHEMA.digest}:
        return True
    try:
        return mean_of(read, zip(trees, weights, strict=True)) != contents[-1]
    except (struct.error, OverflowError):
        return True


def holds(bench: Bench, body: Body) -> bool:
    try:
        schema, blobs = tree_of(bench.store.read, body["tree"])
    except NotFound:
        return False
    return all(bench.store.has(Digest(name)) for name in (schema, *blobs))


def forgot_of(bench: Bench, body: Body, digest: str) -> bool:
    """Tell whether a merge, or something that it was made from, was forgotten."""
    names = {digest, *(parent["commit"] for parent in body["parents"] if parent["role"] == "input")}
    return not names.isdisjoint(bench.models.forgotten)


def survey(hospital: Hospital, honest: set[str]) -> Model:
    """Compare all that a running site says with what its commits' bytes say."""
    bench = hospital.bench
    bench.admit([], "nobody")
    model = hospital.world.model(hospital)
    raws = {entry.commit.raw for entry in bench.history}
    stored = set(bench.store.commits())
    assert raws <= stored, "what is visible is not durable"
    unread = [read_commit(raw)[1]["feed"] for raw in stored - raws - {bench._in_doubt}]  # left by a disk that failed
    assert not set(unread) & set(bench.history.feeds_of(hospital.key.public)), "an own commit is overlooked"
    assert hospital.acknowledged <= raws, "an acknowledged commit is lost"
    hospital.acknowledged |= raws
    check_known(bench.known, model)
    for name in bench.store.objects():
        assert digest_of(bench.store.read(name)) == name, "an object has another's name"
    for digest, body in model.commits.items():
        complete, aside = digest in bench.models.complete, digest in bench.models.set_aside
        assert not (complete and aside)
        if complete:
            assert holds(bench, body), "a model is called complete, and is not"
            assert flaw_of(bench.store.read, body, model) is None, "a bad model is called complete"
        if aside:
            assert not holds(bench, body) or flaw_of(bench.store.read, body, model), "a good model is set aside"
        if digest in bench.verdicts:
            false = is_false_merge(bench.store.read, body, model)
            verdict = bench.verdicts[Digest(digest)]
            let_go = verdict is Verdict.VERIFIED and false is None and forgot_of(bench, body, digest)
            assert let_go or (verdict is Verdict.FALSE) == false, "a merge is judged wrongly, or evidence is forgotten"
        if body["feed"] in honest and "tree" in body:
            assert not aside, "an honest site's model is set aside"
    check_waiting(bench, model)
    return model


def check_known(known: Known, model: Model) -> None:
    """Compare history, charters, states and studies."""
    history, standing = known.history, known.standing
    assert len(history) == len(model.commits)
    assert dict(history.heads) == model.heads
    assert dict(history.forks) == model.forks
    assert tuple(charter.digest for charter in standing.line.versions) == model.line.versions
    assert (standing.line.rivals, standing.line.enacted) == (model.line.rivals, model.line.enacted)
    assert {(v.base, v.ballot, v.voter, v.charter) for v in standing.votes} == model.votes
    for entry in history:
        digest = entry.digest
        assert entry.commit.charter in model.line.enacted, "a commit is in that no charter in force permits"
        assert entry.commit.study is None or entry.commit.study in model.commits
        assert entry.site in standing.charters[entry.commit.charter].names_by_site_key, "an outsider is in"
        assert entry.height == model.heights[digest]
        assert (entry.site, entry.certificate) == (model.site(digest), model.certificate(digest))
        assert standing.state(digest).value == model.states[digest], f"{entry.commit} has another state"
    assert set(known.studies) == set(model.studies)
    for study, steps in known.studies.items():
        expected = model.studies[study]
        assert {step.digest: step.progress for step in steps} == expected.progress
        for site in steps.study.sites:
            assert [step.digest for step in steps.trainings(site)] == expected.trainings[site]
            assert steps.made_before_trouble(site) == told_of_trouble(site, study, model)
        assert [step.digest for step in steps.merges()] == expected.merges
        for base in expected.progress:
            from_base = [d for d in expected.all_trainings if model.base(d) == base]
            assert [step.digest for step in steps.trained_from(Digest(base))] == sorted(from_base, key=model.order)


def check_waiting(bench: Bench, model: Model) -> None:
    """Nothing waits for what is here, and what waits is bounded."""
    per_source: dict[str, list[int]] = {}
    for commit, source in bench.waiting.commits():
        per_source.setdefault(source, []).append(len(commit.raw))
        _, body = read_commit(commit.raw)
        named = [parent["commit"] for parent in body["parents"]] + [body.get("previous"), body.get("study")]
        known = all(name is None or name in model.commits for name in named)
        proposal = (
            body["recipe"]["parameters"].get("charter") if body["recipe"]["name"] in {"vote", "recover"} else None
        )
        charters = body["charter"] in model.line.enacted and (proposal is None or proposal in model.charters)
        assert not (known and charters), "a commit waits, and for nothing"
        assert commit.digest not in model.commits
    for source, sizes in per_source.items():
        assert bench.waiting._used[source] == (len(sizes), sum(sizes)), "room is lost that nobody waits in"
        assert len(sizes) <= LIMITS.waiting_commits
        assert sum(sizes) <= LIMITS.waiting_bytes
    assert len(bench.waiting) <= LIMITS.waiting_commits * max(1, len(per_source))


def on_commit(hospital: Hospital, raw: bytes) -> None:
    """Judge a commit at the moment in which a site first writes it."""
    if hospital.site is None or raw != hospital.bench._in_doubt:
        return  # it comes from others
    bench = hospital.bench
    digest, body = read_commit(raw)
    model, recipe = hospital.world.model(hospital), body["recipe"]
    own = sorted((b["number"], d) for d, b in model.commits.items() if b["feed"] == body["feed"] and d != digest)
    assert body["number"] == 1 + max((number for number, _ in own), default=0), "a feed has a gap, or a number twice"
    assert body.get("previous") == (own[-1][1] if own else None)
    mine = [d for d in model.commits if model.site(d) == hospital.key.public and d != digest]
    if body["number"] == 1:
        certificate = body["certificate"]
        assert certificate["number"] == 1 + max((model.certificate(d) for d in mine), default=0)
        assert (certificate.get("ends") is None) == (not mine)
        assert certificate.get("ends") in {None, *(head for heads in model.heads.values() for head in heads)}
    ruling = model.line.versions[-1] if model.line.versions else model.founding
    assert body["charter"] == ruling or recipe["name"] == "vote"
    seen = {one["commit"] for d in mine for one in model.commits[d]["seen"]}
    heads = {h for feed, heads in model.heads.items() if feed != body["feed"] for h in heads if h not in seen}
    enacts = recipe["name"] in {"vote", "recover"}
    states = (hospital.world.model(hospital, but=raw) if enacts else model).states
    heads -= {head for head in heads if states[head] == "void"}  # nobody passes it on
    assert len(heads) > SEEN_AT_ONCE or {one["commit"] for one in body["seen"]} == heads, "what was seen is not said"
    assert all(one["number"] == model.commits[one["commit"]]["number"] for one in body["seen"])
    if "tree" in body:
        assert holds(bench, body), "a commit is written before its model"
        assert flaw_of(bench.store.read, body, model) is None, "a bad model is committed"
    if recipe["name"] in ACTS and hospital.watched is not None:
        _judge_act(hospital, bench, digest, body, model)


def _judge_act(hospital: Hospital, bench: Bench, digest: str, body: Body, model: Model) -> None:
    assert hospital.watched is not None
    assert hospital.chosen is not None
    inputs = hospital.chosen.inputs
    assert body["action"] in hospital.watched.started, "work is done that was not durably begun"
    parents = [parent["commit"] for parent in body["parents"]]
    assert set(parents) <= inputs | {body["study"]}, "work stands on what is void or contested"
    for parent in parents:
        assert holds(bench, model.commits[parent]), "work stands on what is not here"
        assert flaw_of(bench.store.read, model.commits[parent], model) is None, "work stands on a bad model"
        assert parent not in bench.models.set_aside
    actions = [model.commits[d].get("action") for d in inputs if model.site(d) == hospital.key.public and d != digest]
    assert body["action"] not in actions, "an action succeeds twice"
    if body["recipe"]["name"] == "evaluate":
        assert bench.store.sidecar_read(Digest(digest), "scores"), "the scores of a commit come before it"
    check_decision(hospital.name, body, hospital.chosen, hospital.complete)


# ---------------------------------------------------------------------------------------------------- anew


def shuffled(commits: list[Commit], draw: random.Random) -> list[Commit]:
    """Return commits in another order, each after what it names."""
    placed: set[str] = set()
    left, found = draw.sample(commits, len(commits)), []
    while left:
        later = []
        for commit in left:
            named = {parent.commit for parent in commit.parents} | ({commit.previous, commit.study} - {None})
            if {str(name) for name in named} <= placed:
                placed.add(commit.digest)
                found.append(commit)
            else:
                later.append(commit)
        left = later
    return found


def check_anew(hospital: Hospital, model: Model, draw: random.Random) -> None:
    """Let the same commits arrive in another order: everything must be the same, and each decision."""
    bench = hospital.bench
    anew = Known(bench.founding, hospital.key.public)
    charters = list(bench.standing.charters.values())
    late = draw.sample(charters, len(charters) // 2)
    for charter in charters:
        if charter not in late:
            anew.standing.learn_charter(charter)
    for commit in shuffled([entry.commit for entry in bench.history], draw):
        if late and draw.random() < 0.3:
            anew.standing.learn_charter(late.pop())
        named = {commit.charter, commit.recipe.parameters.get("charter")}
        for charter in [charter for charter in late if charter.digest in named]:
            anew.standing.learn_charter(charter)
        anew.add(commit)
    for charter in late:
        anew.standing.learn_charter(charter)
    check_known(anew, model)
    assert anew.own_actions == bench.known.own_actions
    assert set(anew.accused) == set(bench.known.accused)
    assert bench.author is not None
    assert anew.unwitnessed(bench.author.feed.public) == bench.known.unwitnessed(bench.author.feed.public)
    for study, steps in bench.studies.items():
        check_same_decision(hospital.running.view(steps), anew.studies[study], hospital.name)


def check_same_decision(view: View, steps: StudyHistory, name: str) -> None:
    strategy = BUILT_IN.get((view.study.strategy.name, view.study.strategy.version))
    if strategy is None or name not in view.sites:
        return
    first = strategy(view, name)
    assert first == strategy(replace(view, memory={}), name), "what is remembered is not what would be found"
    assert first == strategy(replace(view, steps=steps, memory={}), name), "a decision depends on the order of arrival"


def name_of_all(model: Model) -> str:
    return name_of("".join(sorted(model.commits)).encode())
