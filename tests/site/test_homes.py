"""A site's home: what is wrong in its files is said with the file's name, and nothing is done."""

from __future__ import annotations

from pathlib import Path

import pytest

from imagiq.errors import ImagiqError
from imagiq.federation.policy import Answer
from imagiq.objects import Parent, Recipe, digest_of
from imagiq.site.decisions import Decisions
from imagiq.site.home import Home
from imagiq.site.session import open_seat
from tests.site.homes import Homes


@pytest.fixture
def homes(tmp_path: Path) -> Homes:
    made = Homes(tmp_path)
    made.init("alba")
    return made


def put(homes: Homes, name: str, text: str) -> str:
    path = homes["alba"] / name
    path.write_text(text, "utf-8")
    return str(path)


# ---------------------------------------------------------------------------------------------------------- homes


def test_a_second_home_in_one_place_is_refused_and_the_first_keeps_its_key(homes: Homes) -> None:
    before = Home(homes["alba"]).key().public
    assert "error[home-exists]" in homes.call("init", str(homes["alba"]), "--name", "bert").err
    assert Home(homes["alba"]).key().public == before


@pytest.mark.parametrize("name", ["", "two words", "a/b", "..", "\x1b[2J", "x" * 65, "-x"])
def test_a_name_that_no_site_can_have_is_refused(homes: Homes, name: str) -> None:
    said = homes.call("init", str(homes["new"]), "--name", name)
    assert said.code != 0
    assert not (homes["new"] / "keys").exists()


def test_a_folder_that_is_no_home_says_so(homes: Homes) -> None:
    assert homes.error(".", "members") == "home-missing"


def test_a_site_in_no_federation_is_told_what_to_do(homes: Homes) -> None:
    said = homes.call("-C", str(homes["alba"]), "members")
    assert "error[federation-none]" in said.err
    assert "imagiq join" in said.err


def test_a_site_in_two_federations_is_asked_which(homes: Homes) -> None:
    for title in ("One", "Two"):
        homes.at("alba", "found", put(homes, "charter.toml", f'title = "{title}"\n'))
    assert homes.error("alba", "members") == "federation-choose"
    names = [seat.name for seat in Home(homes["alba"]).seats()]
    for name in names:
        assert homes.at("alba", "--federation", name, "members", "--json").json["members"][0]["name"] == "alba"
    assert homes.error("alba", "--federation", "three", "members") == "federation-unknown"


def test_a_site_cannot_found_the_same_federation_twice(homes: Homes) -> None:
    file = put(homes, "charter.toml", 'title = "One"\n')
    homes.at("alba", "found", file)
    assert homes.error("alba", "found", file) == "federation-exists"


# -------------------------------------------------------------------------------------------------- keys, settings


def test_a_home_without_its_key_says_what_to_restore(homes: Homes) -> None:
    (homes["alba"] / "keys" / "site").unlink()
    assert homes.error("alba", "found", put(homes, "charter.toml", 'title = "One"\n')) == "key-missing"


def test_a_damaged_key_is_no_key(homes: Homes) -> None:
    (homes["alba"] / "keys" / "site").write_text("00 not a key")
    assert homes.error("alba", "found", put(homes, "charter.toml", 'title = "One"\n')) == "key-damaged"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("name = ", "file-toml"),
        ("\xff\x00", "file-toml"),
        (f"a = {'[' * 10**5}", "file-toml"),
        (f"a = {'9' * 5000}", "file-toml"),
        ("#" * (2**22 + 1), "file-toml"),
        ('name = "alba"\nmarks = "\\u0000"\n', "file-value"),
        ('title = "x"\n', "file-missing-key"),
        ('name = "alba"\nnmae = 1\n', "file-key"),
        ("name = 1\n", "file-value"),
        ('name = "a b"\n', "name-form"),
        ('name = "alba"\n[learner]\nthreads = "two"\n', "file-value"),
        ('name = "alba"\n[learner]\ncolour = 1\n', "file-key"),
        (f'name = "alba"\ntitle = "{"x" * 300}"\n', "file-value"),
    ],
)
def test_settings_that_are_wrong_name_their_file(homes: Homes, text: str, code: str) -> None:
    put(homes, "site.toml", text)
    said = homes.call("-C", str(homes["alba"]), "found", put(homes, "charter.toml", 'title = "One"\n'))
    assert f"error[{code}]" in said.err
    assert "site.toml" in said.err


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('otherwise = "perhaps"\n', "file-value"),
        ('otherwise = "ask"\n[[rule]]\nstrategies = ["fedavg"]\n', "file-missing-key"),
        ('[[rule]]\nanswer = "accept"\ntask = ["x"]\n', "file-key"),
    ],
)
def test_a_policy_that_cannot_be_read_accepts_nothing(homes: Homes, text: str, code: str) -> None:
    put(homes, "policy.toml", text)
    with pytest.raises(ImagiqError) as caught:
        _ = Home(homes["alba"]).policy
    assert caught.value.code == code
    assert "policy.toml" in str(caught.value)


def test_what_lies_in_a_home_and_is_no_file_that_imagiq_wrote_is_told_or_passed_over(homes: Homes) -> None:
    homes.found("alba")
    seat = next((homes["alba"] / "federations").iterdir())
    (seat / "decisions" / "study-0.json").mkdir(parents=True, exist_ok=True)
    (seat / "invitations.json").write_text("[" * 10**5)
    (seat / "invitations.json").chmod(0o600)
    (mark,) = (homes["alba"] / "marks").iterdir()
    homes.at("alba", "requests")
    assert homes.error("alba", "invite") == "home-damaged"
    mark.write_bytes(b"\xff\xfe")
    assert homes.error("alba", "sync") == "mark-form"
    mark.unlink()
    mark.mkdir()
    assert homes.error("alba", "sync") == "mark-unreadable"


