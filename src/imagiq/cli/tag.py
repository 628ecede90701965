"""``imagiq tag``: give a commit a name, or release it."""

from __future__ import annotations

from pathlib import Path

import click

from imagiq.bench import Bench
from imagiq.bench.names import resolve
from imagiq.bench.place import find
from imagiq.bench.repository import open_repository
from imagiq.cli.homes import JSON_OPTION, act_now, seat_at, show_done
from imagiq.cli.printing import as_document, as_json, columns, escaped, listed, say
from imagiq.federation.notices import ask_check_recipe, tag_recipe
from imagiq.objects import Parent
from imagiq.site.founding import my_name
from imagiq.site.releasing import Checked, checked, is_asked, refuse_unsound, tags_in

__all__ = ["command"]


@click.command()
@click.argument("commit", required=False)
@click.argument("name", required=False)
@click.option("--release", is_flag=True, help="Release it: members must have recomputed the merge that it rests on.")
@JSON_OPTION
@click.pass_obj
def command(folder: Path, commit: str | None, name: str | None, *, release: bool, wants_json: bool) -> int:
    """Call COMMIT by a NAME for all members to see; without arguments, list what is called how.

    A release waits until as many members as the charter says have recomputed the merge that the model is, or was trained
    from. Those who have not are asked; run the same command again when they have.
    """
    if commit is None or name is None:
        if commit is not None or release:
            raise click.UsageError("Give a COMMIT and a NAME.")
        _list(open_repository(find(folder)), wants_json=wants_json)
        return 0
    home, seat = seat_at(folder)
    bench = open_repository(seat.path)
    entry = resolve(bench, commit)
    recipe = tag_recipe(name, release=release)
    found = Checked(merges={}, needed=0)
    if release:
        refuse_unsound(bench, entry, name, my_name(home, seat, bench))
        found = checked(bench, entry)
    if not found.missing:
        seat.decisions.order(recipe, parents=[Parent("input", entry.digest)])
        done = act_now(home, seat)
        return show_done("tag", done, wants_json=wants_json, tagged=entry.digest, missing=[])
    unasked = [merge for merge in found.missing if not is_asked(bench, merge)]
    if unasked:
        seat.decisions.order(ask_check_recipe(), parents=[Parent("input", merge) for merge in sorted(unasked)])
    done = act_now(home, seat) if unasked else []
    missing = [{"merge": m, "verified_by": found.merges[m], "needed": found.needed} for m in found.missing]
    if not wants_json:
        for merge in found.missing:
            by = found.merges[merge]
            say(
                f"{merge[:12]}: {len(by)} of {found.needed} members have recomputed it{f': {listed(by)}' if by else ''}"
            )
        say("All members are asked to. Sync, and run this again when they have.")
    show_done("tag", done, wants_json=wants_json, tagged=None, missing=missing)
    return 1


def _list(bench: Bench, *, wants_json: bool) -> None:
    tags = tags_in(bench)
    if wants_json:
        say(as_document({"command": "tag", "tags": as_json(tags)}))
        return
    rows = [
        (escaped(tag.name), "released" if tag.release else "", tag.commit[:12], f"by {escaped(tag.by)}") for tag in tags
    ]
    for line in columns(rows) or ["Nothing has a name yet."]:
        say(line)
