"""The terms of a study as TOML, to copy into the file of a simulation; ``docs/simulate.md`` says what may stand there."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from imagiq.federation import Named, Study
from imagiq.objects import JSON

__all__ = ["recipe_of", "split_as_toml"]

BARE = re.compile(r"[A-Za-z0-9_-]+")
DECIMAL = re.compile(r"-?\d+\.\d+(e[+-]?\d+)?|-?\d+e[+-]?\d+")


def recipe_of(study: Study) -> str:
    """Return a study's terms as TOML."""
    terms: dict[str, JSON] = {
        "title": study.title,
        "strategy": study.strategy.name,
        "version": study.strategy.version,
        "steps": study.steps,
        "updates": study.updates,
        "sites": list(study.sites),
    }
    parts = [f"seed = {study.seed}", "", "[[study]]", *_pairs(terms)]
    if study.strategy.parameters:
        parts += ["", "[study.parameters]", *_pairs(study.strategy.parameters)]
    parts += ["", "[task]", *_task(study.task)]
    return "\n".join(parts) + "\n"


def split_as_toml(split: Mapping[str, bool | int | float | str]) -> str:
    """Return the rule by which cases were parted, as it stands in ``[data]``; empty: it is not known."""
    told = [f"{key} = {repr(value) if isinstance(value, float) else _value(value)}" for key, value in split.items()]
    return "\n".join(["[data]", *told]) + "\n" if told else ""


def _task(task: Named) -> list[str]:
    return [f"learner = {_value(task.name)}", f"version = {task.version}", *_pairs(task.parameters)]


def _pairs(values: Mapping[str, JSON]) -> list[str]:
    return [f"{_key(key)} = {_value(value)}" for key, value in values.items() if value is not None]


def _key(key: str) -> str:
    return key if BARE.fullmatch(key) else _text(key)


def _text(text: str) -> str:
    """Return a TOML string: as JSON's, with the one control character escaped that JSON leaves as it is."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _value(value: JSON) -> str:
    """Return a value; the decimal texts of signed terms are numbers again."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value if DECIMAL.fullmatch(value) else _text(value)
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(k)} = {_value(v)}" for k, v in value.items() if v is not None) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    return str(value)