# ------------------------------------------------------------------------------------------------------- charters


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "file-missing-key"),
        ('title = "One"\nvoters = ["bert"]\n', "charter-form"),
        ('title = "One"\nrecovery = ["xyz"]\n', "charter-form"),
        ('title = "One"\n[[member]]\ncard = "imagiq-site-1:AAAA"\n', "card-form"),
        ('title = "One"\n[rules]\naudit_per_mille = -1\n', "file-value"),
        ('title = "One"\n[rules]\nolder_models = "sold"\n', "file-value"),
        ('title = "One"\ncolour = 1\n', "file-key"),
    ],
)
def test_a_charter_that_cannot_be_is_refused_and_nothing_is_founded(homes: Homes, text: str, code: str) -> None:
    assert homes.error("alba", "found", put(homes, "charter.toml", text)) == code
    assert Home(homes["alba"]).seats() == ()


def test_two_founders_of_one_name_are_refused(homes: Homes) -> None:
    homes.init("bert", "caro")
    members = "".join(f'[[member]]\ncard = "{homes.card(one)}"\nname = "same"\n' for one in ("bert", "caro"))
    assert homes.error("alba", "found", put(homes, "charter.toml", f'title = "One"\n{members}')) == "charter-names"


# -------------------------------------------------------------------------------------------------------- remotes


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("share", "floppy", "a:"), "remote-kind"),
        (("a b", "folder", "."), "name-form"),
        (("share", "https", "https://127.0.0.1:1"), "remote-pin"),
        (("share", "https", "https://127.0.0.1:1", "--key", "00"), "remote-pin"),
        (("share", "https", "ftp://127.0.0.1", "--key", "0" * 64), "remote-url"),
        (("share", "bucket", "nothing"), "bucket-url"),
    ],
)
def test_a_remote_that_cannot_be_is_refused_and_not_kept(homes: Homes, arguments: tuple[str, ...], code: str) -> None:
    homes.at("alba", "found", put(homes, "charter.toml", 'title = "One"\n'))
    assert homes.error("alba", "remote", "add", *arguments) == code
    assert homes.at("alba", "remote", "list", "--json").json["remotes"] == []


def test_remotes_have_names_of_their_own(homes: Homes) -> None:
    homes.found("alba")
    assert homes.error("alba", "remote", "add", "share", "folder", str(homes.share)) == "remote-exists"
    assert homes.error("alba", "remote", "remove", "shore") == "remote-unknown"
    homes.at("alba", "remote", "remove", "share")
    assert "add one with" in homes.at("alba", "sync").out


def test_a_share_that_is_not_there_fails_the_sync_with_words_and_keeps_all(homes: Homes) -> None:
    homes.found("alba")
    homes.share.rename(homes.folder / "away")
    said = homes.at("alba", "sync", code=1)
    assert "error[remote-" in said.out + said.err
    (homes.folder / "away").rename(homes.share)
    homes.at("alba", "sync")


# ------------------------------------------------------------------------------------------------- what was decided


def test_the_owners_word_is_kept_over_a_restart_and_the_last_one_counts(tmp_path: Path) -> None:
    study = digest_of(b"study")
    Decisions(tmp_path / "d").answer(study, Answer.ACCEPT)
    Decisions(tmp_path / "d").answer(study, Answer.REFUSE)
    assert Decisions(tmp_path / "d").answers() == {study: Answer.REFUSE}


def test_a_damaged_decision_decides_nothing(tmp_path: Path) -> None:
    decisions = Decisions(tmp_path / "d")
    decisions.let_run("imagiq 1")
    decisions.answer(digest_of(b"study"), Answer.ACCEPT)
    for path in (tmp_path / "d").iterdir():
        path.write_bytes(path.read_bytes()[:-3])
    assert decisions.code() == frozenset()
    assert decisions.answers() == {}


def test_an_order_that_was_written_before_the_site_was_stopped_is_not_written_again(homes: Homes) -> None:
    homes.found("alba")
    home = Home(homes["alba"])
    seat = home.seat()
    with home.lock(), open_seat(home, seat) as session:
        head = session.bench.history.newest_first()[0].digest
        order = seat.decisions.order(Recipe("tag", 1, {"name": "first"}), parents=[Parent("input", head)])
        session.start()
        session.site.say(order.recipe, parents=order.parents, action=order.action)
    before = homes.at("alba", "log", "--json").json["commits"]
    assert len(seat.decisions.orders()) == 1
    homes.at("alba", "sync")
    assert homes.at("alba", "log", "--json").json["commits"] == before
    assert seat.decisions.orders() == ()


def test_the_same_ordered_twice_is_written_twice(homes: Homes) -> None:
    homes.found("alba")
    seat = Home(homes["alba"]).seat()
    head = homes.at("alba", "log", "--json").json["commits"][0]["digest"]
    for _ in range(2):
        seat.decisions.order(Recipe("tag", 1, {"name": "first"}), parents=[Parent("input", head)])
        homes.at("alba", "sync")
    names = [commit["recipe"] for commit in homes.at("alba", "log", "--json").json["commits"]]
    assert names.count("tag") == 2
