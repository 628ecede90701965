"""``imagiq fsck``: everything at rest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from imagiq.bench.fsck import Health, fsck
from imagiq.bench.place import find
from imagiq.cli.printing import as_document, as_json, escaped, painted, progress, say

__all__ = ["command"]

SHORT = 12
SHOWN = 20


@click.command()
@click.option(
    "--repair", is_flag=True, help="Take away what is damaged, so that it is fetched again; mend the journal."
)
@click.option("--json", "wants_json", is_flag=True, help="Print one JSON document.")
@click.pass_obj
def command(folder: Path, *, repair: bool, wants_json: bool) -> int:
    """Hash every object and commit, check that what they stand on is here, and build the index again.

    Ends with exit code 1 when something is wrong that was not repaired. A commit that is whole is never taken away.
    """
    found = fsck(find(folder), repair=repair, progress=progress)
    if wants_json:
        fields = as_json(found)
        result = {"command": "fsck", "ok": not found.problems, "problems": found.problems}
        say(as_document(result | (fields if isinstance(fields, dict) else {})))
    else:
        for line in _lines(found):
            say(line)
    return 1 if found.problems else 0


def _lines(found: Health) -> Iterator[str]:
    yield f"{found.objects} objects, {found.commits} commits, {found.records} records in the journal"
    for digest in found.damaged_objects[:SHOWN]:
        yield _bad(f"damaged object {digest}")
    if len(found.damaged_objects) > SHOWN:
        yield _bad(f"and {len(found.damaged_objects) - SHOWN} more damaged objects")
    for digest, why in found.damaged_commits.items():
        yield _bad(f"damaged commit {digest}: {escaped(why)}")
    for digest, why in found.unreadable.items():
        yield _bad(f"unreadable {digest}: {escaped(why)}")
    for missing in found.missing[:SHOWN]:
        yield _bad(f"missing {missing.what} {missing.digest[:SHORT]} of commit {missing.commit[:SHORT]}")
    if len(found.missing) > SHOWN:
        yield _bad(f"and {len(found.missing) - SHOWN} more missing")
    for digest in found.incomplete[:SHOWN]:
        yield _bad(f"the model of commit {digest[:SHORT]} is not whole any more")
    if found.journal_damaged:
        yield _bad("the journal is damaged in the middle; all other records are whole")
    yield from _notes(found)
    yield from _conclusion(found)


def _notes(found: Health) -> Iterator[str]:
    if found.forgotten:
        yield f"{found.forgotten} models were forgotten as the charter's retention says"
    if found.leftovers:
        yield f"{found.leftovers} files were being written; they mean nothing"
    yield f"index: {escaped(found.index)}"


def _conclusion(found: Health) -> Iterator[str]:
    if found.repaired and found.damages:
        yield f"{found.damages} repaired: what was damaged counts as missing now; sync to get it again"
    if found.new_feed:
        yield "this site goes on in a new feed: a commit that was taken away may have been its own"
    charters = sorted({missing.digest for missing in found.missing if missing.what == "charter"})
    for digest in charters[:SHOWN]:
        yield f"a charter comes by no sync: copy `objects/{digest[:2]}/{digest[2:]}` from the repository of another site"
    if any(missing.what != "charter" for missing in found.missing):
        yield "missing: sync to get it, or copy it from the repository of another site"
    elif found.problems and not charters:
        yield "run `imagiq fsck --repair`" if found.damages else "check the disk"
    elif not found.damages and not charters:
        yield "everything is whole"


def _bad(line: str) -> str:
    return painted(line, "red")
