"""The environments of a session as a table: what ``%flyte_envs`` gives."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from flyte_jupyter.catalog import Catalog

__all__ = ["Listing", "listing"]

HEADS = ("environment", "image", "resources", "depends on", "tasks")


@dataclass(frozen=True, slots=True)
class Listing:
    """A table of environments.

    Args:
        rows: one row per environment: name, image, resources, dependencies, tasks.
    """

    rows: tuple[tuple[str, ...], ...]

    def __repr__(self) -> str:
        if not self.rows:
            return "No environment is declared yet. Begin a cell with %%flyte_env NAME."
        table = [HEADS, *self.rows]
        widths = [max(len(row[column]) for row in table) for column in range(len(HEADS))]
        lines = (
            "  ".join(f"{text:<{width}}" for text, width in zip(row, widths, strict=True)).rstrip()
            for row in table
        )
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        if not self.rows:
            return f"<div>{escape(repr(self))}</div>"
        left = 'style="text-align:left"'
        head = "".join(f'<th scope="col" {left}>{name}</th>' for name in HEADS)
        body = "".join(
            f'<tr><th scope="row" {left}>{escape(row[0])}</th>'
            + "".join(f"<td {left}>{escape(text)}</td>" for text in row[1:])
            + "</tr>"
            for row in self.rows
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def listing(catalog: Catalog, names: list[str] | None = None) -> Listing:
    """Return the table of all environments, or of those that are named.

    Raises:
        NotFoundError: no environment has one of the names.
    """
    for name in names or ():
        catalog.find_environment(name)
    rows = []
    for name, declaration in catalog.environments.items():
        if names and name not in names:
            continue
        environment = declaration.value
        settings = environment.settings
        rows.append(
            (
                name,
                str(settings.image) if "image" in environment.given else "default",
                _resources(settings.resources),
                ", ".join(dependency.name for dependency in environment.depends_on),
                ", ".join(task.func_name for task in catalog.tasks_of(name)),
            )
        )
    return Listing(tuple(rows))


def _resources(resources: object) -> str:
    return "" if resources is None else str(resources)
