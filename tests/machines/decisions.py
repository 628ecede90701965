"""What each strategy may have decided, worked out again with plain loops over the commits that were known."""

from __future__ import annotations

from tests.machines.model import Body, Model


def check_decision(me: str, body: Body, model: Model, complete: frozenset[str]) -> None:
    """Check a commit that a site is about to write against its study's strategy.

    Args:
        me: The site's name.
        body: The commit.
        model: All that the site knew when the work was chosen.
        complete: The commits whose models the site has, and that nothing speaks against.
    """
    study, kind, inputs = body["study"], body["recipe"]["name"], model.inputs
    strategy = model.commits[study]["recipe"]["parameters"]["strategy"]["name"]
    steps = model.studies[study]
    budget = model.commits[study]["recipe"]["parameters"]["budget"]["steps"]
    newest = {}
    for site, trainings in steps.trainings.items():
        usable = [digest for digest in trainings if digest in inputs & complete]
        newest.update({site: usable[-1]} if usable else {})
    if kind == "train":
        before = [digest for digest in steps.trainings[me] if digest in inputs]
        assert body["recipe"]["parameters"]["step"] <= budget, "more is trained than the budget allows"
        assert strategy not in {"local", "latest-of-each"} or len(before) < budget
        assert body["cases"] >= 1
        drawn = [
            (b["recipe"]["parameters"]["step"], b["recipe"]["seed"]) for b in map(model.commits.__getitem__, before)
        ]
        mine = (body["recipe"]["parameters"]["step"], body["recipe"]["seed"])
        assert all((mine[0] == step) == (mine[1] == seed) for step, seed in drawn), "public randomness is used twice"
        base = body["parents"][0]["commit"]
        if strategy == "local":
            assert base == newest.get(me, study)
        if strategy in {"cyclic", "incremental"}:
            assert base == max(newest.values(), key=model.order, default=study)
        if strategy == "fedavg":
            assert all(model.base(digest) != base for digest in before), "a site trains twice in one round"
    if kind == "merge":
        merged = [parent["commit"] for parent in body["parents"] if parent["role"] == "input"]
        weights = [model.commits[digest].get("cases", 1) for digest in merged]
        assert body["recipe"]["parameters"]["weights"] == weights, "a merge weighs otherwise than by cases"
        assert all(model.commits[digest]["recipe"]["name"] == "train" for digest in merged)
        if strategy == "latest-of-each":
            assert all(newest.get(model.author(digest)) == digest for digest in merged), "an older commit is merged"
            assert me not in newest or newest[me] in merged
            earlier = [d for d in steps.merges if model.author(d) == me and d in inputs]
            assert all(model.merged(one) != set(merged) for one in earlier), "the same is merged again"
        if strategy == "fedavg":
            _check_round(body, merged, model, complete)


def _check_round(body: Body, merged: list[str], model: Model, complete: frozenset[str]) -> None:
    """A round's merge takes one training of each site from its base, and what came late, once."""
    study = body["study"]
    base = next(parent["commit"] for parent in body["parents"] if parent["role"] == "base")
    chain, at = [], base
    while at != study:
        chain.append(at)
        at = model.base(at) or study
    taken = {digest for merge in chain for digest in model.merged(merge)}
    assert not taken & set(merged), "a contribution is counted twice"
    on_time = [digest for digest in merged if model.base(digest) == base]
    sites = [model.author(digest) for digest in on_time]
    assert len(set(sites)) == len(sites), "a site is counted twice"
    quorum = model.commits[study]["recipe"]["parameters"]["strategy"]["parameters"].get("quorum")
    members = {member["name"] for member in model.charters[model.line.versions[-1]]["members"]}
    needed = len(members & set(model.sites(study))) if quorum is None else min(quorum, len(model.sites(study)))
    assert len(sites) >= needed, "a round is merged below its quorum"
    assert set(sites) <= members
    for site in members & set(model.sites(study)):
        usable = [digest for digest in model.studies[study].trainings[site] if digest in model.inputs & complete]
        if usable and usable[-1] not in taken:
            assert usable[-1] in merged or model.base(usable[-1]) == base, "a late contribution is lost"
