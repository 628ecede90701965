"""Amending the charter: its title, who votes, its recovery keys, and its rules, each by itself."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from imagiq.errors import Misuse, NotFound
from imagiq.federation.membership import Amendment, successor
from imagiq.objects import JSON, Charter
from imagiq.site.founding import read_rules
from imagiq.site.toml import Table, suggestion

__all__ = ["amendments", "said", "terms"]

FIELDS: Final = ("title", "voters", "recovery")
FIXED: Final = frozenset({"simulated"})
WORDS: Final = re.compile(r"[\w.-]+( [\w.-]+)*")


def terms(charter: Charter) -> dict[str, JSON]:
    """Return all of a charter that can be amended: what people call it, and what it reads."""
    fields: dict[str, JSON] = {
        "title": charter.title,
        "voters": list(charter.voters),
        "recovery": list(charter.recovery),
    }
    return fields | {name: value for name, value in charter.rules.items() if name not in FIXED}


def amendments(ruling: Charter, given: Iterable[str], dropped: Iterable[str]) -> tuple[Amendment, ...]:
    """Return what would have to be amended.

    Args:
        ruling: The charter that rules.
        given: ``NAME=VALUE``, a value as in a charter's file; plain words need no quotes there.
        dropped: Rules that shall not stand any more.

    Raises:
        Misuse: a text is none, a value is not one that the charter can hold, or nothing would change.
        NotFound: a rule that shall be dropped does not stand there.
    """
    now = terms(ruling)
    wanted = dict(map(_read, given))
    rules = _rules({name: value for name, value in wanted.items() if name not in FIELDS}, ruling)
    fields = {name: _field(name, wanted[name], ruling) for name in FIELDS if name in wanted}
    for name in dropped:
        if name in FIELDS or name not in now:
            standing = [rule for rule in now if rule not in FIELDS]
            raise NotFound("amend-unknown", f"No rule of the charter is called '{name}'.", suggestion(name, standing))
    found = [Amendment.of(name, value) for name, value in fields.items()]
    found += [Amendment.of(f"rules.{name}", value) for name, value in rules.items()]
    changing = [wish for wish in found if wish != Amendment.of(wish.field, now.get(wish.name))]
    changing += [Amendment.of(f"rules.{name}", None) for name in dropped]
    if not changing:
        raise Misuse("amend-nothing", "The charter says so already.", "See it with `imagiq amend`.")
    successor(ruling, changing)
    return tuple(changing)


def said(value: JSON | None) -> str:
    """Return a value of a charter in words."""
    if value is None:
        return "nothing"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {said(each)}" for name, each in value.items()) or "nothing"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(said, value)) or "nothing"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _read(text: str) -> tuple[str, object]:
    name, equals, value = text.partition("=")
    name = name.strip()
    if not equals or not name:
        raise Misuse("amend-form", f"'{text}' names no term and value.", "Write it as NAME=VALUE.")
    if name in FIXED:
        raise Misuse("amendment-field", f"'{name}' of a charter cannot be amended.", "Found another federation.")
    try:
        return name, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError as error:
        if WORDS.fullmatch(value.strip()):
            return name, value.strip()
        raise Misuse(
            "amend-form", f"The value of '{name}' cannot be read: {value}", "Write it as in a charter's file."
        ) from error


def _rules(wanted: Mapping[str, object], ruling: Charter) -> dict[str, JSON]:
    """Return rules as a charter holds them, checked as those of a new one are."""
    checked = read_rules(Table(Path("the charter"), "[rules]", {**ruling.rules, **wanted}))
    return {name: checked[name] for name in wanted}


def _field(name: str, value: object, ruling: Charter) -> JSON:
    table = Table(Path("the charter"), "", {name: value})
    if name == "title":
        return table.text(name)
    texts = sorted(set(table.texts(name)))
    members = [member.name for member in ruling.members]
    for text in texts:
        if name == "voters" and text not in members:
            raise table.wrong(name, f"names '{text}', which is no member", suggestion(text, members))
        if name == "recovery" and not re.fullmatch("[0-9a-f]{64}", text):
            raise table.wrong(name, f"holds '{text[:12]}', which is no key", "Make one with `imagiq recover key`.")
    return list(texts)
