"""Who is not let in, who comes with the wrong paper, and what a later version may write: two sites train on all the while."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from imagiq.objects import Charter, parse_charter
from imagiq.site.card import read_card
from imagiq.site.founding import found
from imagiq.site.home import Home
from imagiq.site.invitation import Invitation, read_invitation
from tests.faults.course import Course
from tests.faults.relays import Place, relayed
from tests.site.homes import Homes
from tests.site.processes import Town, until

MEMBERS = ("alba", "bert")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    rules = 'something_of_a_later_version = ["yes", 1]\n'
    with relayed(tmp_path_factory.mktemp("strangers"), *MEMBERS, rules=rules) as place:
        yield place


def trouble(place: Place, name: str) -> str:
    remotes = [remote for one in place.course.town.status(name)["federations"] for remote in one["remotes"]]
    return " ".join(str((remote["trouble"] or {"code": ""})["code"]) for remote in remotes)


def stranger(place: Place, name: str) -> Homes:
    """Let somebody found a federation of their own."""
    homes = place.course.town.homes
    homes.init(name)
    (homes.folder / name / "share").mkdir()
    charter = homes.folder / f"{name}.toml"
    charter.write_text('title = "Another"\n', "utf-8")
    homes.at(name, "found", str(charter))
    return homes


def test_a_site_with_the_wrong_certificate_is_let_in_nowhere_and_says_so(place: Place) -> None:
    homes = stranger(place, "stranger")
    homes.at(
        "stranger", "remote", "add", "relay", "https", f"https://127.0.0.1:{place.relay.port}", "--key", place.relay.key
    )
    held = {path for path in place.relay.folder.rglob("*") if path.is_dir()}
    with place.course.fault(*MEMBERS):
        place.course.up("stranger")
        until("the stranger says so", lambda: trouble(place, "stranger") == "remote-tls", within_s=30)
    assert {path for path in place.relay.folder.rglob("*") if path.is_dir()} == held, "it has written nothing"
    place.course.town.kill("stranger")


def test_a_site_whose_relay_has_another_key_tells_it_nothing_and_says_so(place: Place) -> None:
    homes = stranger(place, "careful")
    homes.at(
        "careful", "remote", "add", "relay", "https", f"https://127.0.0.1:{place.relay.port}", "--key", "0" * 63 + "1"
    )
    place.course.up("careful")
    until("it says so", lambda: trouble(place, "careful") == "remote-key", within_s=30)
    place.course.town.kill("careful")


@pytest.mark.parametrize("tls", [False, True], ids=["without-tls", "without-a-certificate"])
def test_who_shows_no_certificate_gets_no_answer(place: Place, *, tls: bool) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with place.course.fault(*MEMBERS), socket.create_connection(("127.0.0.1", place.relay.port), timeout=20) as plain:
        try:
            with context.wrap_socket(plain) if tls else plain as line:
                line.sendall(b"GET /1/n HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                answer = line.recv(100)
        except (ssl.SSLError, ConnectionError):
            answer = b""
    assert b"HTTP" not in answer


def test_an_invitation_for_another_federation_opens_nothing_and_disturbs_nobody(place: Place) -> None:
    """Its text names one federation, and what lies ready for it is about another one."""
    homes = stranger(place, "host")
    meeting = homes.folder / "meeting"
    meeting.mkdir()
    homes.at("host", "remote", "add", "meeting", "folder", str(meeting))
    homes.at("host", "sync")
    homes.init("guest")
    key = Home(homes["guest"]).key()
    honest, ours = read_invitation(homes.invite("host"), key), read_invitation(homes.invite("alba"), key)
    with place.course.fault(*MEMBERS):
        for text in (mixed(honest, ours), replace(ours, remotes=honest.remotes).text()):
            code = homes.error("guest", "join", text, "--yes")
            assert code in {"introduction-missing", "introduction-federation"}, code
            assert list((homes["guest"] / "federations").iterdir()) == [], "nothing half is left"
    assert homes.members("alba") == list(MEMBERS)


def mixed(one: Invitation, other: Invitation) -> str:
    """Return an invitation into one federation that says it is into another one."""
    return replace(one, federation=other.federation).text()


def test_a_charter_with_fields_of_a_later_version_is_carried_and_the_sites_train_under_it(
    place: Place, tmp_path: Path
) -> None:
    for name in MEMBERS:
        ruling = place.course.town.bench_of(name).standing.ruling
        assert ruling is not None
        assert ruling.rules["something_of_a_later_version"] == ["yes", 1]
    homes = Homes(tmp_path)
    homes.init("elder", "younger")
    home = Home(homes["elder"])
    told = json.loads(Charter(title="Later", members=(read_card(homes.card("elder")),), voters=("elder",)).raw)
    told["of_a_later_version"] = {"deep": [1, "2"]}
    later = parse_charter(json.dumps(told, sort_keys=True, separators=(",", ":")).encode())
    found(home, later)
    homes.at("elder", "remote", "add", "share", "folder", str(homes.share))
    homes.at("elder", "sync")
    course = Course(Town(homes, ("elder", "younger")))
    try:
        with place.course.fault(*MEMBERS):
            homes.at("younger", "join", homes.invite("elder"), "--yes")
            for name in ("elder", "younger"):
                (homes[name] / "policy.toml").write_text('otherwise = "accept"\n', "utf-8")
                course.let_run(name)
            course.up()
            until("the elder has heard", lambda: "younger" in homes.at("elder", "requests").out, within_s=40)
            homes.at("elder", "approve", "younger")
            until("younger is a member", lambda: "younger" in homes.members("elder"), within_s=40)
            course.open_study("elder", step_s=0.3)
            course.wait_until_all_train(within_s=40)
        for name in ("elder", "younger"):
            ruling = course.town.bench_of(name).standing.ruling
            assert ruling is not None
            assert json.loads(ruling.raw)["of_a_later_version"] == {"deep": [1, "2"]}, "also in the next version"
        course.check_sound()
    finally:
        course.town.stop()


def test_a_charters_file_with_a_key_that_nobody_knows_founds_nothing(place: Place, tmp_path: Path) -> None:
    homes = place.course.town.homes
    homes.init("founder")
    file = tmp_path / "charter.toml"
    file.write_text('title = "Heart"\nvotres = ["founder"]\n', "utf-8")
    said = homes.call("-C", str(homes["founder"]), "found", str(file))
    assert (said.code, "error[file-key]" in said.err, "voters" in said.err) == (2, True, True), said
    assert list((homes["founder"] / "federations").iterdir()) == []
