"""``imagiq import``: a safetensors file as a root commit."""

from __future__ import annotations

from pathlib import Path

import click

from imagiq.bench.import_model import import_model
from imagiq.bench.place import find
from imagiq.bench.repository import open_repository
from imagiq.cli.printing import as_document, say

__all__ = ["command"]


@click.command(name="import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "wants_json", is_flag=True, help="Print one JSON document.")
@click.pass_obj
def command(folder: Path, file: Path, *, wants_json: bool) -> None:
    """Make a commit without parents that holds the model in FILE, which is in the safetensors format.

    The file is checked to the byte before anything of it is believed. Its name is not recorded.
    """
    bench = open_repository(find(folder), read_only=False)
    try:
        entry = import_model(bench, file)
    finally:
        bench.store.close()
    if wants_json:
        say(as_document({"command": "import", "commit": entry.digest, "tree": entry.commit.tree}))
    else:
        say(f"{entry.digest} holds the model now")
