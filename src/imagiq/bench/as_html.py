"""Tables for notebooks: what a value's ``_repr_html_`` is made of. All text is escaped; nothing is loaded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

__all__ = ["SHORT", "fields_table", "table"]

SHORT: Final = 12
"""So many characters of a digest are shown."""
_LEFT: Final = "text-align:left;vertical-align:top"


def table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *, notes: Iterable[str] = (), more: str = ""
) -> str:
    """Return a table as HTML.

    Args:
        title: What it shows.
        columns: Their heads.
        rows: One cell for each column; None is an empty one.
        notes: Sentences beneath it.
        more: What is left out of it; empty: nothing.
    """
    head = "".join(f'<th scope="col" style="{_LEFT}">{_text(name)}</th>' for name in columns)
    body = "".join(f"<tr>{''.join(f'<td style={_LEFT!r}>{_text(cell)}</td>' for cell in row)}</tr>" for row in rows)
    beneath = "".join(f"<li>{_text(note)}</li>" for note in notes)
    return (
        f"<div><b>{_text(title)}</b>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        + (f"<p>{_text(more)}</p>" if more else "")
        + (f"<ul>{beneath}</ul>" if beneath else "")
        + "</div>"
    )


def fields_table(title: str, fields: Iterable[tuple[str, object]], *, notes: Iterable[str] = ()) -> str:
    """Return names and values as HTML; a field whose value is None or empty is left out."""
    return table(title, ("", ""), [field for field in fields if field[1] not in {None, ""}], notes=notes)


def _text(value: object) -> str:
    return "" if value is None else escape(str(value))
