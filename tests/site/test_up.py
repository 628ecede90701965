"""Running sites: real processes, real folders, the real command line."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.site.processes import STUDY, Town, town_of, until

pytestmark = pytest.mark.process


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    with town_of(tmp_path, "alba", "bert", "caro") as found:
        yield found


def test_a_study_runs_to_its_end_and_all_sites_know_the_same(town: Town) -> None:
    town.up()
    town.study("alba", steps=3)
    until("all are done and know the same", town.settled)
    merges = [town.merges(name) for name in town.names]
    assert merges[0] == merges[1] == merges[2]
    assert {site: len(made) for site, made in town.made("caro", "train").items()} == dict.fromkeys(town.names, 3)
    assert {site: len(made) for site, made in town.made("caro", "evaluate").items()} == dict.fromkeys(town.names, 1)
    for name in town.names:
        assert "error" not in town.log(name)
        assert "stopped" in town.homes.at(name, "down").out
        assert town.running[name].wait(30) == 0
        assert town.homes.at(name, "verify").code == 0


@pytest.mark.slow
def test_who_starts_a_site_twice_is_told_who_runs_it(town: Town) -> None:
    town.up("alba")
    until("alba is up", lambda: town.status("alba")["pid"])
    assert town.homes.error("alba", "up") == "home-locked"
    assert town.homes.error("alba", "gc") == "home-locked"
    said = town.homes.call("-C", str(town.homes["alba"]), "up")
    assert str(town.running["alba"].pid) in said.err
    assert town.running["alba"].poll() is None


@pytest.mark.slow
def test_a_site_in_two_federations_works_in_both(tmp_path: Path) -> None:
    with town_of(tmp_path, "alba", "bert") as town:
        homes = town.homes
        heart = town.seat("alba").name
        (tmp_path / "lung.toml").write_text(f'title = "Lung"\n[[member]]\ncard = "{homes.card("alba")}"\n', "utf-8")
        lung = str(homes.at("bert", "found", str(tmp_path / "lung.toml"), "--json").json["name"])
        homes.at("bert", "--federation", lung, "remote", "add", "share", "folder", str(homes.share))
        invitation = homes.at("bert", "--federation", lung, "invite", "--json").json["invitation"]
        homes.at("alba", "join", str(invitation), "--yes")
        homes.sync("bert", "alba", rounds=2)
        for place, (opener, seat) in enumerate((("alba", heart), ("bert", lung))):
            text = STUDY.format(title=f"Study {place}", strategy="latest-of-each", steps=2, updates=20)
            (tmp_path / "study.toml").write_text(text, "utf-8")
            homes.at(opener, "--federation", seat, "study", "open", str(tmp_path / "study.toml"))
        town.up()

        def states() -> set[tuple[str, ...]]:
            return {
                (name, one["title"], *(study["state"] for study in one["studies"]))
                for name in town.names
                for one in town.status(name)["federations"]
            }

        until(
            "both are done in both", lambda: states() == {(n, t, "done") for n in town.names for t in ("Heart", "Lung")}
        )


HOLD = """
import sys
from pathlib import Path
from imagiq.site.home import Home
with Home(Path(sys.argv[1])).lock():
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.mark.slow
def test_a_site_that_starts_while_a_command_works_in_its_home_waits_for_that(town: Town) -> None:
    command = [sys.executable, "-c", HOLD, str(town.homes["alba"])]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        town.up("alba")
        assert town.homes.error("alba", "gc") == "home-locked", "who has it says so at once"
        assert town.running["alba"].poll() is None
        other.communicate("done\n")
    until("alba is up", lambda: town.status("alba")["pid"] == town.running["alba"].pid)


@pytest.mark.slow
def test_status_tells_of_each_site_whether_the_process_runs_or_not(town: Town) -> None:
    town.up("alba", "bert")
    town.study("bert", steps=1)

    def heard() -> bool:
        (federation,) = town.status("alba")["federations"]
        sites = {site["name"]: site for site in federation["sites"]}
        return sites["bert"]["by"] == "share" and "Angina" in sites["bert"]["last"]

    until("alba has heard of bert by the share", heard)
    (federation,) = town.status("alba")["federations"]
    assert [(s["name"], s["is_me"]) for s in federation["sites"]] == [("alba", True), ("bert", False), ("caro", False)]
    (study,) = federation["studies"]
    until("alba waits for caro", lambda: town.status("alba")["federations"][0]["studies"][0]["state"] == "waits")
    assert study["made"].keys() == set(town.names)
    assert all(site["news_age_s"] >= 0 for site in federation["sites"] if site["by"])
    assert "by share" in town.homes.at("alba", "status").out
    town.homes.at("alba", "down")
    assert town.status("alba")["pid"] is None
    assert "not running" in town.homes.at("alba", "status").out
    assert town.homes.at("alba", "down").out == "This site does not run.\n"


