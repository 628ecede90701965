"""Verify finds what is forged, forked and FALSE, and calls nobody a liar who is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from imagiq.bench import Admitted, Bench
from imagiq.bench.repository import open_repository
from imagiq.bench.verify import MergeCheck, verify
from imagiq.errors import Corrupt
from imagiq.federation import vote_recipe
from imagiq.keys import FeedKey, certify, sign_commit
from imagiq.objects import Charter, Digest, Draft, Parent, Recipe, digest_of
from tests.bench.repositories import Repositories, author, close, town_on_disk
from tests.bench.town import Town, site_key


def check_of(bench: Bench, merge: Digest) -> MergeCheck:
    return next(check for check in verify(bench).merges if check.digest == merge)


def test_an_honest_history_holds(sites: Repositories) -> None:
    bench = open_repository(sites["a"])
    found = verify(bench)
    assert found.problems == 0
    assert (found.commits, found.feeds, found.sites) == (len(bench.history), 3, 3)
    assert found.states == {"sound": len(bench.history), "void": 0, "contested": 0, "tainted": 0}
    assert check_of(bench, sites.merge).finding == "verified"
    assert check_of(bench, sites.merge).attested_by == ("b",)


def test_a_merge_whose_parents_are_not_held_is_attested_by_others_or_not_at_all(sites: Repositories) -> None:
    bench = open_repository(sites["c"])
    assert check_of(bench, sites.merge).finding == "attested"
    lonely = [entry.commit.raw for entry in bench.history if entry.digest != sites.attest]
    fresh = town_on_disk(sites.root / "more")
    fresh.benches["a"].admit(lonely, "everybody")
    assert check_of(fresh.benches["a"], sites.merge).finding == "not held"
    close(fresh)


def test_one_commit_is_verified_with_all_that_it_was_made_from(sites: Repositories) -> None:
    bench = open_repository(sites["a"])
    found = verify(bench, bench.history[sites.merge])
    assert found.commits == 4, "the merge, two trainings, the study"
    assert len(found.merges) == 1


@pytest.fixture
def town(tmp_path: Path) -> Town:
    return town_on_disk(tmp_path)


def false_merge(town: Town) -> Digest:
    study = town.study("a")
    one, other = (town.train("a", study.digest, value, study.digest) for value in (1.0, 5.0))
    merge = town.merge("a", {one.digest: 1, other.digest: 1}, study.digest, tree=town.model("a", 9.0))
    town.give("a", "b", study, one, other)
    town.benches["b"].admit([merge.commit.raw], "a")
    return merge.digest


def test_a_false_merge_is_called_false_by_whoever_holds_its_parents(town: Town) -> None:
    merge = false_merge(town)
    found = verify(town.benches["a"])
    assert [check.finding for check in found.merges] == ["FALSE"]
    assert found.problems == 1
    town.benches["c"].admit([entry.commit.raw for entry in town.benches["a"].history], "a")
    assert check_of(town.benches["c"], merge).finding == "not held"
    close(town)


def test_a_claim_that_a_merge_is_false_is_a_claim(town: Town) -> None:
    study = town.study("a")
    one, other = (town.train("a", study.digest, value, study.digest) for value in (1.0, 5.0))
    merge = town.merge("a", {one.digest: 1, other.digest: 1}, study.digest)
    town.give("a", "b", study, one, other, merge)
    liar = town.benches["b"]
    claim = liar.commit(Recipe("attest", 1, {"verdict": "FALSE"}), parents=[Parent("input", merge.digest)])
    liar.commit(Recipe("attest", 1, {"verdict": "verified"}), parents=[Parent("input", merge.digest)])
    assert isinstance(town.benches["a"].admit([claim.commit.raw], "b")[0], Admitted)
    check = check_of(town.benches["a"], merge.digest)
    assert (check.finding, check.called_false_by) == ("verified", ("b",))
    assert verify(town.benches["a"]).problems == 0
    assert check_of(liar, merge.digest).called_false_by == ("b",), "its FALSE outweighs its verified"
    assert check_of(liar, merge.digest).attested_by == ()
    close(town)


def test_an_author_does_not_attest_its_own_merge(town: Town) -> None:
    study = town.study("a")
    one = town.train("a", study.digest, 1.0, study.digest)
    merge = town.merge("a", {one.digest: 1}, study.digest)
    town.benches["a"].commit(Recipe("attest", 1, {"verdict": "verified"}), parents=[Parent("input", merge.digest)])
    town.benches["c"].admit([entry.commit.raw for entry in town.benches["a"].history], "a")
    assert check_of(town.benches["c"], merge.digest).finding == "not held"
    close(town)


@pytest.mark.parametrize("whose", ["input", "result"])
def test_a_damaged_disk_makes_no_liar(sites: Repositories, whose: str) -> None:
    tree, blobs = sites.tree_of("a", sites.trained[0] if whose == "input" else sites.merge)
    damaged = blobs[0] if whose == "input" else tree
    bench = open_repository(sites["a"])
    file = sites.object("a", damaged)
    file.write_bytes(bytes(len(file.read_bytes())))
    check = check_of(bench, sites.merge)
    assert check.finding == "damaged"
    assert "object-damaged" in check.why
    assert verify(bench).problems == 0


def test_a_merge_whose_result_is_no_model_is_false(town: Town) -> None:
    study = town.study("a")
    one = town.train("a", study.digest, 1.0, study.digest)
    bench = town.benches["a"]
    (name,) = bench.store.add([bytes(64)])
    draft = Draft(
        federation=bench.founding.digest,
        charter=bench.founding.digest,
        feed=author("a").feed.public,
        number=one.commit.number + 1,
        previous=one.digest,
        recipe=Recipe("merge", 1, {"rule": "mean", "weights": [1]}),
        created="",
        study=study.digest,
        parents=(Parent("input", one.digest),),
        tree=name,
    )
    bench.admit([sign_commit(draft, author("a").feed).raw], "a")
    (check,) = verify(bench).merges
    assert check.finding == "not held", "the tree's schema is nowhere"
    (odd,) = bench.store.add([b"no list of digests"])
    draft = Draft(**{**{f: getattr(draft, f) for f in Draft.__slots__}, "tree": odd})
    fresh = town.benches["b"]
    fresh.admit([*(e.commit.raw for e in bench.history if e.commit.number <= one.commit.number)], "a")
    fresh.store.add([b"no list of digests", *(bench.store.read(d) for d in bench.store.objects())])
    fresh.admit([sign_commit(draft, author("a").feed).raw], "a")
    (check,) = verify(fresh).merges
    assert (check.finding, check.why.split(":")[0]) == ("FALSE", "tree-form")
    close(town)


def test_merges_of_unknown_kind_are_said_to_be(town: Town) -> None:
    study = town.study("a")
    one = town.train("a", study.digest, 1.0, study.digest)
    for recipe in (Recipe("merge", 2, {"rule": "mean"}), Recipe("merge", 1, {"rule": "median"}), Recipe("merge", 1)):
        town.benches["a"].commit(recipe, parents=[Parent("input", one.digest)], tree=town.model("a", 1.0))
    found = verify(town.benches["a"])
    assert [check.finding for check in found.merges] == ["not known"] * 3
    close(town)


@pytest.mark.parametrize(
    "weights", [[1], [1, 1, 1], [0, 1], [-1, 2], ["1", "1"], [True, True], "11", None, {}, [2**31, 1]]
)
def test_a_merge_with_impossible_weights_is_false(town: Town, weights: object) -> None:
    study = town.study("a")
    one, other = (town.train("a", study.digest, value, study.digest) for value in (1.0, 5.0))
    parameters = {"rule": "mean", "weights": weights}
    parents = [Parent("input", one.digest), Parent("input", other.digest)]
    town.benches["a"].commit(Recipe("merge", 1, parameters), parents=parents, tree=town.model("a", 3.0))  # type: ignore[arg-type]
    assert [check.finding for check in verify(town.benches["a"]).merges] == ["FALSE"]
    close(town)


def test_a_fork_is_shown_with_its_evidence(town: Town) -> None:
    study = town.study("a")
    drafts = [
        Draft(
            federation=study.commit.federation,
            charter=study.commit.charter,
            feed=study.commit.feed,
            number=study.commit.number + 1,
            previous=study.digest,
            recipe=Recipe("note", 1, {"say": word}),
            created="",
        )
        for word in ("this", "that")
    ]
    raws = [sign_commit(draft, author("a").feed).raw for draft in drafts]
    bench = town.benches["b"]
    bench.admit([study.commit.raw, *raws], "a")
    (fork,) = verify(bench).forks
    assert (fork.site, fork.feed, fork.number) == ("a", study.commit.feed, study.commit.number + 1)
    assert len(fork.evidence) == 2
    assert verify(bench).problems == 1
    assert verify(bench).states["contested"] == 2
    close(town)


def test_two_feeds_under_one_certificate_number_are_a_fork(town: Town) -> None:
    bench = town.benches["b"]
    second = FeedKey(b"z" * 32)
    draft = Draft(
        federation=bench.founding.digest,
        charter=bench.founding.digest,
        feed=second.public,
        number=1,
        recipe=Recipe("note", 1),
        created="",
        certificate=certify(site_key("a"), federation=bench.founding.digest, feed=second.public, number=1, ends=None),
    )
    assert isinstance(bench.admit([sign_commit(draft, second).raw], "a")[0], Admitted)
    (fork,) = verify(bench).forks
    assert (fork.site, fork.feed, fork.number, len(fork.evidence)) == ("a", "", 1, 2)
    close(town)


def test_a_double_vote_is_a_problem(town: Town) -> None:
    bench = town.benches["a"]
    founding = town.founding
    proposals = [
        Charter(
            title=title,
            version=2,
            previous=founding.digest,
            federation=founding.digest,
            members=founding.members,
            voters=founding.voters,
            rules=founding.rules,
        )
        for title in ("this", "that")
    ]
    for proposal in proposals:
        bench.store.add([proposal.raw])
        bench.learn_charter(proposal)
        bench.commit(vote_recipe(proposal.digest, 1))
    found = verify(bench)
    assert [vote.voter for vote in found.double_votes] == ["a"]
    assert found.problems == 1
    close(town)


def test_a_forged_commit_keeps_a_repository_from_being_opened(sites: Repositories) -> None:
    raw = bytearray(sites.commit("a", sites.merge).read_bytes())
    raw[0] ^= 1  # another signature, whose digest becomes the file's name
    digest = digest_of(raw)
    file = sites.commit("a", digest)
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(raw)
    with pytest.raises(Corrupt) as caught:
        open_repository(sites["a"])
    assert caught.value.code == "repository-damaged"


def test_what_is_damaged_while_it_is_open_is_found(sites: Repositories) -> None:
    bench = open_repository(sites["a"])
    sites.commit("a", sites.merge).write_bytes(b"x" * 100)
    sites.commit("a", sites.attest).unlink()
    found = verify(bench)
    assert set(found.forged) == {sites.merge, sites.attest}
    assert found.problems == 2


def test_progress_is_told_from_nothing_to_all(sites: Repositories) -> None:
    told: list[tuple[str, int, int]] = []
    bench = open_repository(sites["a"])
    verify(bench, progress=lambda *how_far: told.append(how_far))
    assert told[0] == ("signatures", 0, len(bench.history))
    assert ("signatures", len(bench.history), len(bench.history)) in told
    assert told[-1] == ("merges", 1, 1)
