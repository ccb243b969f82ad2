"""A table as text and as HTML: what the magics that list something give."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

__all__ = ["Table", "Tables", "age", "without_empty"]

LEFT = 'style="text-align:left"'


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under their heads, with a line above and lines below.

    Args:
        heads: names of the columns.
        rows: a text for each column; the first names the row.
        title: a line above, empty for none.
        notes: lines below.
        empty: what to say instead if there are no rows.
    """

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    title: str = ""
    notes: tuple[str, ...] = ()
    empty: str = ""

    def __repr__(self) -> str:
        table = [self.heads, *self.rows] if self.rows else []
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = [
            "  ".join(f"{text:<{width}}" for text, width in zip(row, widths, strict=True)).rstrip()
            for row in table
        ]
        return "\n".join(filter(None, (self.title, *(lines or [self.empty]), *self.notes)))

    def _repr_html_(self) -> str:
        parts = [f"<div>{escape(self.title)}</div>"] if self.title else []
        if self.rows:
            head = "".join(f'<th scope="col" {LEFT}>{escape(name)}</th>' for name in self.heads)
            body = "".join(map(_row, self.rows))
            parts.append(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")
        elif self.empty:
            parts.append(f"<div>{escape(self.empty)}</div>")
        parts.extend(f"<div>{escape(note)}</div>" for note in self.notes)
        return "".join(parts)


class Tables(tuple[Table, ...]):
    """Several tables, one below the other."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "\n\n".join(map(repr, self))

    def _repr_html_(self) -> str:
        return "".join(f"<div>{table._repr_html_()}</div>" for table in self)


def _row(texts: tuple[str, ...]) -> str:
    first, *others = texts
    cells = "".join(f"<td {LEFT}>{escape(text)}</td>" for text in others)
    return f'<tr><th scope="row" {LEFT}>{escape(first)}</th>{cells}</tr>'


def without_empty(
    heads: tuple[str, ...], rows: tuple[tuple[str, ...], ...]
) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Return heads and rows without the columns that say nothing."""
    kept = [column for column in range(len(heads)) if any(row[column] for row in rows)]
    return tuple(heads[c] for c in kept), tuple(tuple(row[c] for c in kept) for row in rows)


def age(seconds: float) -> str:
    """Return how long ago something was, in its largest unit: ``40 s``, ``3 min``, ``2 days``."""
    for unit, size in (("day", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size:
            count = int(seconds // size)
            plural = "s" if unit == "day" and count != 1 else ""
            return f"{count} {unit}{plural}"
    return f"{max(0, int(seconds))} s"
