"""Retention by the real command line: what is forgotten, who says so, how it comes back, and that nothing else changes."""

from __future__ import annotations

from pathlib import Path
from shutil import rmtree

import pytest

from imagiq.bench.repository import open_repository
from imagiq.objects import Digest
from tests.site.homes import Homes
from tests.site.processes import STUDY

STEPS = 3


def a_pair(folder: Path, rules: str) -> Homes:
    """Let two hospitals found a federation, and open a study."""
    folder.mkdir()
    homes = Homes(folder)
    homes.init("alba", "bert")
    homes.found("alba", f'title = "Heart"\n[[member]]\ncard = "{homes.card("bert")}"\n{rules}')
    homes.at("bert", "join", homes.invite("alba"), "--yes")
    homes.sync("alba", "bert", rounds=2)
    for name in ("alba", "bert"):
        (homes[name] / "policy.toml").write_text('otherwise = "accept"\n', "utf-8")
    study = folder / "study.toml"
    study.write_text(STUDY.format(title="Angina", strategy="latest-of-each", steps=STEPS, updates=20), "utf-8")
    homes.at("alba", "study", "open", str(study))
    homes.sync("alba", "bert")
    return homes


def work(homes: Homes, *names: str) -> None:
    """Let sites work in turns until nothing is left to do."""
    left = list(names)
    while left:
        left = [name for name in left if homes.call("-C", str(homes[name]), "work", "--once").code != 5]


def trees(homes: Homes, name: str) -> list[tuple[str, str | None]]:
    (seat,) = (homes[name] / "federations").iterdir()
    bench = open_repository(seat)
    found = [(e.commit.recipe.name, e.commit.tree) for e in bench.history if e.commit.tree is not None]
    return sorted(found, key=str)


def oldest(homes: Homes, name: str, recipe: str, site: str) -> Digest:
    (seat,) = (homes[name] / "federations").iterdir()
    bench = open_repository(seat)
    made = [e for e in bench.history if e.commit.recipe.name == recipe and bench.standing.name_of(e) == site]
    return min(made, key=lambda entry: entry.order).digest


def sealed_objects(homes: Homes) -> int:
    return sum(file.parent.name == "blobs" for file in homes.files())


@pytest.mark.slow
def test_a_study_goes_on_as_if_nothing_had_been_forgotten(tmp_path: Path) -> None:
    plain = a_pair(tmp_path / "plain", "")
    work(plain, "alba", "bert")
    homes = a_pair(tmp_path / "kept", "[rules]\nretention = { models = 1 }\n")
    work(homes, "alba", "bert")
    assert trees(homes, "alba") == trees(plain, "alba")
    assert homes.at("alba", "gc", "--dry-run", "--json").json["federations"][0]["nbytes"] == 0, "work forgets by itself"
    assert "keeps the newest 1" in homes.at("alba", "gc").out
    assert "everything is kept" in plain.at("alba", "gc").out
    plain.at("alba", "amend", "retention={ models = 1 }", "--yes")
    plain.sync("alba", "bert")
    plain.at("bert", "approve", "retention")
    plain.sync("bert", "alba")
    assert plain.at("alba", "gc", "--yes", "--json").json["federations"][0]["models"] >= STEPS
    assert plain.at("alba", "fsck", "--json").json["ok"]

    for name in ("alba", "bert"):
        assert homes.at(name, "verify", "--json").json["problems"] == 0
        health = homes.at(name, "fsck", "--json").json
        assert health["ok"]
        assert health["forgotten"] >= STEPS
    assert "forgotten as the charter's retention says" in homes.at("alba", "fsck").out

    old = oldest(homes, "alba", "train", "bert")
    assert homes.at("alba", "show", old[:12], "--json").json["commit"]["model"] == "forgotten"
    assert homes.error("alba", "checkout", old[:12], "-o", str(tmp_path / "out")) == "model-forgotten"
    assert "was forgotten here" in homes.at("alba", "diff", old[:12], "alba").out

    homes.at("alba", "tag", old[:12], "first-of-bert")
    homes.sync("alba")
    assert homes.at("alba", "show", old[:12], "--json").json["commit"]["model"] == "complete"
    homes.at("alba", "checkout", old[:12], "-o", str(tmp_path / "out"))
    homes.at("alba", "gc", "--yes")
    assert homes.at("alba", "show", old[:12], "--json").json["commit"]["model"] == "complete", "what has a name is kept"

    before = sealed_objects(homes)
    rmtree(homes.share)
    homes.share.mkdir()
    homes.sync("alba", "bert")
    assert 0 < sealed_objects(homes) < before, "an emptied share gets what is kept"
    homes.init("caro")
    homes.join("caro", "alba", "alba", "bert")
    assert trees(homes, "caro") == trees(homes, "alba")
    assert homes.at("caro", "show", old[:12], "--json").json["commit"]["model"] == "not held", "nobody needs it"
    assert homes.at("caro", "fsck", "--json").json["ok"]

    (seat,) = (homes["alba"] / "federations").iterdir()
    bench = open_repository(seat)
    newest = max((e for e in bench.history if e.commit.recipe.name == "merge"), key=lambda entry: entry.order)
    blob = bench.models.tree(newest.commit.tree or newest.digest).blobs[0]
    (seat / ".imagiq" / "objects" / blob[:2] / blob[2:]).unlink()
    assert newest.digest in homes.at("alba", "fsck", "--json", code=1).json["incomplete"], "this one is missed"


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        ("retention = 5", "file-value"),
        ("retention = {}", "file-missing-key"),
        ("retention = { models = 0 }", "file-value"),
        ("retention = { models = 5, days = 3 }", "file-key"),
        ('retention = { models = "5" }', "file-value"),
    ],
)
def test_a_rule_that_says_nothing_sensible_is_refused_with_words(tmp_path: Path, rule: str, code: str) -> None:
    homes = Homes(tmp_path)
    homes.init("alba")
    (tmp_path / "charter.toml").write_text(f'title = "Heart"\n[rules]\n{rule}\n', "utf-8")
    assert homes.error("alba", "found", str(tmp_path / "charter.toml")) == code
