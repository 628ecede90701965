"""Founding, inviting, joining, removing, leaving, new keys: through the command line, with a shared folder between."""

from __future__ import annotations

from pathlib import Path

import pytest

from imagiq.objects import parse_commit
from imagiq.store import FolderStore
from tests.site.homes import Homes
from tests.site.processes import STUDY


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


@pytest.mark.slow
def test_a_later_charter_that_is_damaged_is_told_with_where_to_get_it_and_all_goes_on_once_it_is_there(
    homes: Homes,
) -> None:
    homes.init("alba", "bert")
    homes.found("alba")
    homes.join("bert", "alba")
    study = homes.folder / "study.toml"
    study.write_text(STUDY.format(title="Angina", strategy="fedavg", steps=1, updates=1), "utf-8")
    homes.at("alba", "study", "open", str(study))
    alba, bert = (next((homes[name] / "federations").glob("*/.imagiq")) for name in ("alba", "bert"))
    with FolderStore.open(alba, read_only=True) as store:
        claims = [parse_commit(raw).claim for raw in store.commits()]
    (later,) = {claim.charter for claim in claims} - {claim.federation for claim in claims}
    inner = f"objects/{later[:2]}/{later[2:]}"
    file, whole = alba / inner, (bert / inner).read_bytes()
    file.chmod(0o600)
    file.write_bytes(whole.replace(b"Heart", b"Haert"))
    assert homes.error("alba", "sync") == "charter-missing"
    assert f"copy `{inner}`" in homes.call("-C", str(homes["alba"]), "fsck", "--repair").out
    for command in ("sync", "members"):
        assert f"Copy `{inner}`" in homes.call("-C", str(homes["alba"]), command).err
    file.write_bytes(whole)
    assert "everything is whole" in homes.at("alba", "fsck").out
    homes.sync("alba")


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
