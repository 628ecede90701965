"""``imagiq audit``: who did what when, verified offline."""

from __future__ import annotations

from pathlib import Path

import click

from imagiq.bench.audit import Audit, audit
from imagiq.bench.names import pick_site
from imagiq.bench.names import pick_study as pick
from imagiq.bench.place import find
from imagiq.bench.repository import open_repository
from imagiq.cli.homes import JSON_OPTION
from imagiq.cli.printing import as_document, as_json, columns, escaped, painted, progress, say

__all__ = ["command"]

SHORT = 12


@click.command()
@click.option("--site", metavar="SITE", help="Only what this site did.")
@click.option("--study", metavar="STUDY", help="Only what was done in this study.")
@JSON_OPTION
@click.pass_obj
def command(folder: Path, site: str | None, study: str | None, *, wants_json: bool) -> int:
    """List who did what when, the earliest first; everything is verified anew, without any network.

    Ends with exit code 1 when anything is forged, a key or a vote was used twice, or a merge is FALSE.
    """
    bench = open_repository(find(folder))
    titles = {digest: steps.study.title for digest, steps in bench.studies.items()}
    if site is not None:
        pick_site([bench.standing.name_of(entry) for entry in bench.history], site)
    title = None if study is None else titles[pick(titles, study)]
    found = audit(bench, site=site, study=title, progress=progress)
    problems = found.verification.problems
    if wants_json:
        say(as_document({"command": "audit", "ok": not problems, "problems": problems, "deeds": as_json(found.deeds)}))
    else:
        _show(found)
    return 1 if problems else 0


def _show(found: Audit) -> None:
    rows = [
        (
            d.created,
            escaped(d.site),
            escaped(d.did),
            escaped(d.study),
            f"v{d.charter}",
            d.commit[:SHORT],
            _worth(d.state, d.checked),
        )
        for d in found.deeds
    ]
    for line in columns([("when (UTC)", "who", "did", "study", "charter", "commit", "checked"), *rows]):
        say(line)
    problems = found.verification.problems
    verified = f"{found.verification.commits} commits of {found.verification.sites} sites verified"
    say(
        painted(f"{verified}: {problems} problems; see `imagiq verify`", "red") if problems else f"{verified}: all hold"
    )


def _worth(state: str, checked: str) -> str:
    return escaped(checked if state == "sound" else f"{checked}, {state}")
