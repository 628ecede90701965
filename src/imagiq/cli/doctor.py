"""``imagiq doctor``: what is wrong at this site, and what to do."""

from __future__ import annotations

from pathlib import Path

import click

from imagiq.cli.homes import JSON_OPTION, home_at
from imagiq.cli.printing import as_document, as_json, escaped, painted, say
from imagiq.clock import SystemClock
from imagiq.site.doctor import Finding, examine

__all__ = ["command"]


@click.command()
@JSON_OPTION
@click.pass_obj
def command(folder: Path, *, wants_json: bool) -> int:
    """Look at clock, disk, keys, remotes hop by hop, data and GPU; say what is wrong and what to do.

    Nothing is changed. Ends with exit code 1 when something is wrong.
    """
    findings: list[Finding] = []
    for finding in examine(home_at(folder), SystemClock()):
        findings.append(finding)
        if not wants_json:
            _show(finding)
    wrong = sum(not finding.ok for finding in findings)
    if wants_json:
        say(as_document({"command": "doctor", "ok": not wrong, "findings": as_json(findings)}))
    else:
        say(painted(f"{wrong} of {len(findings)} findings need attention.", "red") if wrong else "All is well.")
    return 1 if wrong else 0


def _show(finding: Finding) -> None:
    place = " ".join(part for part in (finding.check, finding.about, finding.hop) if part)
    mark = painted("ok   ", "green") if finding.ok else painted("WRONG", "red", bold=True)
    say(f"{mark} {escaped(place)}: {escaped(finding.what)}")
    if finding.advice:
        say(f"      {escaped(finding.advice)}")
