"""Founding, inviting, joining, removing, leaving, new keys: through the command line, with a shared folder between."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.site.homes import Homes


@pytest.fixture
def homes(tmp_path: Path) -> Homes:
    return Homes(tmp_path)


def test_a_site_joins_when_the_voters_have_approved_and_catches_up_by_itself(homes: Homes) -> None:
    homes.init("alba", "bert")
    homes.found("alba")
    homes.at("bert", "join", homes.invite("alba"), "--yes")
    homes.sync("alba")
    (request,) = homes.at("alba", "requests", "--json").json["requests"]
    assert (request["name"], request["kind"], request["needed"]) == ("bert", "join", 1)
    assert homes.members("alba") == ["alba"]
    homes.at("alba", "approve", "bert")
    homes.sync("alba", "bert")
    assert homes.members("bert") == ["alba", "bert"]
    assert homes.version("bert") == 2
    assert "nothing waits" in homes.at("alba", "requests").out


def test_founders_are_all_in_when_each_has_voted(homes: Homes) -> None:
    homes.init("alba", "bert", "caro")
    members = "".join(f'[[member]]\ncard = "{homes.card(name)}"\n' for name in ("bert", "caro"))
    homes.found("alba", f'title = "Three"\n{members}')
    assert homes.at("alba", "members", "--json").json["waiting_for"] == ["bert", "caro"]
    text = homes.invite("alba")
    for name in ("bert", "caro"):
        assert "one of the founders" in homes.at(name, "join", text, "--yes").out
        homes.sync(name, "alba")
    homes.sync("bert")
    for name in ("alba", "bert", "caro"):
        found = homes.at(name, "members", "--json").json
        assert (found["in_force"], found["waiting_for"]) == (True, []), name


def test_a_removed_member_is_out_by_more_than_half_of_the_votes(homes: Homes) -> None:
    homes.init("alba", "bert", "caro")
    homes.found("alba")
    homes.join("bert", "alba")
    homes.join("caro", "alba", "alba", "bert")
    assert homes.members("caro") == ["alba", "bert", "caro"]
    homes.at("alba", "remove", "caro", "--yes")
    homes.sync("alba", "bert")
    (item,) = homes.at("bert", "requests", "--json").json["requests"]
    assert (item["name"], item["kind"], item["approved_by"], item["needed"]) == ("caro", "remove", ["alba"], 2)
    homes.at("bert", "approve", "caro")
    homes.sync("bert", "alba", "caro")
    assert homes.members("alba") == homes.members("bert") == ["alba", "bert"]


def test_who_leaves_is_let_go_without_anybody_being_asked(homes: Homes) -> None:
    homes.init("alba", "bert", "caro")
    homes.found("alba")
    homes.join("bert", "alba")
    homes.join("caro", "alba", "alba", "bert")
    homes.at("caro", "leave", "--yes")
    homes.sync("caro", "alba", "bert", "alba", "caro")
    assert homes.members("alba") == homes.members("bert") == ["alba", "bert"]


def test_a_new_key_takes_the_old_ones_place(homes: Homes) -> None:
    homes.init("alba", "bert")
    homes.found("alba")
    homes.join("bert", "alba")
    before = {m["name"]: m["site_key"] for m in homes.at("alba", "members", "--json").json["members"]}
    homes.at("bert", "rotate-key", "--yes")
    assert homes.error("bert", "rotate-key", "--yes") == "rotation-pending"
    homes.sync("bert", "alba")
    homes.at("alba", "approve", "bert")
    homes.sync("alba", "bert", "alba", "bert")
    after = {m["name"]: m["site_key"] for m in homes.at("alba", "members", "--json").json["members"]}
    assert after["alba"] == before["alba"]
    assert after["bert"] != before["bert"]
    homes.at("bert", "leave", "--yes")
    homes.sync("bert", "alba")
    assert homes.members("alba") == ["alba"], "what is signed by the new key counts"


def test_two_requests_at_once_are_both_in_force_in_the_end(homes: Homes) -> None:
    homes.init("alba", "bert", "caro", "dora")
    homes.found("alba")
    homes.join("bert", "alba")
    for newcomer, sponsor in (("caro", "alba"), ("dora", "bert")):
        homes.at(newcomer, "join", homes.invite(sponsor), "--yes")
    homes.sync("alba", "bert", "alba")
    homes.at("alba", "approve", "caro")
    homes.at("bert", "approve", "dora")
    homes.sync("alba", "bert", rounds=2)
    assert homes.members("alba") == ["alba", "bert"], "each has its own will, and half is no majority"
    homes.at("alba", "approve", "dora")
    homes.at("bert", "approve", "caro")
    homes.sync("alba", "bert", rounds=4)
    assert homes.members("alba") == homes.members("bert") == ["alba", "bert", "caro", "dora"]
