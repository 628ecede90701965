"""Invitations, cards and requests: what is wrong with them is said, and nothing comes of it."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagiq.errors import ImagiqError, Misuse
from imagiq.exchange.folder import FolderRemote
from imagiq.keys import SiteKey
from imagiq.objects import Charter, Member, digest_of
from imagiq.site.card import card_of, read_card
from imagiq.site.home import Home
from imagiq.site.invitation import (
    Introduction,
    Invitation,
    applicants_in,
    fingerprint,
    parse_introduction,
    read_invitation,
)
from imagiq.site.settings import RemoteSettings
from tests.site.homes import Homes

KEY = SiteKey(b"k" * 32)
OTHER = SiteKey(b"o" * 32)


def invitation(introduction: bytes = b"{}") -> Invitation:
    return Invitation.new(
        introduction,
        federation=digest_of(b"federation"),
        sponsor=KEY.public,
        secret=b"s" * 32,
        remotes=[
            RemoteSettings(name="store", kind="bucket", address="s3://bucket", config={"secret_access_key": "hush"})
        ],
    )


@pytest.fixture
def homes(tmp_path: Path) -> Homes:
    return Homes(tmp_path)


@pytest.fixture
def asked(joining: Homes) -> Homes:
    """The same, where commands have a standard input that has ended, as under cron."""
    return Homes(joining.folder, apart=True)


@pytest.fixture
def joining(homes: Homes) -> Homes:
    """Alba has founded, Bert has a home."""
    homes.init("alba", "bert")
    homes.found("alba")
    return homes


# --------------------------------------------------------------------------------------------------------- texts


def test_an_invitation_is_read_as_it_was_made_whatever_white_space_came_into_it() -> None:
    made = invitation()
    text = made.text()
    torn = "\n  ".join(text[at : at + 40] for at in range(0, len(text), 40))
    read = read_invitation(torn, OTHER)
    assert (read.federation, read.secret, read.nonce, read.mailbox) == (
        made.federation,
        made.secret,
        made.nonce,
        made.mailbox,
    )
    assert fingerprint(torn) == fingerprint(text)


def test_what_opens_a_bucket_is_in_no_invitation() -> None:
    text = invitation().text().partition(":")[2]
    assert b"hush" not in base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    assert read_invitation(invitation().text(), OTHER).remotes[0].config == {}


def test_an_invitation_for_one_site_is_for_no_other() -> None:
    text = invitation().text(exchange_key=KEY.exchange_public)
    assert read_invitation(text, KEY).secret == b"s" * 32
    with pytest.raises(ImagiqError) as caught:
        read_invitation(text, OTHER)
    assert caught.value.code == "invitation-for-other"


@given(at=st.integers(0, 400), to=st.sampled_from("AZaz09-_:. é"))
def test_a_changed_character_is_refused_or_shows_in_the_fingerprint(at: int, to: str) -> None:
    text = invitation().text()
    at %= len(text)
    changed = text[:at] + to + text[at + 1 :]
    with suppress(Misuse):
        read_invitation(changed, OTHER)
        assert changed == text or fingerprint(changed) != fingerprint(text)


@given(cut=st.integers(0, 399))
def test_a_cut_invitation_is_refused(cut: int) -> None:
    text = invitation().text()
    with pytest.raises(Misuse):
        read_invitation(text[: cut % len(text)], OTHER)


@given(at=st.integers(0, 400), to=st.sampled_from("AZaz09-_"))
def test_a_changed_card_is_refused(at: int, to: str) -> None:
    text = card_of("alba", KEY)
    at %= len(text)
    changed = text[:at] + to + text[at + 1 :]
    with suppress(Misuse):  # what is read all the same says the same: bits of base64's last character say nothing
        assert read_card(changed) == Member("alba", KEY.public, KEY.exchange_public)


# --------------------------------------------------------------------------------------------------- introductions


def test_an_introduction_of_another_federation_is_refused() -> None:
    charter = Charter(
        title="One", members=(Member("alba", KEY.public, KEY.exchange_public),), voters=("alba",), recovery=(), rules={}
    )
    raw = Introduction(founding=charter, charter=charter).raw()
    assert parse_introduction(raw, charter.digest).charter == charter
    with pytest.raises(ImagiqError) as caught:
        parse_introduction(raw, digest_of(b"another"))
    assert caught.value.code == "introduction-federation"


@given(raw=st.binary(max_size=300))
def test_bytes_that_are_no_introduction_are_refused(raw: bytes) -> None:
    with pytest.raises(ImagiqError):
        parse_introduction(raw, digest_of(b"federation"))


def test_an_invitation_whose_introduction_is_gone_says_so_and_leaves_nothing(joining: Homes) -> None:
    text = joining.invite("alba")
    for path in joining.files():
        path.unlink()
    assert joining.error("bert", "join", text, "--yes") == "introduction-missing"
    assert list((joining["bert"] / "federations").iterdir()) == []


def test_garbage_under_the_introductions_name_is_refused_and_leaves_nothing(joining: Homes) -> None:
    text = joining.invite("alba")
    for path in joining.files():
        path.write_bytes(b"\0" * path.stat().st_size)
    assert joining.error("bert", "join", text, "--yes").startswith("seal")
    assert list((joining["bert"] / "federations").iterdir()) == []


def test_garbage_in_a_mailbox_hides_no_request(joining: Homes) -> None:
    text = joining.invite("alba")
    read = read_invitation(text, Home(joining["bert"]).key())
    remote = FolderRemote(joining.share)
    for number in range(8):
        name = f"{read.mailbox}/blobs/{digest_of(bytes([number]))}"
        remote.put_if_absent(name, b"\xff" * 300)
    joining.at("bert", "join", text, "--yes")
    assert [one.member.name for one in applicants_in(read, remote)] == ["bert"]
    joining.sync("alba")
    assert [one["name"] for one in joining.at("alba", "requests", "--json").json["requests"]] == ["bert"]


# -------------------------------------------------------------------------------------------------------- joining


def test_who_does_not_say_yes_has_not_joined(asked: Homes) -> None:
    said = asked.call("-C", str(asked["bert"]), "join", asked.invite("alba"))
    assert said.code != 0
    assert list((asked["bert"] / "federations").iterdir()) == []


def test_joining_says_what_leaves_and_where_to_before_it_asks(asked: Homes) -> None:
    said = asked.call("-C", str(asked["bert"]), "join", asked.invite("alba"))
    for words in ("Fingerprint", "Members: alba", "What leaves this site", str(asked.share), "Strategies"):
        assert words in said.out


def test_a_name_that_a_member_has_is_refused(joining: Homes) -> None:
    assert joining.error("bert", "join", joining.invite("alba"), "--name", "alba", "--yes") == "request-name"


def test_who_is_a_member_joins_no_second_time(joining: Homes) -> None:
    joining.join("bert", "alba")
    assert joining.error("bert", "join", joining.invite("alba"), "--yes") == "federation-exists"


def test_asking_twice_is_one_request(joining: Homes) -> None:
    text = joining.invite("alba")
    joining.at("bert", "join", text, "--yes")
    joining.at("bert", "join", text, "--yes")
    joining.sync("alba")
    assert len(joining.at("alba", "requests", "--json").json["requests"]) == 1


def test_an_invitation_needs_a_remote(homes: Homes) -> None:
    homes.init("alba")
    (homes.folder / "charter.toml").write_text('title = "Heart"\n')
    homes.at("alba", "found", str(homes.folder / "charter.toml"))
    assert homes.error("alba", "invite") == "invite-no-remote"


def test_who_is_no_member_invites_nobody_and_opens_nothing(joining: Homes) -> None:
    joining.at("bert", "join", joining.invite("alba"), "--yes")
    assert joining.error("bert", "invite") == "site-no-member"
    joining.sync("bert")
    history = joining.at("bert", "log", "--json").json
    assert history["commits"] == []


def test_an_invitation_into_a_simulation_is_refused(joining: Homes) -> None:
    file = joining.folder / "simulated.toml"
    file.write_text('title = "Heart"\n[rules]\nsimulated = true\n')
    assert joining.error("alba", "found", str(file)) == "charter-simulated"


def test_a_refused_newcomer_stays_out_until_it_is_approved(joining: Homes) -> None:
    joining.at("bert", "join", joining.invite("alba"), "--yes")
    joining.sync("alba")
    joining.at("alba", "refuse", "bert")
    joining.sync("alba", "bert")
    (request,) = joining.at("alba", "requests", "--json").json["requests"]
    assert request["decided"] == "refuse"
    assert joining.members("alba") == ["alba"]
    joining.at("alba", "approve", "bert")
    joining.sync("alba", "bert")
    assert joining.members("bert") == ["alba", "bert"]


def test_invitations_and_keys_are_for_their_owners_eyes(joining: Homes) -> None:
    joining.invite("alba")
    (seat,) = Home(joining["alba"]).seats()
    for path in (seat.path / "invitations.json", joining["alba"] / "keys" / "site"):
        assert path.stat().st_mode & 0o077 == 0, path
    (joining["alba"] / "keys" / "site").chmod(0o644)
    assert joining.error("alba", "rotate-key", "--yes") == "key-permissions"


def test_what_a_newcomer_calls_itself_cannot_steer_a_terminal(joining: Homes) -> None:
    settings = joining["bert"] / "site.toml"
    settings.write_text(settings.read_text().replace('"Bert Hospital"', json.dumps("\x1b[2J\u202eevil")))
    joining.at("bert", "join", joining.invite("alba"), "--yes")
    joining.sync("alba")
    said = joining.at("alba", "requests")
    assert "\x1b[2J" not in said.out
    assert "\u202e" not in said.out
