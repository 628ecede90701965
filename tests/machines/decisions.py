"""What each strategy may have decided, worked out again with plain loops over the commits that were known."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from tests.machines.model import Body, Model

Rounds = Mapping[str, tuple[int, frozenset[str]]]
"""Each round that is valid if its sites are enough, by name: its number, and who gave what was trained from its base."""


def check_decision(me: str, body: Body, model: Model, complete: frozenset[str]) -> None:
    """Check a commit that a site is about to write against its study's strategy.

    Args:
        me: The site's name.
        body: The commit.
        model: All that the site knew when the work was chosen.
        complete: The commits whose models the site has, and that nothing speaks against.
    """
    study, kind, inputs = body["study"], body["recipe"]["name"], model.inputs
    terms = model.commits[study]["recipe"]["parameters"]
    strategy, budget = terms["strategy"]["name"], terms["budget"]["steps"]
    steps = model.studies[study]
    newest = {}
    for site, trainings in steps.trainings.items():
        usable = [digest for digest in trainings if digest in inputs & complete]
        newest.update({site: usable[-1]} if usable else {})
    if kind == "train":
        before = [digest for digest in steps.trainings[me] if digest in inputs]
        assert body["recipe"]["parameters"]["step"] <= budget, "more is trained than the budget allows"
        assert strategy not in {"local", "latest-of-each", "gossip"} or len(before) < budget
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
        if strategy in {"fedavg", "swarm", "one-shot"}:
            _check_turn(me, base, study, model, complete)
    if kind == "merge":
        merged = [parent["commit"] for parent in body["parents"] if parent["role"] == "input"]
        weights = [model.commits[digest].get("cases", 1) for digest in merged]
        assert body["recipe"]["parameters"]["weights"] == weights, "a merge weighs otherwise than by cases"
        assert all(model.commits[digest]["recipe"]["name"] == "train" for digest in merged)
        if strategy in {"latest-of-each", "gossip"}:
            assert all(newest.get(model.author(digest)) == digest for digest in merged), "an older commit is merged"
            assert me not in newest or newest[me] in merged
            earlier = [d for d in steps.merges if model.author(d) == me and d in inputs]
            assert all(model.merged(one) != set(merged) for one in earlier), "the same is merged again"
        if strategy == "gossip":
            _check_gossip(me, study, set(merged), newest, model)
        if strategy in {"fedavg", "swarm", "one-shot"}:
            _check_round(body, merged, model, complete)


def members_of(study: str, model: Model) -> set[str]:
    charter = model.charters[model.line.versions[-1]]
    return {member["name"] for member in charter["members"]} & set(model.sites(study))


def _check_gossip(me: str, study: str, merged: set[str], newest: dict[str, str], model: Model) -> None:
    """While it trains, a site merges the first drawn neighbour that has news for it; in the end, everybody."""
    terms, steps, members = model.commits[study]["recipe"]["parameters"], model.studies[study], members_of(study, model)
    made = len(steps.trainings[me])
    there = {site: digest for site, digest in newest.items() if site in members}
    if made >= terms["budget"]["steps"]:
        assert merged == set(there.values()), "the last merge leaves somebody out"
        return
    had = {digest for one in steps.merges if model.author(one) == me for digest in model.merged(one)}
    news = [site for site in there if site != me and there[site] not in had]
    seed = model.commits[study]["recipe"]["seed"]
    first = min(news, key=lambda site: hashlib.sha256(f"{seed}\n{me}\n{made}\n{site}".encode()).hexdigest())
    assert merged == {there[first]} | ({there[me]} if me in there else set()), "another neighbour is drawn"


# ----------------------------------------------------------------------------------------------------- rounds


def turn_of(digest: str, model: Model, study: str) -> tuple[str, str]:
    """Return a training's author, and the model from which it began before it trained on by itself."""
    author, base = model.author(digest), str(model.base(digest))
    while base in model.studies[study].progress and base != study:
        if model.commits[base]["recipe"]["name"] != "train" or model.author(base) != author:
            break
        base = str(model.base(base))
    return author, base


def chain_of(head: str, model: Model, study: str) -> list[str]:
    """Return a round and those below it, without the study's start."""
    chain, at = [], head
    while at != study:
        chain.append(at)
        at = model.base(at) or study
    return chain


def taken_by(chain: list[str], model: Model, study: str) -> set[tuple[str, str]]:
    return {turn_of(digest, model, study) for merge in chain for digest in model.merged(merge)}


def rounds_of(study: str, model: Model) -> Rounds:
    """Return all valid rounds."""
    steps = model.studies[study].progress
    found: dict[str, tuple[int, frozenset[str]]] = {study: (0, frozenset())}
    merges = [d for d in steps if d != study and model.commits[d]["recipe"]["name"] == "merge"]
    for merge in sorted(merges, key=model.order):
        base, inputs = model.base(merge), sorted(model.merged(merge))
        if base not in found or any(model.commits[one]["recipe"]["name"] != "train" for one in inputs):
            continue
        turns = [turn_of(one, model, study) for one in inputs]
        late = {turn for turn in turns if turn[1] != base}
        weights = model.commits[merge]["recipe"]["parameters"].get("weights")
        right = weights == [model.commits[one].get("cases", 1) for one in inputs] and len(set(turns)) == len(turns)
        once = not late & taken_by(chain_of(base, model, study), model, study)
        if right and once and all(turn[1] in found for turn in late):
            found[merge] = (found[base][0] + 1, frozenset(author for author, began in turns if began == base))
    return found


