"""``imagiq verify``: every signature, fork and merge again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import click

from imagiq.bench.names import resolve
from imagiq.bench.place import find
from imagiq.bench.repository import open_repository
from imagiq.bench.verify import Verification, verify
from imagiq.cli.printing import as_document, as_json, escaped, listed, painted, progress, say

__all__ = ["command"]

SHORT = 12
FINDINGS = {
    "verified": "verified: recomputed here, bit for bit",
    "attested": "attested by other sites, not recomputed here",
    "forgotten": "not recomputed: parents forgotten as the charter's retention says, and attested by nobody",
    "not held": "not recomputed: parents not held here, and attested by nobody",
    "not known": "not recomputed: made by a recipe that this imagiq does not know",
    "damaged": "not recomputed: damaged on this disk",
    "FALSE": "FALSE: not what their recipes give",
}


@click.command()
@click.argument("commit", required=False)
@click.option("--json", "wants_json", is_flag=True, help="Print one JSON document.")
@click.pass_obj
def command(folder: Path, commit: str | None, *, wants_json: bool) -> int:
    """Verify the whole history, or COMMIT and all that it was made from.

    Nothing that was found before is believed. Ends with exit code 1 when anything is forged, a key or a vote was used
    twice, or a merge is FALSE.
    """
    bench = open_repository(find(folder))
    found = verify(bench, None if commit is None else resolve(bench, commit), progress=progress)
    if wants_json:
        fields = as_json(found)
        result = {"command": "verify", "ok": not found.problems, "problems": found.problems}
        say(as_document(result | (fields if isinstance(fields, dict) else {})))
    else:
        for line in _lines(found):
            say(line)
    return 1 if found.problems else 0


def _lines(found: Verification) -> Iterator[str]:
    of = f"{found.commits} commits of {found.sites} sites in {found.feeds} feeds"
    if found.forged:
        yield _bad(f"{of}: {len(found.forged)} do not hold")
        yield from (f"  {digest[:SHORT]}  {escaped(why)}" for digest, why in found.forged.items())
    else:
        yield f"{of}: every signature and certificate holds"
    yield ", ".join(f"{count} {state}" for state, count in found.states.items() if count)
    yield from _twice(found)
    yield from _merges(found)


def _twice(found: Verification) -> Iterator[str]:
    for fork in found.forks:
        what = "certificate" if not fork.feed else f"feed {fork.feed[:SHORT]}, commit"
        evidence = listed((digest[:SHORT] for digest in fork.evidence), limit=4)
        yield _bad(f"FORK by {escaped(fork.site)}: {what} number {fork.number} twice: {evidence}")
    for vote in found.double_votes:
        evidence = listed((digest[:SHORT] for digest in vote.commits), limit=4)
        yield _bad(f"DOUBLE VOTE by {escaped(vote.voter)} in ballot {vote.ballot}: {evidence}")
    if found.rivals:
        yield _bad(f"Charters that have won against each other: {listed(digest[:SHORT] for digest in found.rivals)}")
    if not (found.forks or found.double_votes or found.rivals):
        yield "no key was used twice, and nobody voted twice"


def _merges(found: Verification) -> Iterator[str]:
    counts = Counter(merge.finding for merge in found.merges)
    yield f"{len(found.merges)} merges"
    for finding, words in FINDINGS.items():
        if counts[finding]:
            line = f"  {counts[finding]} {words}"
            yield _bad(line) if finding == "FALSE" else line
    for merge in found.merges:
        if merge.finding in {"FALSE", "damaged"}:
            why = f": {escaped(merge.why)}" if merge.why else ""
            yield f"  {merge.finding}  {merge.digest[:SHORT]} by {escaped(merge.site)}{why}"
        elif merge.finding == "attested":
            yield f"  attested  {merge.digest[:SHORT]} by {escaped(merge.site)}, by {listed(merge.attested_by)}"
        if merge.called_false_by and merge.finding != "FALSE":
            yield f"  claimed FALSE by {listed(merge.called_false_by)}: {merge.digest[:SHORT]}, found here: {merge.finding}"


def _bad(line: str) -> str:
    return painted(line, "red", bold=True)
