"""``imagiq checkout``: a commit's model as a file."""

from __future__ import annotations

from pathlib import Path

import click

from imagiq.bench.checkout import checkout
from imagiq.bench.names import resolve
from imagiq.bench.place import find
from imagiq.bench.repository import open_repository
from imagiq.cli.printing import as_document, as_json, escaped, painted, say

__all__ = ["command"]


@click.command()
@click.argument("commit")
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    metavar="FOLDER|FILE",
    default=Path(),
    help="A file that ends with .safetensors, or a folder. Default: the folder you are in.",
)
@click.option("--force", is_flag=True, help="Replace files that are there.")
@click.option("--json", "wants_json", is_flag=True, help="Print one JSON document.")
@click.pass_obj
def command(folder: Path, commit: str, out: Path, *, force: bool, wants_json: bool) -> None:
    """Write the model of COMMIT as a safetensors file, and beside it a JSON file.

    The JSON file holds the signed commit and the schema: architecture, channels, labels and preprocessing, without which
    a model cannot be used rightly.
    """
    bench = open_repository(find(folder))
    written = checkout(bench, resolve(bench, commit), out, force=force)
    if wants_json:
        fields = as_json(written)
        say(as_document({"command": "checkout", **(fields if isinstance(fields, dict) else {})}))
        return
    say(f"{escaped(str(written.model))}: {written.tensors} tensors, {written.nbytes} bytes")
    say(f"{escaped(str(written.description))}: the commit and its schema")
    if written.why_aside:
        say(painted(f"Never an input here: {escaped(written.why_aside)}", "red"))
    if written.state != "sound":
        say(painted(f"This commit is {written.state}.", "yellow"))
