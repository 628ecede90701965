"""A key used by two machines, and a store restored from an old backup, through the command line."""

from __future__ import annotations

from pathlib import Path
from shutil import copytree, rmtree

import pytest

from tests.site.homes import Homes


@pytest.fixture
def homes(tmp_path: Path) -> Homes:
    found = Homes(tmp_path)
    found.init("alba", "bert")
    found.found("alba")
    found.join("bert", "alba")
    return found


def vote_of(homes: Homes) -> str:
    """Return some commit that all know."""
    commits = homes.at("alba", "log", "--json").json["commits"]
    return str(next(one["digest"] for one in commits if one["recipe"] == "vote"))


def tag(homes: Homes, site: str, name: str, code: int = 0) -> None:
    homes.at(site, "tag", vote_of(homes), name, code=code)


def names(homes: Homes, site: str) -> set[str]:
    return {one["name"] for one in homes.at(site, "tag", "--json").json["tags"]}


def forks(homes: Homes, site: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = homes.call("-C", str(homes[site]), "verify", "--json").json["forks"]
    return found


def test_a_clone_shows_its_owner_is_told_and_goes_on_in_a_new_feed(homes: Homes) -> None:
    copytree(homes["bert"], homes["clone"])
    tag(homes, "bert", "of-bert")
    tag(homes, "clone", "of-clone")
    homes.sync("bert", "clone", "alba", "bert")
    (fork,) = forks(homes, "alba")
    assert fork["site"] == "bert"
    found = homes.at("bert", "doctor", "--json", code=1).json["findings"]
    assert any("used twice" in one["what"] for one in found if not one["ok"])
    tag(homes, "bert", "of-bert-again")
    homes.sync("bert", "alba")
    assert "of-bert-again" in names(homes, "alba"), "what it does in its new feed counts"
    assert len(forks(homes, "alba")) == 1, "and nothing more is contested"


def test_a_store_from_last_weeks_backup_forks_nothing(homes: Homes) -> None:
    (seat,) = homes["bert"].glob("federations/*")
    copytree(seat, homes.folder / "backup")
    tag(homes, "bert", "later")
    homes.sync("bert", "alba")
    rmtree(seat)
    copytree(homes.folder / "backup", seat)
    homes.share.rename(homes.folder / "unmounted")
    assert "error[site-read-only]" in homes.at("bert", "tag", vote_of(homes), "while-alone", code=1).out
    (homes.folder / "unmounted").rename(homes.share)
    homes.sync("bert")
    tag(homes, "bert", "again")
    homes.sync("bert", "alba")
    assert {"later", "while-alone", "again"} <= names(homes, "alba")
    assert forks(homes, "alba") == []


def test_a_home_from_last_weeks_backup_forks_nothing_once_somebody_answers(homes: Homes) -> None:
    copytree(homes["bert"], homes.folder / "backup")
    tag(homes, "bert", "later")
    homes.sync("bert", "alba")
    rmtree(homes["bert"])
    copytree(homes.folder / "backup", homes["bert"])
    homes.sync("bert")
    tag(homes, "bert", "again")
    homes.sync("bert", "alba")
    assert {"later", "again"} <= names(homes, "alba")
    assert forks(homes, "alba") == []
