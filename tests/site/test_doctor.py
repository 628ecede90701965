"""The doctor names what is wrong, the hop that fails, and what to do: each case made real."""

from __future__ import annotations

import resource
import socket
from pathlib import Path
from typing import Any

import pytest

from imagiq.clock import VirtualClock
from imagiq.site.doctor import examine
from imagiq.site.home import Home
from tests.exchange.proxy import proxy
from tests.site.homes import Homes
from tests.site.serving import serving


@pytest.fixture
def homes(tmp_path: Path) -> Homes:
    found = Homes(tmp_path)
    found.init("alba")
    found.found("alba")
    path = found["alba"] / "site.toml"
    path.write_text(path.read_text().replace('# device = "auto"', 'device = "cpu" #'), "utf-8")
    return found


def wrong(homes: Homes, name: str = "alba") -> list[tuple[str, str, str]]:
    """Return the check, what it is about and the hop of all that is wrong."""
    said = homes.call("-C", str(homes[name]), "doctor", "--json")
    found = said.json
    bad = [one for one in found["findings"] if not one["ok"]]
    assert (said.code, found["ok"]) == (int(bool(bad)), not bad)
    assert all(one["advice"] for one in bad)
    return [(one["check"], one["about"], one["hop"]) for one in bad]


def hops(homes: Homes) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = homes.call("-C", str(homes["alba"]), "doctor", "--json").json["findings"]
    return [one for one in found if one["check"] == "remote"]


def finding(homes: Homes, check: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = homes.call("-C", str(homes["alba"]), "doctor", "--json").json["findings"]
    return next(one for one in found if one["check"] == check)


def test_a_site_that_is_well_is_said_to_be(homes: Homes) -> None:
    assert wrong(homes) == []
    said = homes.at("alba", "doctor")
    assert said.out.endswith("All is well.\n")
    assert "cases to train on" in said.out


def test_a_key_that_others_can_read_is_found(homes: Homes) -> None:
    (homes["alba"] / "keys" / "site").chmod(0o644)
    assert ("keys", "", "") in wrong(homes)


def test_a_damaged_repository_is_found_and_the_rest_is_still_looked_at(homes: Homes) -> None:
    (commit,) = homes["alba"].glob("federations/*/.imagiq/commits/*/*")
    commit.write_bytes(b"x" + commit.read_bytes()[1:])
    (found,) = wrong(homes)
    assert found[0] == "repository"
    assert finding(homes, "data")["ok"]


def test_a_drive_that_is_not_mounted_is_found(homes: Homes) -> None:
    homes.share.rename(homes.folder / "elsewhere")
    assert wrong(homes) == [("remote", "share", "folder")]


def test_a_drive_that_the_system_refuses_to_look_for_is_found_and_is_no_mistake_of_sync(homes: Homes) -> None:
    remotes = next(homes["alba"].glob("federations/*/remotes.toml"))
    remotes.write_text(remotes.read_text().replace(str(homes.share), "x" * 300), "utf-8")
    assert wrong(homes) == [("remote", "share", "folder")]
    assert "File name too long" in homes.call("-C", str(homes["alba"]), "sync").out


def test_data_that_cannot_be_read_is_found(homes: Homes) -> None:
    path = homes["alba"] / "site.toml"
    path.write_text(path.read_text().replace('site = "cleveland"', 'site = "atlantis"'), "utf-8")
    assert wrong(homes) == [("data", "", "")]


def test_a_clock_that_is_years_off_is_found(homes: Homes) -> None:
    clock = VirtualClock()  # it is 2000 there
    findings = {one.check: one for one in examine(Home(homes["alba"]), clock)}
    assert not findings["clock"].ok
    clock.advance_to(60 * 365.25 * 86_400)
    findings = {one.check: one for one in examine(Home(homes["alba"]), clock)}
    assert not findings["clock"].ok


def test_a_site_that_is_no_member_is_told_so(homes: Homes) -> None:
    homes.init("bert")
    homes.at("bert", "join", homes.invite("alba"), "--yes")
    assert ("keys", next(homes["bert"].glob("federations/*")).name, "") in wrong(homes, "bert")


def test_a_site_without_a_remote_is_told_so(homes: Homes) -> None:
    homes.at("alba", "remote", "remove", "share")
    (found,) = wrong(homes)
    assert found[0] == "remote"


def add(homes: Homes, *options: str) -> None:
    homes.at("alba", "remote", "remove", "share")
    homes.at("alba", "remote", "add", "relay", "https", *options)


def test_a_name_that_nobody_knows_is_the_hop_that_fails(homes: Homes) -> None:
    add(homes, "https://nobody.invalid:8470", "--key", "0" * 64)
    assert wrong(homes) == [("remote", "relay", "name")]


def test_a_port_that_is_closed_is_the_hop_that_fails(homes: Homes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    add(homes, f"https://127.0.0.1:{port}", "--key", "0" * 64)
    assert wrong(homes) == [("remote", "relay", "line")]


@pytest.mark.process
def test_each_hop_to_a_listener_is_named(homes: Homes) -> None:
    members = homes.folder / "members.txt"
    members.write_text(homes.at("alba", "members", "--for-relay").out, "utf-8")
    stranger = homes.folder / "stranger.txt"
    stranger.write_text(f"{'1' * 64} {'2' * 64}\n", "ascii")
    with serving(homes.folder, "serve", "relay", "--members", str(members)) as relay:
        add(homes, relay.address, "--key", relay.key)
        assert wrong(homes) == []
        homes.sync("alba")
        assert "writing" in {one["hop"] for one in hops(homes)}
        assert wrong(homes) == []
        resource.prlimit(relay.process.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        assert wrong(homes) == [("remote", "relay", "room")]
        resource.prlimit(relay.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        homes.at("alba", "remote", "remove", "relay")
        homes.at("alba", "remote", "add", "other", "https", relay.address, "--key", "0" * 63 + "1")
        assert wrong(homes) == [("remote", "other", "certificate")]
        homes.at("alba", "remote", "remove", "other")
        with proxy("someone:secret") as (url, _):
            homes.at("alba", "remote", "add", "relay", "https", relay.address, "--key", relay.key, "--proxy", url)
            assert wrong(homes) == [("remote", "relay", "proxy")]
        homes.at("alba", "remote", "remove", "relay")
        homes.at(
            "alba", "remote", "add", "r", "https", relay.address, "--key", relay.key, "--proxy", "http://127.0.0.1:9"
        )
        assert wrong(homes) == [("remote", "r", "line")]
        homes.at("alba", "remote", "remove", "r")
    with serving(homes.folder, "serve", "relay2", "--members", str(stranger)) as relay:
        homes.at("alba", "remote", "add", "relay", "https", relay.address, "--key", relay.key)
        assert wrong(homes) == [("remote", "relay", "certificate")]


def test_a_gpu_that_is_asked_for_and_not_there_is_found(homes: Homes) -> None:
    pytest.importorskip("torch")
    path = homes["alba"] / "site.toml"
    path.write_text(path.read_text().replace('"cpu"', '"cuda:63"'), "utf-8")
    assert wrong(homes) == [("gpu", "", "")]
