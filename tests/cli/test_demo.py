from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from imagiq.cli.outcome import show_outcome
from imagiq.cli.watching import Lines, Watcher, left_in_words
from imagiq.clock import VirtualClock
from imagiq.federation import Train
from imagiq.learning import Advance
from imagiq.objects import Digest
from imagiq.simulation import Crash, Happening, Outcome, World, simulate
from tests.simulation.wards import cases_of, into, scenario

ROOT = Path(__file__).parents[2]
WAYS = ["alone", "fedavg", "cyclic", "incremental", "latest-of-each"]


def imagiq(*arguments: str, at: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "import sys; from imagiq.cli import main; sys.exit(main())", *arguments],
        cwd=at,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Runs the demo once, in a folder of its own."""
    folder = tmp_path_factory.mktemp("demo")
    done = imagiq("demo", "heart", at=folder)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


def test_the_demo_shows_every_way_and_hospital(demo: tuple[Path, str]) -> None:
    _, printed = demo
    lines = [line.split()[0] for line in printed.splitlines() if line.split()]
    for way in [*WAYS[:5], "pooled"]:
        assert lines.count(way) >= 2, way
    for name in ("Cleveland", "Budapest", "Zürich/Basel", "Long Beach", "AUC", "Accuracy", "What it took"):
        assert name in printed
    assert "How latest-of-each began" in printed


def test_the_demo_fits_100_columns_and_has_no_colours_in_a_pipe(demo: tuple[Path, str]) -> None:
    _, printed = demo
    assert [line for line in printed.splitlines() if len(line.rstrip()) > 100] == []
    assert "\x1b" not in printed


@pytest.mark.slow
def test_the_commands_that_the_demo_names_work(demo: tuple[Path, str]) -> None:
    folder, printed = demo
    commands = [line.split("  ")[1] for line in printed.splitlines() if line.startswith("  imagiq ")]
    assert len(commands) >= 5
    for command in commands:
        done = imagiq(*command.split()[1:], at=folder)
        assert done.returncode == 0, (command, done.stderr)


@pytest.mark.slow
def test_a_second_demo_does_not_overwrite_the_first_unless_told(demo: tuple[Path, str]) -> None:
    folder, _ = demo
    done = imagiq("demo", "heart", "--quiet", at=folder)
    assert done.returncode != 0
    assert "--fresh" in done.stderr
    assert imagiq("demo", "heart", "--quiet", "--fresh", at=folder).returncode == 0


@pytest.mark.slow
def test_the_demo_as_json_is_the_same_for_the_same_seed(tmp_path: Path) -> None:
    done = imagiq("demo", "heart", "--json", "--seed", "5", at=tmp_path)
    assert done.returncode == 0, done.stderr
    outcome = json.loads(done.stdout)
    assert [way["title"] for way in outcome["ways"]] == WAYS
    assert outcome["seed"] == 5
    assert all(site["finished"] for way in outcome["ways"] for site in way["sites"].values())
    replayed = imagiq(
        *("simulate", "heart-demo/federation.toml", "--replay", "heart-demo/journal.jsonl", "--json"), at=tmp_path
    )
    assert json.loads(replayed.stdout) == outcome


def test_simulate_compares_strategies_and_leaves_repositories(tmp_path: Path) -> None:
    example = str(ROOT / "examples/heart/federation.toml")
    done = imagiq("simulate", example, "--strategy", "alone,cyclic", "--out", "left", at=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "By AUC" in done.stdout
    assert "fedavg" not in done.stdout
    assert {path.name for path in (tmp_path / "left").iterdir()} == {
        *("journal.jsonl", "outcome.json", "report.html", "cleveland", "budapest", "zurich", "long-beach")
    }
    wrong = imagiq("simulate", example, "--strategy", "fedagv", at=tmp_path)
    assert wrong.returncode != 0
    assert "Did you mean 'fedavg'?" in wrong.stderr
    assert "Traceback" not in wrong.stderr


def shown(outcome: Outcome, width: int) -> str:
    console = Console(width=width, record=True, file=StringIO(), highlight=False)
    show_outcome(console, outcome)
    return console.export_text()


def test_a_narrow_terminal_gets_scores_without_intervals() -> None:
    outcome = simulate(scenario("local", "fedavg"), cases=cases_of())
    wide, narrow = shown(outcome, 100), shown(outcome, 80)
    assert "interval over patients" in wide
    assert "interval over patients" not in narrow
    assert max(map(len, narrow.splitlines())) <= 80
    mean = outcome.way("fedavg").mean["auc"]
    assert mean is not None
    assert f"{mean.point:.3f}" in narrow


def test_of_many_sites_the_lowest_middle_and_highest_are_shown() -> None:
    names = tuple(f"ward-{number}" for number in range(7))
    outcome = simulate(scenario("local", names=names), cases=cases_of(names))
    points = sorted(r.score["auc"].point for r in outcome.way("local").sites if r.score["auc"] is not None)
    printed = shown(outcome, 100)
    (line,) = [line for line in printed.splitlines() if line.startswith("local")][:1]
    assert line.split()[1:4] == [f"{points[0]:.3f}", f"{points[3]:.3f}", f"{points[6]:.3f}"]
    assert "7 of 7" in printed


def test_who_is_not_finished_is_marked() -> None:
    outcome = simulate(scenario("fedavg", until_s=1.5), cases=cases_of())
    printed = shown(outcome, 100)
    assert "…" in printed
    assert "it waits for" in printed


def test_the_live_table_shows_what_each_site_does() -> None:
    console = Console(width=100, force_terminal=True, file=StringIO())
    watcher, seen = Watcher(console), list[World]()
    faults = (Crash(site="west", at_s=1.1, for_s=1e9),)
    begin = into(seen)
    with watcher:
        simulate(
            scenario("local", faults=faults),
            cases=cases_of(),
            progress=lambda world: (begin(world), watcher.begin(world))[1],
        )
    paper = Console(width=100, record=True, file=StringIO())
    paper.print(watcher.drawn())
    lines = {line.split()[0]: line for line in paper.export_text().splitlines() if line.strip()}
    assert "is down" in lines["west"]
    assert "rests" in lines["east"]
    assert lines["east"].split()[2] == "4"


def test_the_live_table_shows_the_loss_and_how_long_is_left_while_a_site_trains() -> None:
    seen: list[World] = []
    simulate(scenario("local"), cases=cases_of(), progress=into(seen))
    (world,), clock = seen, VirtualClock()
    study = world.studies["local"]
    watcher = Watcher(Console(file=StringIO()), clock)
    note = watcher.begin(world)
    model, trained = Digest("a" * 64), study.steps * study.updates
    for site, done in (("east", trained // 3), ("west", 0)):
        work = Train(base=model, step=1, progress=0.0)
        note(Happening(at_s=0.0, site=site, what="began", study=study.digest, work=work))
        advance = Advance(done=done, budget=study.updates, loss=0.123456 if done else None)
        note(Happening(at_s=0.5, site=site, what="advance", study=study.digest, advance=advance))
    clock.advance_to(10.0)
    paper = Console(width=100, record=True, file=StringIO())
    paper.print(watcher.drawn())
    printed = paper.export_text()
    lines = {line.split()[0]: line for line in printed.splitlines() if line.strip()}
    assert lines["east"].split()[1:3] == ["trains", "local"]
    assert "0.1235" in lines["east"]
    assert lines["east"].split()[-3:] == ["33%", "20", "s"]
    assert lines["west"].split()[-1] == "0%"  # nothing is done there: what is left cannot be told
    assert lines["north"].split()[1] == "rests"
    assert "about 80 s left" in printed  # 3 sites, of whose training a ninth is done in 10 s


@pytest.mark.parametrize(
    ("share", "passed_s", "said"),
    [
        (0.0, 50.0, ""),
        (1.0, 50.0, ""),
        (0.5, 0.9, ""),
        (0.5, 10.0, "10 s"),
        (0.1, 11.0, "99 s"),
        (0.1, 12.0, "2 min"),
        (0.01, 60.0, "99 min"),
        (0.01, 100.0, "2.8 h"),
    ],
)
def test_what_is_left_is_told_in_the_unit_that_suits_it(share: float, passed_s: float, said: str) -> None:
    assert left_in_words(share, passed_s) == said


def test_in_a_pipe_each_measurement_crash_and_start_is_a_line() -> None:
    lines: list[str] = []
    of = scenario("local", faults=(Crash(site="west", at_s=1.1, for_s=5.0),))
    simulate(of, cases=cases_of(), progress=Lines(lines.append).begin)
    assert [line.split("  ")[-1].split(":")[0].strip() for line in lines if "west" in line] == [
        *("has crashed", "has started again", "local")
    ]
    assert sum("measured what came of it: accuracy 0." in line for line in lines) == 3


def test_in_a_pipe_how_far_all_is_stands_in_a_line_and_the_losses_in_the_next() -> None:
    lines: list[str] = []
    clock = VirtualClock()

    def begin(world: World) -> Callable[[Happening], None]:
        note = Lines(lines.append, clock).begin(world)

        def later(happening: Happening) -> None:
            clock.advance_to(clock.now_s() + 11.0)
            note(happening)

        return later

    simulate(scenario("local"), cases=cases_of(), progress=begin)
    far = [number for number, line in enumerate(lines) if "of all training is done, about" in line]
    assert far
    losses = [lines[number + 1].split() for number in far if "loss: " in lines[number + 1]]
    assert losses
    assert losses[-1][0] == "loss:"
    assert {len(word.rstrip(",")) for word in losses[-1][2::2]} <= {3, 4}, "two digits of each"
