"""How two schemas differ, in sentences: which tensors, and what it takes to use them rightly."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from imagiq.objects import Schema

__all__ = ["schemas_differ"]

MEANINGS = ("architecture", "channels", "labels", "preprocessing")
"""What a schema says beside its tensors."""

SHOWN = 60


def schemas_differ(first: Schema, second: Schema) -> Iterator[str]:
    """Yield a sentence for each difference; for each tensor one."""
    before = {tensor.name: tensor for tensor in first.tensors}
    after = {tensor.name: tensor for tensor in second.tensors}
    for name in sorted(before.keys() - after.keys()):
        yield f"Only the first has the tensor '{name}'."
    for name in sorted(after.keys() - before.keys()):
        yield f"Only the second has the tensor '{name}'."
    for name in (name for name in before if name in after):
        one, other = before[name], after[name]
        for what in ("dtype", "shape", "rule"):
            if getattr(one, what) != getattr(other, what):
                yield f"Tensor '{name}' has the {what} {_words(getattr(one, what))}, then {_words(getattr(other, what))}."
    common = [name for name in before if name in after]
    if common != [name for name in after if name in before]:
        yield "The tensors stand in another order."
    if [g.name for g in first.groups] != [g.name for g in second.groups]:
        yield "The groups differ."
    for difference in _meanings_differ(first, second):
        yield f"They differ in {difference}."


def _words(value: object) -> str:
    return "x".join(map(str, value)) or "()" if isinstance(value, tuple) else str(value)


def _meanings_differ(first: Schema, second: Schema) -> Iterator[str]:
    """Yield what two schemas say differently beside their tensors: where it stands, then both values."""
    for what in MEANINGS:
        one, other = getattr(first, what), getattr(second, what)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            for key in sorted({*one, *other}):
                if one.get(key) != other.get(key) or (key in one) != (key in other):
                    yield f"the {what} '{key}': {_shown(one, key)} and {_shown(other, key)}"
        elif one != other:
            yield f"the {what}: {', '.join(one) or 'none'} and {', '.join(other) or 'none'}"


def _shown(values: Mapping[str, object], key: str) -> str:
    if key not in values:
        return "none"
    text = str(values[key])
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
