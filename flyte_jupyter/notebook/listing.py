"""The environments of a session as a table: what ``%flyte_envs`` gives."""

from __future__ import annotations

from flyte_jupyter.catalog import Catalog
from flyte_jupyter.notebook.tables import Table

__all__ = ["listing"]

HEADS = ("environment", "image", "resources", "depends on", "tasks")
EMPTY = "No environment is declared yet. Begin a cell with %%flyte_env NAME."


def listing(catalog: Catalog, names: list[str] | None = None) -> Table:
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
    return Table(HEADS, tuple(rows), empty=EMPTY)


def _resources(resources: object) -> str:
    return "" if resources is None else str(resources)
