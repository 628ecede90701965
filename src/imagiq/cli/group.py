"""The commands, each loaded when it is called, so that ``imagiq --help`` loads none."""

from __future__ import annotations

import difflib
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Final

import click

__all__ = ["COMMANDS", "group"]

COMMANDS: Final = MappingProxyType(
    {
        "demo": "Watch four hospitals build a model together, in several ways.",
        "simulate": "Run a federation from a file, on this machine.",
        "report": "Make a page of what was done, and which way was worth it.",
        "init": "Make a home for this site: its settings and its key.",
        "found": "Found a federation with a charter.",
        "invite": "Invite a site into a federation.",
        "join": "Ask to join a federation.",
        "requests": "List what sites ask for, and studies that wait.",
        "approve": "Approve a request, a change of the charter or a study.",
        "refuse": "Refuse one.",
        "members": "List the members of a federation.",
        "remove": "Let a member be removed.",
        "leave": "Leave a federation.",
        "amend": "Let the charter's rules read otherwise.",
        "rotate-key": "Give this site a new key.",
        "study": "Open, list, watch and stop studies.",
        "up": "Run this site: exchange, decide, train, commit.",
        "status": "Say how this site and the others are.",
        "down": "Stop this site.",
        "work": "Do one action and end: for cron and Slurm.",
        "recover": "Sign a charter with offline recovery keys.",
        "tag": "Give a commit a name, or release it.",
        "remote": "Say where to exchange with others.",
        "sync": "Exchange with all remotes once.",
        "serve": "Listen for others over https, for this site or as a relay.",
        "bundle": "Exchange by file.",
        "doctor": "Find what is wrong at this site, and what to do.",
        "log": "List commits, the newest first; with --graph as a drawing.",
        "show": "Show all that is known of a commit.",
        "diff": "Show what differs between two commits.",
        "verify": "Check every signature, fork and merge again.",
        "audit": "List who did what when, verified offline.",
        "fsck": "Check everything at rest, and repair it.",
        "gc": "Forget the models that the charter does not keep.",
        "evaluate": "Try a commit's model on cases.",
        "predict": "Let a commit's model draw into an image.",
        "checkout": "Write a commit's model as a safetensors file.",
        "import": "Make a commit of a safetensors file.",
    }
)
"""Name -> what it is for, in the order of the help. Each is ``command`` in the module of its name."""

_MODULES: Final = MappingProxyType({"import": "imagiq.cli.import_file"})


class _Lazy(click.Group):
    """A group whose commands are modules that are loaded when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's interface
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - the same
        if cmd_name not in COMMANDS:
            return None
        command = import_module(_MODULES.get(cmd_name, f"imagiq.cli.{cmd_name.replace('-', '_')}")).command
        if not isinstance(command, click.Command):
            raise TypeError(cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            near = difflib.get_close_matches(name, COMMANDS, n=1)
            raise click.UsageError(f"There is no command '{name}'.{f' Do you mean {near[0]}?' if near else ''}", ctx)
        _, command, rest = super().resolve_command(ctx, args)
        return name, command, rest

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - the same
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=_Lazy,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "-C",
    "folder",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    default=Path(),
    envvar="IMAGIQ_HOME",
    help="Work on the repository or home that this folder is, or lies in; other paths stay as they are.",
)
@click.option("--federation", metavar="NAME", help="In the home of a site that is in several: which federation.")
@click.option("--version", "wants_version", is_flag=True, help="Print the version.")
@click.pass_context
def group(context: click.Context, folder: Path, federation: str | None, *, wants_version: bool) -> None:
    """Git for models: hospitals build imaging models together while every image stays where it was taken.

    A COMMIT is named by the first characters of its digest, or as SITE, STUDY or STUDY@SITE: the newest model there.
    """
    if federation is not None:
        found, _ = import_module("imagiq.site.home").find_home(folder)
        folder = found.seat(federation).path
    context.obj = folder
    if wants_version:
        click.echo(f"imagiq {import_module('importlib.metadata').version('imagiq')}")
        context.exit()
    if context.invoked_subcommand is None:
        click.echo(context.get_help())