@pytest.mark.slow
def test_what_the_owner_decides_while_the_site_runs_is_taken_in(town: Town) -> None:
    (town.homes["bert"] / "policy.toml").write_text('otherwise = "ask"\n', "utf-8")
    town.up()
    town.study("alba", steps=1)

    def state() -> str:
        return "".join(study["state"] for study in town.status("bert")["federations"][0]["studies"])

    until("bert asks its owner", lambda: state() == "asks")
    assert "does this when it syncs" in town.homes.at("bert", "approve", "Angina").out
    until("all are done and know the same", town.settled)


@pytest.mark.slow
def test_a_remote_is_added_while_the_site_runs(town: Town) -> None:
    town.up("alba")
    until("alba is up", lambda: town.status("alba")["pid"])
    other = town.homes.folder / "other"
    other.mkdir()
    town.homes.at("alba", "remote", "add", "other", "folder", str(other))
    until("what is known lies there too", lambda: any(path.is_file() for path in other.rglob("0*")))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=lambda number: number.name)
def test_a_signal_stops_it(town: Town, number: signal.Signals) -> None:
    town.up("alba")
    until("alba is up", lambda: town.status("alba")["pid"])
    town.running["alba"].send_signal(number)
    assert town.running["alba"].wait(10) == 0
    assert town.log("alba").endswith("down\n")


@pytest.mark.slow
def test_work_once_does_one_action_and_its_exit_code_tells_what_is_left(town: Town) -> None:
    def work(name: str) -> int:
        return town.homes.call("-C", str(town.homes[name]), "work", "--once").code

    assert work("alba") == 5, "there is no study"
    town.study("alba", steps=1)
    assert work("alba") == 0, "it trains"
    assert work("alba") == 4, "it waits for the others"
    assert [work("bert"), work("caro")] == [0, 0]
    assert [work("alba"), work("alba")] == [0, 0], "it merges and evaluates"
    assert work("alba") == 5
    assert [work("bert"), work("bert")] == [0, 5]
    assert town.homes.at("caro", "work", "--once", "--json").json["federations"][0]["action"] == "evaluate"


@pytest.mark.slow
def test_a_study_that_is_approved_long_after_it_came_is_taken_up_at_once(town: Town) -> None:
    (town.homes["bert"] / "policy.toml").write_text('otherwise = "ask"\n', "utf-8")
    town.up()
    town.study("alba", steps=1)
    until("the others wait for bert", lambda: len(town.made("bert", "train")) == 2)
    time.sleep(2.0)
    town.homes.at("bert", "approve", "Angina")
    until("all are done and know the same", town.settled, within_s=30)


@pytest.mark.slow
def test_new_settings_count_without_a_new_start(town: Town) -> None:
    town.up("alba")
    until("alba is up", lambda: town.status("alba")["pid"])
    settings = town.homes["alba"] / "site.toml"
    settings.write_text(settings.read_text("utf-8").replace("cleveland", "va"), "utf-8")
    until("alba has opened anew", lambda: "opened anew" in town.log("alba"))
    town.study("alba", strategy="local", steps=1)
    until("alba has trained", lambda: "train " in town.log("alba"))
    assert ", 199 cases" not in town.log("alba"), "those of Cleveland"
    assert town.running["alba"].poll() is None


@pytest.mark.slow
def test_a_new_key_is_taken_into_use_by_a_site_that_runs(town: Town) -> None:
    before = {m["name"]: m["site_key"] for m in town.homes.at("alba", "members", "--json").json["members"]}
    town.homes.at("bert", "rotate-key", "--yes")
    town.up()
    until("alba has heard of it", lambda: "bert" in town.homes.at("alba", "requests").out)
    until("caro has heard of it", lambda: "bert" in town.homes.at("caro", "requests").out)
    town.homes.at("alba", "approve", "bert")
    town.homes.call("-C", str(town.homes["caro"]), "approve", "bert")  # it may be in force already
    until("bert has opened anew", lambda: "opened anew" in town.log("bert"))
    after = {m["name"]: m["site_key"] for m in town.homes.at("alba", "members", "--json").json["members"]}
    assert after["bert"] != before["bert"]
    town.study("alba", steps=1)
    until("all are done and know the same", town.settled)
    assert "error" not in town.log("bert")


@pytest.mark.slow
def test_a_remote_that_is_removed_in_the_middle_of_an_exchange_stops_nothing_else(town: Town) -> None:
    other = town.homes.folder / "other"
    other.mkdir()
    town.up()
    town.study("alba", strategy="latest-of-each", steps=4, updates=300)
    for _ in range(4):
        town.homes.at("alba", "remote", "add", "other", "folder", str(other))
        time.sleep(0.4)
        town.homes.at("alba", "remote", "remove", "other")
        time.sleep(0.3)
    until("all are done and know the same", town.settled)
    assert "mistake" not in town.log("alba")