def told_of_trouble(site: str, study: str, model: Model) -> int | None:
    """Return after how many of its trainings a site last told that its work in a study fails."""
    told = [
        model.order(digest)
        for digest, body in model.commits.items()
        if (body["recipe"]["name"], body["recipe"]["version"]) == ("trouble", 1) and body.get("study") == study
        if model.author(digest) == site and model.states[digest] != "void"
    ]
    return sum(model.order(one) < max(told) for one in model.studies[study].trainings[site]) if told else None


def others_of(base: str, study: str, model: Model) -> set[str] | None:
    """Return who is enough for a round from a base because others were in trouble; None: nobody was."""
    progress, sites = model.studies[study].progress[base], model.sites(study)
    budget = model.commits[study]["recipe"]["parameters"]["budget"]["steps"]
    able = {site for site in members_of(study, model) if progress[sites.index(site)] < budget}
    told = {site: told_of_trouble(site, study, model) for site in able}
    troubled = {site for site, made in told.items() if made is not None and made >= progress[sites.index(site)]}
    return able - troubled if troubled else None


def is_enough(given: frozenset[str], least: int, base: str, study: str, model: Model) -> bool:
    others = others_of(base, study, model)
    return len(given) >= least or (bool(given) and others is not None and others <= given)


def needed_for(study: str, model: Model) -> tuple[int, int]:
    """Return of how many sites a merge must be to be valid, and to be made."""
    terms = model.commits[study]["recipe"]["parameters"]["strategy"]
    quorum, sites, there = terms["parameters"].get("quorum"), len(model.sites(study)), len(members_of(study, model))
    majority = min(sites // 2 + 1, there)
    if terms["name"] == "swarm":
        return majority, min(max(quorum or 0, sites // 2 + 1), there)
    if terms["name"] == "one-shot":
        made = min(quorum or (there if "deadline_s" not in terms["parameters"] else majority), there)
        return min(majority, made), made
    return (majority, there) if quorum is None else (min(quorum, sites), min(quorum, sites))


def chosen_of(study: str, model: Model, complete: frozenset[str]) -> str:
    rounds, least = rounds_of(study, model), needed_for(study, model)[0]
    merges = {digest for digest in model.studies[study].merges if digest in model.inputs & complete}
    usable = [
        digest
        for digest in merges & rounds.keys()
        if all(
            is_enough(rounds[one][1], least, str(model.base(one)), study, model)
            for one in chain_of(digest, model, study)
        )
    ]
    return min(usable, key=lambda d: (-rounds[d][0], -len(rounds[d][1]), d), default=study)


def _check_turn(me: str, base: str, study: str, model: Model, complete: frozenset[str]) -> None:
    """A site trains from the chosen round, or on from what it made of it; and never twice from one model."""
    strategy = model.commits[study]["recipe"]["parameters"]["strategy"]["name"]
    before = [digest for digest in model.studies[study].trainings[me] if digest in model.inputs]
    assert all(model.base(digest) != base for digest in before), "a site trains twice from one model"
    chosen = study if strategy == "one-shot" else chosen_of(study, model, complete)
    own = [digest for digest in before if turn_of(digest, model, study) == (me, chosen) and digest in complete]
    if strategy == "fedavg" or not own or (strategy == "swarm" and base == chosen):
        assert base == chosen, "a site does not train from the newest round"
    else:
        place = model.sites(study).index(me)
        progress: Any = model.studies[study].progress
        assert base in own
        assert progress[base][place] == max(progress[digest][place] for digest in own), "its newest is passed over"


def _check_round(body: Body, merged: list[str], model: Model, complete: frozenset[str]) -> None:
    """A round's merge takes one training of each site's turn from its base, and what came late, once."""
    study, members = body["study"], members_of(body["study"], model)
    strategy = model.commits[study]["recipe"]["parameters"]["strategy"]["name"]
    progress, rounds = model.studies[study].progress, rounds_of(study, model)
    base = next(parent["commit"] for parent in body["parents"] if parent["role"] == "base")
    assert base == chosen_of(study, model, complete), "another round is merged than the newest"
    taken = taken_by(chain_of(base, model, study), model, study)
    turns = [turn_of(digest, model, study) for digest in merged]
    assert len(set(turns)) == len(turns), "a site is counted twice"
    assert not taken & set(turns), "a contribution is counted twice"
    sites = [author for author, began in turns if began == base]
    assert {author for author, _ in turns} <= members
    needed = needed_for(study, model)[1]
    assert is_enough(frozenset(sites), needed, base, study, model), "a round is merged below its quorum"
    for site in members:
        usable = [d for d in model.studies[study].trainings[site] if d in model.inputs & complete]
        for digest in usable:
            turn, made = turn_of(digest, model, study), progress[digest][model.sites(study).index(site)]
            beside = [one for one in merged if turn_of(one, model, study) == turn]
            if turn in taken or turn[1] not in rounds:
                continue
            assert beside or turn[1] == base, "a late contribution is lost"
            place = model.sites(study).index(site)
            assert all(progress[one][place] >= made for one in beside), "what a site made last is passed over"
    if strategy == "one-shot":
        budget = model.commits[study]["recipe"]["parameters"]["budget"]["steps"]
        assert all(progress[one][model.sites(study).index(model.author(one))] == budget for one in merged)
