"""What `deploy/` holds names commands and options that are there, and scripts that a shell can read."""

from __future__ import annotations

import configparser
import re
import shlex
import subprocess
from pathlib import Path

import click
import pytest

from imagiq.cli.group import group

DEPLOY = Path(__file__).parents[1] / "deploy"


def parsed(arguments: list[str]) -> None:
    """Let the command line read what is called, without running it."""
    name, *rest = arguments
    with group.make_context("imagiq", [name, *rest]) as context:
        command = group.get_command(context, name)
        assert isinstance(command, click.Command), name
        command.make_context(name, list(rest), parent=context, resilient_parsing=False).close()


@pytest.mark.parametrize("unit", sorted(DEPLOY.glob("*.service")), ids=lambda path: path.name)
def test_a_unit_starts_a_command_that_is_there_and_may_do_little(unit: Path) -> None:
    found = configparser.ConfigParser(strict=False, interpolation=None, delimiters=("=",))
    found.optionxform = str  # type: ignore[assignment,method-assign]
    found.read(unit)
    program, *arguments = shlex.split(found["Service"]["ExecStart"])
    assert program == "/opt/imagiq/bin/imagiq"
    parsed(arguments)
    for key, value in (("NoNewPrivileges", "yes"), ("ProtectSystem", "strict"), ("CapabilityBoundingSet", "")):
        assert found["Service"][key] == value
    assert found["Service"]["Restart"] == "always"
    assert "User" in found["Service"] or "DynamicUser" in found["Service"]


def test_the_container_runs_as_nobody_in_particular_and_starts_the_site() -> None:
    text = (DEPLOY / "Containerfile").read_text("utf-8")
    assert re.search(r"^USER imagiq$", text, re.MULTILINE)
    entry, command = (re.search(rf'^{word} \["(\w+)"\]$', text, re.MULTILINE) for word in ("ENTRYPOINT", "CMD"))
    assert entry is not None
    assert command is not None
    assert entry[1] == "imagiq"
    parsed([command[1]])


def test_the_air_gap_script_can_be_read_by_a_shell_and_says_how_it_is_called() -> None:
    script = DEPLOY / "air-gap.sh"
    assert subprocess.run(["sh", "-n", str(script)], check=False).returncode == 0
    done = subprocess.run(["sh", str(script)], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "usage: deploy/air-gap.sh FOLDER" in done.stderr
