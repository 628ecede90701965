"""How far the fetching of a model is shows while it lasts: in the status of a site that runs, and on the terminal of `sync`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from threading import Event, Thread

import pytest
from rich.console import Console

from imagiq.cli import main
from imagiq.cli.living import drawn
from imagiq.clock import SystemClock
from imagiq.site.fetches import fetch_in_words, fetch_status
from imagiq.site.home import Home
from imagiq.site.running import Hooks, Running
from imagiq.site.snapshot import running_status
from imagiq.site.status import FederationStatus, FetchStatus, Status, read_status, write_status
from tests.site.processes import Town, town_of

FETCHING = FetchStatus(commit="c" * 64, site="caro", what="training 12", done=37_400_000, lacked=100_000_000)


class Terminal(StringIO):
    """Where people look at."""

    def isatty(self) -> bool:
        return True


def test_it_is_said_in_megabytes_whose_model_is_fetched() -> None:
    assert fetch_in_words(FETCHING) == "fetches 37 of 100 MB of caro's training 12"
    small = FetchStatus(commit="c" * 64, site="caro", what="merge", done=0, lacked=2_560_000)
    assert fetch_in_words(small) == "fetches 0.0 of 2.6 MB of caro's merge"


def test_the_status_and_its_file_hold_it(tmp_path: Path) -> None:
    status = Status(pid=1, federations=(FederationStatus(name="heart", fetching=FETCHING),))
    write_status(tmp_path, status)
    assert read_status(tmp_path) == status
    out = StringIO()
    Console(file=out, width=100).print(drawn(status, 0.0))
    assert "fetches 37 of 100 MB of caro's training 12" in out.getvalue()


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    """Two members, and a study whose first model only its opener has."""
    with town_of(tmp_path, "alba", "bert") as found:
        found.study("alba", steps=1)
        found.homes.sync("alba")
        yield found


def synced(town: Town, *options: str) -> tuple[str, str]:
    """Let bert sync on a terminal; return what it prints, and what passes by."""
    out, err = StringIO(), Terminal()
    with redirect_stdout(out), redirect_stderr(err):
        assert main(["-C", str(town.homes["bert"]), "sync", *options]) == 0
    return out.getvalue(), err.getvalue()


def test_sync_shows_it_on_a_terminal_and_leaves_nothing(town: Town) -> None:
    out, err = synced(town)
    lines = [line.strip() for line in err.split("\r")]
    assert "fetches 0.0 of 0.0 MB of alba's first model" in lines
    assert lines[-1] == lines[-2] == ""
    assert "fetches" not in out


def test_sync_as_json_is_one_document_and_nothing_passes_by(town: Town) -> None:
    out, err = synced(town, "--json")
    assert json.loads(out)["command"] == "sync"
    assert err == ""


def test_a_site_that_runs_says_it_while_it_lasts(town: Town) -> None:
    home, seen, is_over = Home(town.homes["bert"]), list[FetchStatus](), Event()
    is_open = Event()
    running: list[Running] = []

    def moved() -> None:
        if running and running[0].fetching is not None:
            seen.append(fetch_status(running[0].session.bench, *running[0].fetching))
        elif seen:
            is_over.set()

    def run(name: str, work: Callable[[], None]) -> Thread:
        def once_open() -> None:
            is_open.wait()
            work()

        thread = Thread(target=once_open, name=name, daemon=True)
        thread.start()
        return thread

    hooks = Hooks(tell=lambda _: None, changed=lambda: None, moved=moved, run=run)
    with home.lock():
        running.append(Running(home, home.seats()[0], clock=SystemClock(), hooks=hooks))
        is_open.set()
        try:
            assert is_over.wait(30)
            assert running_status(running[0]).fetching is None
        finally:
            running[0].close()
    assert {(one.site, one.what) for one in seen} == {("alba", "first model")}
    assert list(dict.fromkeys(one.done for one in seen)) == [0, seen[0].lacked]
