"""``imagiq serve`` and ``imagiq bundle``: real processes, real sockets, real files."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from imagiq.keys import SiteKey
from imagiq.site.bundling import newest_models
from imagiq.site.invitation import fingerprint
from imagiq.site.keyfile import read_key
from tests.bench.town import Town
from tests.site.homes import Homes
from tests.site.serving import serving


@pytest.fixture
def homes(tmp_path: Path) -> Homes:
    found = Homes(tmp_path)
    (found.folder / "charter.toml").write_text('title = "Heart"\n', "utf-8")
    return found


def founded(homes: Homes, *names: str) -> None:
    homes.init(*names)
    homes.at(names[0], "found", str(homes.folder / "charter.toml"))


def wait_until_listed(homes: Homes, name: str, count: int) -> None:
    """Wait until a listener has had time to read a list again that has so many lines by now."""
    (path,) = homes[name].glob("federations/*/admitted")
    assert len([line for line in path.read_text().splitlines() if not line.startswith("#")]) == count
    time.sleep(2.5)


@pytest.mark.slow
@pytest.mark.process
def test_a_newcomer_joins_through_nothing_but_a_members_own_listener(homes: Homes) -> None:
    founded(homes, "alba", "bert")
    with serving(homes.folder, "-C", "alba", "serve") as listener:
        homes.at("alba", "sync")
        text = homes.invite("alba")
        wait_until_listed(homes, "alba", 2)
        homes.at("bert", "join", text, "--yes")
        homes.at("bert", "sync", code=1)  # its key is not admitted before the charter names it
        homes.at("alba", "sync")
        homes.at("alba", "approve", "bert")
        homes.at("alba", "sync")
        wait_until_listed(homes, "alba", 3)
        homes.at("bert", "sync")
        assert homes.members("bert") == ["alba", "bert"]
        (remote,) = homes.at("bert", "remote", "list", "--json").json["remotes"]
        assert (remote["kind"], remote["address"], remote["key"]) == ("https", listener.address, listener.key)
        homes.at("bert", "leave", "--yes")
        homes.sync("bert", "alba")
        wait_until_listed(homes, "alba", 2)
        said = homes.at("bert", "sync", code=1)
        assert "remote-refused" in said.out or "remote-tls" in said.out
    assert homes.members("alba") == ["alba"]


@pytest.mark.process
def test_a_relay_needs_no_secret_and_keeps_its_key(homes: Homes) -> None:
    founded(homes, "alba")
    listed = homes.at("alba", "members", "--for-relay").out
    (homes.folder / "members.txt").write_text(listed, "utf-8")
    relay = ("serve", "relay", "--members", "members.txt")
    with serving(homes.folder, *relay) as first:
        homes.at("alba", "remote", "add", "relay", "https", first.address, "--key", first.key)
        homes.at("alba", "sync")
        assert first.fingerprint == fingerprint(first.key)
    with serving(homes.folder, *relay, port=first.port) as second:
        assert second.key == first.key == SiteKey(read_key(homes.folder / "relay.key")).public
        homes.at("alba", "sync")
    held = b"".join(path.read_bytes() for path in (homes.folder / "relay").rglob("*") if path.is_file())
    assert len(held) > 1000
    for secret in (b"alba", b"Alba Hospital", b"Heart", b"vote"):
        assert secret not in held
        assert secret not in listed.encode()


@pytest.mark.process
def test_a_stranger_and_one_with_anothers_listener_are_told_so(homes: Homes) -> None:
    founded(homes, "alba")
    homes.init("caro")
    homes.at("caro", "found", str(homes.folder / "charter.toml"))
    (homes.folder / "members.txt").write_text(homes.at("alba", "members", "--for-relay").out, "utf-8")
    with serving(homes.folder, "serve", "relay", "--members", "members.txt") as relay:
        homes.at("caro", "remote", "add", "relay", "https", relay.address, "--key", relay.key)
        assert "error[remote-tls]" in homes.at("caro", "sync", code=1).out
        homes.at("alba", "remote", "add", "relay", "https", relay.address, "--key", "0" * 63 + "1")
        assert "error[remote-key]" in homes.at("alba", "sync", code=1).out


@pytest.mark.parametrize("line", ["x", "a b", f"{'0' * 64}", f"{'0' * 64} {'0' * 63}G", f"{'0' * 64} {'0' * 64} x"])
def test_a_list_of_members_that_is_none_is_refused(homes: Homes, line: str) -> None:
    (homes.folder / "members.txt").write_text(f"# fine\n\n{line}\n", "utf-8")
    said = homes.call("serve", str(homes.folder / "relay"), "--members", str(homes.folder / "members.txt"))
    assert (said.code, "error[admission-line]" in said.err, "line 3" in said.err) == (2, True, True)


def test_what_is_served_must_be_said(homes: Homes) -> None:
    assert homes.call("serve", "relay").code == 2
    assert homes.call("serve", "relay", "--members", str(homes.folder / "none")).code == 1
    assert homes.call("serve", "--mib-per-s", "0").code == 2


# --------------------------------------------------------------------------------------------------- bundles


def test_an_air_gapped_site_joins_and_takes_part_by_files(homes: Homes) -> None:
    founded(homes, "alba", "bert")
    stick = homes.folder / "stick"
    stick.mkdir()
    homes.at("alba", "remote", "add", "stick", "folder", str(stick))
    homes.at("alba", "sync")
    homes.at("bert", "join", homes.invite("alba"), "--yes", "--remote", "folder", str(stick))
    homes.at("bert", "remote", "remove", "remote")
    homes.sync("alba")
    homes.at("alba", "approve", "bert")
    homes.sync("alba")
    homes.at("alba", "bundle", "create", str(homes.folder / "to-bert.bundle"))
    said = homes.at("bert", "bundle", "apply", str(homes.folder / "to-bert.bundle"), "--json").json
    assert said["came"] == 3
    assert homes.members("bert") == ["alba", "bert"]
    homes.at("bert", "leave", "--yes")
    made = homes.at("bert", "bundle", "create", str(homes.folder / "to-alba.bundle"), "--json").json
    assert made["commits"] >= 4
    homes.at("alba", "bundle", "apply", str(homes.folder / "to-alba.bundle"))
    homes.sync("alba")
    assert homes.members("alba") == ["alba"]


def test_a_bundle_is_never_overwritten_and_a_torn_one_is_refused(homes: Homes) -> None:
    founded(homes, "alba")
    file = homes.folder / "a.bundle"
    homes.at("alba", "bundle", "create", str(file))
    assert homes.error("alba", "bundle", "create", str(file)) == "bundle-exists"
    file.write_bytes(file.read_bytes()[:-700])
    assert homes.error("alba", "bundle", "apply", str(file)) == "bundle-form"
    assert homes.error("alba", "bundle", "apply", str(homes.folder / "none")) == "bundle-missing"
    assert list(homes.folder.glob(".a.bundle*")) == []


def test_the_newest_models_are_those_that_a_next_step_may_need() -> None:
    town = Town()
    study = town.study("a")
    first = town.train("a", study.digest, 1.0, study.digest)
    second = town.train("a", first.digest, 2.0, study.digest, 2)
    merge = town.merge("a", {first.digest: 1, second.digest: 1}, study.digest)
    assert newest_models(town.benches["a"]) == {study.digest, second.digest, merge.digest}
