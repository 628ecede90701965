"""The command line: argv, environment, printing, exit codes.

Exit codes: 0 done; 1 an error, or something found that should not be; 2 the call was wrong; 3 a mistake in imagiq;
130 interrupted; 141 whoever read the output has enough.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from traceback import extract_tb

import click

from imagiq.cli.group import group
from imagiq.cli.printing import as_document, escaped
from imagiq.errors import ImagiqError, Misuse

__all__ = ["main"]

PACKAGE = Path(__file__).parents[1]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return the exit code. Whatever happens, nobody sees a traceback."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    _prepare_output()
    try:
        code = _run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        return _stop_writing()
    except click.ClickException as error:
        return _tell_usage(error, arguments)
    except (KeyboardInterrupt, click.Abort):
        return _tell("interrupted", "Stopped.", "What was written before is kept.", arguments, 130)
    except ImagiqError as error:
        return _tell(error.code, error.what, error.advice, arguments, 2 if isinstance(error, Misuse) else 1)
    except Exception as error:  # noqa: BLE001 - the one edge: nobody sees a traceback, with values in it
        return _tell_unforeseen(error, arguments)
    return code


def _run(arguments: list[str]) -> int:
    instruction = os.environ.get("_IMAGIQ_COMPLETE")
    if instruction:
        from click.shell_completion import shell_complete  # noqa: PLC0415 - only for a shell that asks

        return shell_complete(group, {}, "imagiq", "_IMAGIQ_COMPLETE", instruction)
    try:
        with group.make_context("imagiq", arguments) as context:
            code = group.invoke(context)
    except click.exceptions.Exit as end:
        return end.exit_code
    return code if isinstance(code, int) else 0


def _prepare_output() -> None:
    """Never fail for a character that the terminal's encoding does not have."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            is_utf8 = stream.encoding.lower().replace("-", "") == "utf8"
            stream.reconfigure(errors="backslashreplace" if is_utf8 else "replace")


def _stop_writing() -> int:
    """Let the interpreter end without writing what nobody reads."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
    return 141


def _tell_usage(error: click.ClickException, arguments: Sequence[str]) -> int:
    context = error.ctx if isinstance(error, click.UsageError) else None
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        click.echo(error.format_message())
        return 0
    path = "imagiq" if context is None else context.command_path
    return _tell("usage", error.format_message(), f"See `{path} --help`.", arguments, error.exit_code)


def _tell_unforeseen(error: Exception, arguments: Sequence[str]) -> int:
    """Say what no room has foreseen: a file that the system refuses is its owner's to mend, anything else is ours."""
    if isinstance(error, OSError) and isinstance(error.filename, str):
        what = f"{error.filename} cannot be read or written: {error.strerror}."
        return _tell("file-unreadable", what, "Check its name and its rights.", arguments, 1)
    return _tell("unexpected", *_mistake(error), arguments, 3)


def _mistake(error: Exception) -> tuple[str, str]:
    """Say what went wrong where, without any value: there may be a patient in it."""
    place = ""
    for frame in extract_tb(error.__traceback__):
        if frame.filename.startswith(str(PACKAGE)):
            place = f" at {Path(frame.filename).relative_to(PACKAGE.parent).as_posix()}:{frame.lineno}"
    return (
        f"imagiq made a mistake: {type(error).__name__}{place}.",
        "Nothing committed is lost. Please report this line, with what `imagiq --version` prints.",
    )


def _tell(code: str, what: str, advice: str, arguments: Sequence[str], exit_code: int) -> int:
    """Print an error for people, and for programs that asked for JSON; return the exit code."""
    with contextlib.suppress(OSError):
        click.echo(f"error[{code}]: {escaped(what)}\n  {escaped(advice)}", err=True)
    if "--json" in arguments:
        error = {"code": code, "what": what, "advice": advice}
        try:
            click.echo(as_document({"error": error}))
            sys.stdout.flush()
        except BrokenPipeError:
            _stop_writing()
    return exit_code
