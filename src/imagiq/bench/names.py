"""What people call commits and studies: the beginning of a digest, a site, a study, or a study at a site."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from imagiq.errors import ImagiqError, Misuse, NotFound
from imagiq.objects import Digest

if TYPE_CHECKING:
    from imagiq.bench.bench import Bench
    from imagiq.history import Entry

__all__ = ["closest", "pick_site", "pick_study", "resolve"]

SHORTEST = 4
SHOWN = 8
SHORT = 12

_HEX = re.compile(r"[0-9a-fA-F]{1,64}")


def resolve(bench: Bench, name: str) -> Entry:
    """Return the commit that somebody means.

    Args:
        bench: Where to look.
        name: The first characters of its digest, at least 4; or SITE, STUDY or STUDY@SITE for the newest model of a
            site, in a study, or of a site in a study. Sites and studies win over digests.

    Raises:
        Misuse: too short, or several commits are meant.
        NotFound: none is.
    """
    sites = {bench.standing.name_of(entry) for entry in bench.history}
    titles = {digest: steps.study.title for digest, steps in bench.studies.items()}
    if name in sites or name in titles.values():
        study = pick_study(titles, name) if name in titles.values() else None
        return _newest_model(bench, name, site=name if name in sites else None, study=study)
    title, at, site = name.rpartition("@")
    if at and title:
        return _newest_model(bench, name, site=pick_site(sites, site), study=pick_study(titles, title))
    if _HEX.fullmatch(name):
        return _by_prefix(bench, name.lower())
    suggestions = closest(name, [*sites, *titles.values()])
    raise NotFound(
        "commit-unknown",
        f"Nothing here is called '{name}'.",
        f"{suggestions} Give the first characters of a digest, SITE, STUDY or STUDY@SITE.".strip(),
    )


def _by_prefix(bench: Bench, prefix: str) -> Entry:
    if len(prefix) < SHORTEST:
        raise Misuse(
            "prefix-short", f"'{prefix}' is too short to name a commit.", f"Give {SHORTEST} or more characters."
        )
    found = sorted(entry.digest for entry in bench.history if entry.digest.startswith(prefix))
    if len(found) == 1:
        return bench.history[found[0]]
    if not found:
        near = difflib.get_close_matches(prefix, _beginnings(bench, prefix), n=3, cutoff=0.7)
        raise NotFound(
            "commit-unknown",
            f"No commit here begins with {prefix[:SHORT]}.",
            f"{_or(near, 'Do you mean')} `imagiq log` lists what is here; sync to get more.".strip(),
        )
    raise _ambiguous(f"'{prefix}'", [_described(bench, bench.history[digest]) for digest in found])


def _beginnings(bench: Bench, prefix: str) -> set[str]:
    """Return beginnings of digests that are worth comparing, as long as ``prefix`` and not all of a long history."""
    return {e.digest[: len(prefix)] for e in bench.history if e.digest.startswith(prefix[:2])}


def _newest_model(bench: Bench, name: str, *, site: str | None, study: Digest | None) -> Entry:
    """Return the newest model that may be an input; an older void or contested one does not stand in for it."""
    found = [
        entry
        for entry in bench.history
        if entry.commit.tree is not None
        and (site is None or bench.standing.name_of(entry) == site)
        and (study is None or study in {entry.commit.study, entry.digest})
        and bench.standing.state(entry.digest).is_input
    ]
    if not found:
        raise NotFound("model-none", f"There is no model of '{name}' here.", "Sync, or name another commit.")
    return max(found, key=lambda entry: entry.order)


def pick_study(titles: Mapping[Digest, str], text: str) -> Digest:
    """Return the study that somebody means by its title, or by the first characters of its digest.

    Raises:
        NotFound: there is none.
        Misuse: there are several.
    """
    found = sorted(digest for digest, title in titles.items() if title == text)
    if not found and len(text) >= SHORTEST and _HEX.fullmatch(text):
        found = sorted(digest for digest in titles if digest.startswith(text.lower()))
    if len(found) == 1:
        return found[0]
    if found:
        raise _ambiguous(f"The study '{text}'", [f"{digest[:SHORT]} {titles[digest]}" for digest in found])
    raise _unknown("study-unknown", "study", text, titles.values())


def pick_site(sites: Iterable[str], text: str) -> str:
    """Return the site that somebody means by its name.

    Raises:
        NotFound: there is none.
    """
    names = set(sites)
    if text in names:
        return text
    raise _unknown("site-unknown", "site", text, names)


def _unknown(code: str, what: str, text: str, names: Iterable[str]) -> ImagiqError:
    known = sorted(set(names))
    listed = f"Here are {', '.join(known[:SHOWN])}{' and others' if len(known) > SHOWN else ''}." if known else ""
    advice = closest(text, known) or listed or "Sync to get some."
    return NotFound(code, f"No {what} here is called '{text}'.", advice)


def closest(text: str, names: Iterable[str]) -> str:
    """Return a question that offers the names nearest to a misspelt one; "" when none is near."""
    known = sorted(set(names))
    by_case = {name.casefold(): name for name in known}
    near = difflib.get_close_matches(text.casefold(), by_case, n=3, cutoff=0.6)
    return _or([by_case[name] for name in near], "Do you mean")


def _or(names: Sequence[str], question: str) -> str:
    return f"{question} {' or '.join(names)}?" if names else ""


def _ambiguous(what: str, candidates: Sequence[str]) -> Misuse:
    more = f", and {len(candidates) - SHOWN} more" if len(candidates) > SHOWN else ""
    return Misuse(
        "name-ambiguous",
        f"{what} names {len(candidates)} things: {', '.join(candidates[:SHOWN])}{more}.",
        "Give more characters of the one that you mean.",
    )


def _described(bench: Bench, entry: Entry) -> str:
    return f"{entry.digest[:SHORT]} ({entry.commit.recipe.name} by {bench.standing.name_of(entry)})"
