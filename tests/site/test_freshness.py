"""A remote that keeps a member's commits back: others' words on them show it, and a newcomer waits for what they knew."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from imagiq.clock import SystemClock
from imagiq.history import Entry
from imagiq.objects import Recipe
from imagiq.site.doctor import Finding, examine
from imagiq.site.home import Home
from imagiq.site.session import Session, open_seat
from imagiq.site.snapshot import status_at_rest
from imagiq.site.status import UnheardStatus
from imagiq.site.syncing import sync_seat
from tests.site.homes import Homes
from tests.site.processes import Town, until


class Later(SystemClock):
    """A clock some time ahead."""

    def __init__(self, by_s: float) -> None:
        self._by_s = by_s

    def now_s(self) -> float:
        return super().now_s() + self._by_s


def opened(homes: Homes, name: str) -> Session:
    home = Home(homes[name])
    return open_seat(home, home.seats()[0])


def write(homes: Homes, name: str) -> Entry:
    """Let a site learn, write a commit, and publish it."""
    with opened(homes, name) as session:
        sync_seat(session)
        entry = session.site.say(Recipe("note", 1, {}))
        sync_seat(session)
    return entry


def pseudonym_of(homes: Homes, name: str) -> str:
    with opened(homes, name) as session:
        return session.ring.federation.pseudonym(session.key.public)


class Keeper:
    """A second folder that shows what is in the first, except what one member has published since."""

    def __init__(self, homes: Homes, name: str) -> None:
        self.path = homes.folder / "kept"
        self._share = homes.share
        self._hidden = f"{pseudonym_of(homes, name)}/feeds"
        self.show_all()

    def show_all(self) -> None:
        shutil.copytree(self._share, self.path, dirs_exist_ok=True)

    def show_others(self) -> None:
        """Show what is new of everybody else."""

        def hidden(folder: str, names: list[str]) -> list[str]:
            inside = Path(folder).relative_to(self._share).as_posix()
            return [name for name in names if f"{inside}/{name}".startswith(self._hidden)]

        shutil.copytree(self._share, self.path, ignore=hidden, dirs_exist_ok=True)


def unheard(homes: Homes, name: str, later_s: float = 3600.0) -> tuple[UnheardStatus, ...]:
    home = Home(homes[name])
    (federation,) = status_at_rest(home, home.seats(), Later(later_s)).federations
    return federation.unheard


def news(homes: Homes, name: str) -> list[Finding]:
    return [one for one in examine(Home(homes[name]), Later(3600.0)) if one.check == "news"]


@pytest.fixture
def homes(tmp_path: Path) -> Homes:
    """Three members with a share."""
    found = Homes(tmp_path)
    found.init("alba", "bert", "caro")
    members = "".join(f'[[member]]\ncard = "{found.card(name)}"\n' for name in ("bert", "caro"))
    found.found("alba", f'title = "Three"\n{members}')
    text = found.invite("alba")
    for name in ("bert", "caro"):
        found.at(name, "join", text, "--yes")
    for name in ("alba", "caro"):
        path = found[name] / "site.toml"
        path.write_text(path.read_text().replace('# device = "auto"', 'device = "cpu" #'), "utf-8")
    found.sync("bert", "caro", "alba", "bert")
    return found


def use_only(homes: Homes, name: str, folder: Path) -> None:
    homes.at(name, "remote", "remove", "share")
    homes.at(name, "remote", "add", "kept", "folder", str(folder))


def test_a_folder_that_hides_a_members_commits_is_found_by_what_others_say(homes: Homes) -> None:
    write(homes, "bert")
    homes.sync("caro")
    keeper = Keeper(homes, "bert")
    use_only(homes, "caro", keeper.path)
    number = write(homes, "bert").commit.number
    write(homes, "alba")
    keeper.show_others()
    homes.sync("caro")
    (one,) = unheard(homes, "caro")
    assert (one.site, one.here, one.known_to) == ("bert", number - 1, {"alba": number})
    assert unheard(homes, "caro", 60.0) == (), "so long news may take"
    assert unheard(homes, "alba") == ()
    (finding,) = news(homes, "caro")
    assert finding.what == f"alba knows bert's feed up to commit {number}, and here it ends at {number - 1}."
    assert (finding.ok, "add another remote" in finding.advice) == (False, True)
    homes.at("caro", "remote", "add", "share", "folder", str(homes.share))
    homes.sync("caro")
    assert (unheard(homes, "caro"), news(homes, "caro")) == ((), [])


def let_in_dora(homes: Homes) -> int:
    """Let dora in by alba and bert, and give her a folder without the last commits of caro, which both knew; return their number."""
    homes.init("dora")
    homes.at("dora", "join", homes.invite("alba"), "--yes")
    homes.sync("alba", "bert", "caro")
    keeper = Keeper(homes, "caro")
    number = write(homes, "caro").commit.number
    for name in ("alba", "bert"):
        write(homes, name)
        homes.at(name, "approve", "dora")
    homes.sync("alba", "bert", "alba", "bert")
    keeper.show_others()
    use_only(homes, "dora", keeper.path)
    return number


@pytest.mark.slow
def test_a_newcomer_waits_for_what_those_knew_who_let_it_in_and_goes_on_when_another_remote_brings_it(
    homes: Homes,
) -> None:
    number = let_in_dora(homes)
    said = homes.at("dora", "work", "--once", code=4).out
    assert homes.members("dora") == ["alba", "bert", "caro", "dora"]
    whose = f"waits for commits of caro up to number {number}, which alba and bert knew when they let this site in"
    assert whose in said
    homes.at("dora", "remote", "add", "share", "folder", str(homes.share))
    said = homes.at("dora", "work", "--once", code=5).out
    assert "nothing left to do" in said


@pytest.mark.slow
@pytest.mark.process
def test_a_newcomer_that_runs_says_what_it_waits_for_and_goes_on_by_itself(homes: Homes) -> None:
    let_in_dora(homes)
    town = Town(homes, ("dora",))
    try:
        town.up()
        until("dora waits", lambda: "commits of caro" in why_not(town))
        assert "waits for commits of caro" in homes.at("dora", "status").out
        homes.at("dora", "remote", "add", "share", "folder", str(homes.share))
        until("dora goes on", lambda: why_not(town) == "")
    finally:
        town.stop()


def why_not(town: Town) -> str:
    (one,) = town.status("dora")["federations"]
    return str(one["why_not"])
