"""Opening, listing, watching and stopping studies, and what owners say to them, by the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.site.homes import Homes

STUDY = """\
title = "Angina"
seed = 7

[strategy]
name = "latest-of-each"

[task]
learner = "logistic"
features = 13
learning_rate = "0.05"

[budget]
steps = 2
updates = 20
"""


@pytest.fixture
def homes(tmp_path: Path) -> Homes:
    homes = Homes(tmp_path)
    homes.init("alba", "bert")
    homes.found("alba")
    homes.join("bert", "alba")
    (tmp_path / "study.toml").write_text(STUDY, "utf-8")
    return homes


def opened(homes: Homes) -> str:
    homes.at("alba", "study", "open", str(homes.folder / "study.toml"))
    homes.sync("alba", "bert")
    (study,) = homes.at("alba", "study", "list", "--json").json["studies"]
    return str(study["digest"])


def answers(homes: Homes) -> dict[str, str]:
    return {name: homes.at(name, "study", "list", "--json").json["studies"][0]["answer"] for name in ("alba", "bert")}


def test_who_opens_a_study_takes_part_and_the_others_are_asked(homes: Homes) -> None:
    opened(homes)
    assert answers(homes) == {"alba": "accept", "bert": "ask"}
    (asked,) = homes.at("bert", "requests", "--json").json["studies"]
    assert asked["title"] == "Angina"
    homes.at("bert", "approve", "Angina")
    assert answers(homes) == {"alba": "accept", "bert": "accept"}
    homes.at("bert", "refuse", "Angina")
    assert answers(homes) == {"alba": "accept", "bert": "refuse"}


def test_a_policy_answers_for_the_owner(homes: Homes) -> None:
    policy = 'otherwise = "refuse"\n[[rule]]\nanswer = "accept"\ntasks = ["logistic"]\nopeners = ["alba"]\n'
    (homes["bert"] / "policy.toml").write_text(policy, "utf-8")
    opened(homes)
    assert answers(homes)["bert"] == "accept"
    (homes["bert"] / "policy.toml").write_text('otherwise = "refuse"\n', "utf-8")
    assert answers(homes)["bert"] == "refuse"


def test_code_that_never_ran_here_waits_for_the_owner_whatever_the_policy_accepts(homes: Homes) -> None:
    (homes["bert"] / "policy.toml").write_text('otherwise = "accept"\n', "utf-8")
    for decided in homes["bert"].glob("federations/*/decisions/code-*.json"):
        decided.unlink()  # as after an update
    opened(homes)
    assert answers(homes)["bert"] == "ask"
    (asked,) = homes.at("bert", "requests", "--json").json["studies"]
    assert "never ran here" in asked["why"]
    homes.at("bert", "approve", "Angina")
    assert answers(homes)["bert"] == "accept"


def test_who_opened_a_study_ends_it_and_another_needs_more_than_half_of_the_voters(homes: Homes) -> None:
    opened(homes)
    homes.at("bert", "study", "stop", "Angina", "--yes")
    homes.sync("bert", "alba")
    assert not homes.at("alba", "study", "list", "--json").json["studies"][0]["stopped"]
    homes.at("alba", "study", "stop", "Angina", "--yes")
    homes.sync("alba", "bert")
    assert homes.at("bert", "study", "list", "--json").json["studies"][0]["stopped"]
    assert "ended" in homes.at("bert", "study", "list").out


def test_a_study_of_a_name_that_another_has_is_refused(homes: Homes) -> None:
    opened(homes)
    assert homes.error("alba", "study", "open", str(homes.folder / "study.toml")) == "study-exists"


def test_a_study_that_the_charter_does_not_permit_is_refused_at_once(homes: Homes) -> None:
    (homes.folder / "bad.toml").write_text(STUDY.replace("latest-of-each", "nothing"), "utf-8")
    assert homes.error("alba", "study", "open", str(homes.folder / "bad.toml")) == "strategy-unknown"


def test_a_misspelt_parameter_of_a_strategy_is_told_to_who_opens_the_study(homes: Homes) -> None:
    text = STUDY.replace('name = "latest-of-each"', 'name = "swarm"\npatience = 60')
    (homes.folder / "bad.toml").write_text(text, "utf-8")
    assert homes.error("alba", "study", "open", str(homes.folder / "bad.toml")) == "strategy-parameter"


def test_curves_of_all_sites_are_drawn(homes: Homes) -> None:
    opened(homes)
    shown = homes.at("bert", "study", "watch", "Angina", "--once").out
    assert "0 of 2" in shown
    found = homes.at("bert", "study", "watch", "Angina", "--json").json
    assert [curve["site"] for curve in found["curves"]] == ["alba", "bert"]
