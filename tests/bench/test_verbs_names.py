"""What people call commits."""

from __future__ import annotations

import pytest

from imagiq.bench import Bench
from imagiq.bench.names import pick_study, resolve
from imagiq.bench.repository import open_repository
from imagiq.errors import Misuse, NotFound
from imagiq.objects import Digest, Recipe
from tests.bench.repositories import Repositories


@pytest.fixture
def bench(sites: Repositories) -> Bench:
    return open_repository(sites["a"])


def test_the_first_characters_of_a_digest_name_a_commit(bench: Bench, sites: Repositories) -> None:
    for length in (8, 12, 64):
        assert resolve(bench, sites.merge[:length]).digest == sites.merge
    assert resolve(bench, sites.merge[:12].upper()).digest == sites.merge


def test_a_site_a_study_and_both_name_the_newest_model(bench: Bench, sites: Repositories) -> None:
    assert resolve(bench, "a").digest == sites.merge
    assert resolve(bench, "b").digest == sites.trained[1]
    assert resolve(bench, "local").digest == sites.merge
    assert resolve(bench, "local@b").digest == sites.trained[1]
    assert resolve(bench, f"{sites.study[:8]}@b").digest == sites.trained[1]


def test_a_site_without_a_model_is_said_to_have_none(bench: Bench) -> None:
    with pytest.raises(NotFound, match="no model of 'c'"):
        resolve(bench, "c")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("f00f00f00f00", "No commit here begins with f00f00f00f00"),
        ("lokal", "Nothing here is called 'lokal'"),
        ("local@zebra", "No site here is called 'zebra'"),
        ("lokal@a", "No study here is called 'lokal'"),
        ("", "Nothing here is called ''"),
        ("@a", "Nothing here is called '@a'"),
        ("../../etc", "Nothing here is called"),
        ("0" * 65, "Nothing here is called"),
    ],
)
def test_what_is_unknown_is_said_to_be(bench: Bench, name: str, says: str) -> None:
    with pytest.raises(NotFound, match=says.replace("(", r"\(")) as caught:
        resolve(bench, name)
    assert caught.value.advice


def test_a_misspelt_name_is_answered_with_the_nearest(bench: Bench, sites: Repositories) -> None:
    with pytest.raises(NotFound) as caught:
        resolve(bench, "Locl")
    assert "Do you mean local?" in caught.value.advice
    wrong = sites.merge[:9] + ("0" if sites.merge[9] != "0" else "1")
    with pytest.raises(NotFound) as caught:
        resolve(bench, wrong)
    assert sites.merge[:10] in caught.value.advice


def test_too_few_characters_are_no_name(bench: Bench) -> None:
    with pytest.raises(Misuse) as caught:
        resolve(bench, "abc")
    assert caught.value.code == "prefix-short"


def test_an_ambiguous_beginning_lists_what_it_may_mean(sites: Repositories) -> None:
    bench = sites.writable("a")
    seen: dict[str, Digest] = {entry.digest[:4]: entry.digest for entry in bench.history}
    both: list[Digest] = []
    for number in range(5000):
        digest = bench.commit(Recipe("note", 1, {"number": number})).digest if not both else both[0]
        if digest[:4] in seen and seen[digest[:4]] != digest:
            both = [seen[digest[:4]], digest]
            break
        seen[digest[:4]] = digest
    bench.store.close()
    with pytest.raises(Misuse) as caught:
        resolve(bench, both[0][:4])
    assert caught.value.code == "name-ambiguous"
    assert all(digest[:12] in caught.value.what for digest in both)


def test_two_studies_of_one_title_are_told_apart_by_their_digests() -> None:
    titles = {Digest("ab" * 32): "heart", Digest("cd" * 32): "heart", Digest("ef" * 32): "lung"}
    with pytest.raises(Misuse) as caught:
        pick_study(titles, "heart")
    assert "abababababab heart" in caught.value.what
    assert pick_study(titles, "cdcd") == "cd" * 32
    assert pick_study(titles, "lung") == "ef" * 32
