"""The command line: what it prints, its exit codes, and that nobody ever sees a traceback or a steered terminal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import imagiq
from imagiq import cli
from imagiq.cli import main
from imagiq.cli.group import COMMANDS, group
from imagiq.cli.printing import escaped
from imagiq.objects import Recipe, Tree, digest_of
from tests.bench.repositories import Repositories, trained_again

Captured = pytest.CaptureFixture[str]
ANY_COLOUR = "\x1b["


def run(
    *arguments: str, cwd: Path | None = None, code: int = 0, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run imagiq in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "imagiq", *arguments],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="replace",
        check=False,
        timeout=60,
    )
    assert done.returncode == code, done
    assert "Traceback" not in done.stderr + done.stdout
    return done


# --------------------------------------------------------------------------------------------- the verbs


def test_every_verb_works_in_a_folder_of_the_repository(
    sites: Repositories, tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = sites["a"] / "deep"
    inside.mkdir()
    monkeypatch.chdir(inside)
    for arguments, printed in (
        (["log"], sites.merge[:10]),
        (["log", "--graph", "--study", "local"], "* "),
        (["show", "local@a"], sites.merge),
        (["show", sites.attest[:8], "--all"], "attest"),
        (["diff", *sites.trained], "2 of 2 tensors differ"),
        (["diff", sites.merge, sites.merge], "the same model"),
        (["verify"], "1 verified"),
        (["verify", "b"], "every signature"),
        (["fsck"], "everything is whole"),
        (["checkout", "a", "-o", "m"], "2 tensors"),
        (["import", f"m/{sites.merge[:12]}.safetensors"], "holds the model now"),
        (["log", "-n", "1"], ""),
    ):
        assert main(arguments) == 0, arguments
        out = capsys.readouterr().out
        assert printed in out
        assert ANY_COLOUR not in out, "nobody looks at it: no colours"


def test_verify_and_fsck_end_with_1_when_they_find_something(sites: Repositories, capsys: Captured) -> None:
    bench = sites.writable("a")
    tree = Tree(bench.models.tree(bench.history[sites.merge].commit.tree or digest_of(b"")).schema, ())
    claimed = bench.models.tree(bench.history[sites.trained[0]].commit.tree or tree.digest)
    first = bench.history[sites.merge].commit
    bench.commit(Recipe("merge", 1, first.recipe.parameters), parents=first.parents, study=first.study, tree=claimed)
    bench.store.close()
    assert main(["-C", str(sites["a"]), "verify"]) == 1
    assert "FALSE" in capsys.readouterr().out
    _, blobs = sites.tree_of("a", sites.merge)
    sites.object("a", blobs[0]).write_bytes(b"")
    assert main(["-C", str(sites["a"]), "fsck"]) == 1
    assert "damaged object" in capsys.readouterr().out
    assert main(["-C", str(sites["a"]), "fsck", "--repair"]) == 0
    assert "repaired" in capsys.readouterr().out
    assert main(["-C", str(sites["a"]), "fsck"]) == 0


# ------------------------------------------------------------------------------------------ bad calls


@pytest.mark.parametrize(
    ("arguments", "exit_code", "code", "says"),
    [
        (["lgo"], 2, "usage", "Do you mean log?"),
        (["nothing-like-it"], 2, "usage", "no command"),
        (["--nothing"], 2, "usage", "--nothing"),
        (["show"], 2, "usage", "COMMIT"),
        (["diff", "abcd"], 2, "usage", "SECOND"),
        (["log", "-n", "many"], 2, "usage", "many"),
        (["log", "-n", "0"], 2, "log-limit", "one or more"),
        (["log", "-n", "-5"], 2, "log-limit", "one or more"),
        (["log", "--graph", "--json"], 2, "usage", "--graph"),
        (["log", "--study", "lokal"], 1, "study-unknown", "Do you mean local?"),
        (["show", "ffffffffff"], 1, "commit-unknown", "sync"),
        (["show", "abc"], 2, "prefix-short", "4 or more"),
        (["show", ""], 1, "commit-unknown", "STUDY@SITE"),
        (["show", "\x1b[31mred\n"], 1, "commit-unknown", "\\u001b[31mred\\u000a"),
        (["show", "local@zebra"], 1, "site-unknown", "a, b, c"),
        (["import", "nowhere.safetensors"], 1, "file-missing", "Check the name"),
        (["import", "."], 2, "import-no-file", "safetensors"),
    ],
)
def test_a_bad_call_is_answered_with_what_to_do(
    sites: Repositories, capsys: Captured, arguments: list[str], exit_code: int, code: str, says: str
) -> None:
    before = sorted(sites["a"].rglob("commits/*/*"))
    assert main(["-C", str(sites["a"]), *arguments]) == exit_code
    printed = capsys.readouterr()
    assert f"error[{code}" in printed.err
    assert says in printed.err
    assert sorted(sites["a"].rglob("commits/*/*")) == before, "nothing was lost"


def test_outside_a_repository_every_verb_says_so(tmp_path: Path, capsys: Captured) -> None:
    for arguments in (
        ["log"],
        ["show", "x"],
        ["diff", "x", "y"],
        ["verify"],
        ["fsck"],
        ["checkout", "x"],
        ["import", "x"],
    ):
        assert main(["-C", str(tmp_path), *arguments]) == 1
        printed = capsys.readouterr()
        assert "error[repository-missing]" in printed.err
        assert "imagiq demo" in printed.err
        assert printed.out == ""
    assert main(["-C", str(tmp_path / "nowhere"), "log"]) == 1
    assert "error[folder-missing]" in capsys.readouterr().err


def test_who_writes_while_somebody_else_does_is_told_to_wait(
    sites: Repositories, tmp_path: Path, capsys: Captured
) -> None:
    main(["-C", str(sites["a"]), "checkout", "a", "-o", str(tmp_path / "m.safetensors")])
    holder = sites.writable("a")
    assert main(["-C", str(sites["a"]), "import", str(tmp_path / "m.safetensors")]) == 1
    assert "error[store-locked]" in capsys.readouterr().err
    assert main(["-C", str(sites["a"]), "log"]) == 0, "anybody may read"
    holder.store.close()


def test_a_damaged_repository_says_what_to_run(sites: Repositories, capsys: Captured) -> None:
    sites.commit("a", sites.merge).write_bytes(b"damaged")
    assert main(["-C", str(sites["a"]), "verify"]) == 1
    assert "imagiq fsck --repair" in capsys.readouterr().err


# --------------------------------------------------------------------------------- mistakes, interruptions


def raising(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("imagiq.cli.log.log_at", fail)


@pytest.mark.parametrize("command", [["log"], ["status"], ["fsck"], ["report"], ["init", "x" * 300, "--name", "x"]])
def test_what_the_system_refuses_to_look_for_is_no_mistake_of_imagiq(
    command: list[str], tmp_path: Path, capsys: Captured
) -> None:
    assert main(["-C", str(tmp_path / ("x" * 300)), *command]) == 1
    assert "error[file-unreadable]" in (said := capsys.readouterr().err)
    assert "File name too long" in said


def test_a_mistake_in_imagiq_is_one_line_without_values(
    sites: Repositories, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    raising(monkeypatch, ValueError("Jane Doe, born 1950"))
    assert main(["-C", str(sites["a"]), "log"]) == 3
    printed = capsys.readouterr()
    assert "Jane" not in printed.err + printed.out
    assert "ValueError at imagiq/cli/log.py:" in printed.err
    assert "report" in printed.err


@pytest.mark.parametrize(
    ("error", "exit_code"),
    [(KeyboardInterrupt(), 130), (click.Abort(), 130), (BrokenPipeError(), 141), (MemoryError(), 3)],
)
def test_interruptions_have_their_exit_codes(
    sites: Repositories, monkeypatch: pytest.MonkeyPatch, error: BaseException, exit_code: int
) -> None:
    raising(monkeypatch, error)
    monkeypatch.setattr(cli, "_stop_writing", lambda: 141)
    assert main(["-C", str(sites["a"]), "log"]) == exit_code


def test_who_reads_only_the_first_line_hears_nothing_more(sites: Repositories) -> None:
    command = [sys.executable, "-m", "imagiq", "-C", str(sites["a"]), "log", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode in {141, 0}


# -------------------------------------------------------------------------------- terminals, encodings, text


def hostile(sites: Repositories) -> None:
    """Let a write a commit whose texts try to steer a terminal."""
    bench = sites.writable("a")
    text = "\x1b]0;owned\x07\x1b[2J\u202eevil\r\n"
    bench.commit(Recipe(text[:60], 1, {text: text}), metrics={text: 1})
    bench.store.close()


def test_text_of_others_does_not_steer_a_terminal(sites: Repositories, capsys: Captured) -> None:
    hostile(sites)
    newest = imagiq.open(sites["a"]).log(site="a").entries
    for arguments in (
        ["log"],
        ["log", "--graph"],
        *(["show", entry.digest] for entry in newest),
        *(["diff", entry.digest, sites.merge] for entry in newest),
    ):
        assert main(["-C", str(sites["a"]), *arguments]) == 0
        out = capsys.readouterr().out
        assert not {"\x1b", "\x07", "\r", "\u202e"} & set(out)


def test_only_what_steers_is_escaped() -> None:
    assert escaped("Zürich 東京 a\tb") == "Zürich 東京 a\\u0009b"
    assert escaped("\udcff\u202e") == "\\udcff\\u202e"


def test_output_works_in_any_encoding_and_width(sites: Repositories) -> None:
    hostile(sites)
    for encoding in ("ascii", "latin-1", "utf-8"):
        for arguments in (["log", "--graph"], ["show", "a"], ["verify"], ["--help"]):
            done = run("-C", str(sites["a"]), *arguments, PYTHONIOENCODING=encoding, COLUMNS="20", TERM="dumb")
            assert done.stdout
    run("-C", str(sites["a"]), "show", "Zürich", PYTHONIOENCODING="ascii", code=1)


@pytest.mark.skipif(os.name == "nt", reason="needs a pseudo-terminal")
@pytest.mark.parametrize(
    ("environment", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)]
)
def test_a_terminal_gets_colours_unless_it_does_not_want_them(
    sites: Repositories, environment: dict[str, str], *, coloured: bool
) -> None:
    import pty

    outer, inner = pty.openpty()
    given = {key: value for key, value in os.environ.items() if key not in {"NO_COLOR", "COLUMNS"}}
    with subprocess.Popen(
        [sys.executable, "-m", "imagiq", "-C", str(sites["a"]), "log", "--graph"],
        stdout=inner,
        stderr=inner,
        env={**given, "TERM": "xterm", "COLUMNS": "80", **environment},
    ) as process:
        os.close(inner)
        printed = b""
        try:
            while piece := os.read(outer, 4096):
                printed += piece
        except OSError:  # the other end was closed
            pass
    os.close(outer)
    assert process.returncode == 0
    assert (b"\x1b[" in printed) is coloured
    plain = [line for line in printed.decode().splitlines() if not coloured]
    assert all(len(line) <= 80 for line in plain)


# ------------------------------------------------------------------------------------------- help, loading


def test_help_lists_every_command_and_each_has_its_own(capsys: Captured) -> None:
    assert main(["--help"]) == 0
    overview = capsys.readouterr().out
    for name, words in COMMANDS.items():
        assert name in overview
        assert words in overview
        command = group.get_command(click.Context(group), name)
        inner = [[name, each] for each in command.commands] if isinstance(command, click.Group) else [[name]]
        for words_of_one in inner:
            assert main([*words_of_one, "--help"]) == 0
            assert "--json" in capsys.readouterr().out, words_of_one
    assert main([]) == 0
    assert capsys.readouterr().out == overview


def test_the_version_is_the_packages(capsys: Captured) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"imagiq {imagiq.__version__}\n"


def test_commands_run_under_clicks_own_runner(sites: Repositories) -> None:
    done = CliRunner().invoke(group, ["-C", str(sites["a"]), "log", "-n", "1"], prog_name="imagiq")
    assert done.exit_code == 0
    assert len(done.stdout.splitlines()) == 1


def loaded_after(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint(*sys.modules)"], capture_output=True, text=True, check=True
    )
    return set(done.stdout.splitlines()[-1].split())


def test_help_and_a_log_from_the_index_load_no_more_than_they_need(sites: Repositories) -> None:
    heavy = {"numpy", "cryptography", "rich", "torch", "safetensors"}
    assert not heavy & loaded_after("from imagiq.cli import main\nmain(['--help'])")
    assert not {"imagiq.bench", "imagiq.store"} & loaded_after("from imagiq.cli import main\nmain(['--help'])")
    assert main(["-C", str(sites["a"]), "log"]) == 0  # builds the index
    log = f"from imagiq.cli import main\nmain(['-C', {str(sites['a'])!r}, 'log', '--graph'])"
    assert not (heavy | {"imagiq.bench.bench"}) & loaded_after(log)


def test_reading_commands_leave_the_repository_as_it_was(sites: Repositories, tmp_path: Path) -> None:
    main(["-C", str(sites["a"]), "log"])
    before = {p: p.read_bytes() for p in (sites["a"] / ".imagiq").rglob("*") if p.is_file() and "index" not in p.name}
    for arguments in (
        ["log"],
        ["show", "a"],
        ["diff", *sites.trained],
        ["verify"],
        ["checkout", "a", "-o", str(tmp_path)],
    ):
        assert main(["-C", str(sites["a"]), *arguments]) == 0
    after = {p: p.read_bytes() for p in (sites["a"] / ".imagiq").rglob("*") if p.is_file() and "index" not in p.name}
    assert after == before


def test_the_audit_lists_all_deeds_and_ends_with_1_where_a_key_was_used_twice(
    sites: Repositories, capsys: Captured
) -> None:
    assert main(["-C", str(sites["a"]), "audit"]) == 0
    shown = capsys.readouterr().out
    assert "merged 2 models" in shown
    assert "holds, verified" in shown
    assert main(["-C", str(sites["c"]), "audit", "--site", "b", "--json"]) == 0
    sound = json.loads(capsys.readouterr().out)
    assert sound["ok"]
    assert {deed["site"] for deed in sound["deeds"]} == {"b"}
    _, raw = trained_again(sites)
    bench = sites.writable("c")
    bench.admit([raw], "b")
    bench.store.close()
    assert main(["-C", str(sites["c"]), "audit", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert not found["ok"]
    assert found["problems"]
