"""``%flyte_panel``, ``%flyte panel`` and ``flyte-jupyter panel``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flyte_jupyter.catalog import current
from flyte_jupyter.notebook.arguments import Arguments
from flyte_jupyter.notebook.panel import open_panel
from flyte_jupyter.notebook.usage import MagicUsageError
from flyte_jupyter.spec.environment import TaskEnvironment
from flyte_jupyter.spec.task import Task

__all__ = ["panel_verb"]

FILES = (".py", ".ipynb")


def panel_verb(said: Arguments, variables: Mapping[str, Any], terminal: bool) -> Any:
    """Return the panel that is asked for.

    Raises:
        MagicUsageError: more than one environment or task is named.
        NotFoundError: there is nothing of that name, or no such file.
    """
    names = list(said.positionals)
    if terminal and names and str(names[0]).endswith(FILES):
        from flyte_jupyter.notebook.programs import load_declarations

        load_declarations(str(names.pop(0)), current())
    if len(names) > 1:
        raise MagicUsageError(f"panel takes one environment or task, not {str(names[1])!r} too")
    if not names:
        return open_panel()
    bound = variables.get(str(names[0])) if isinstance(names[0], str) else names[0]
    return open_panel(bound if isinstance(bound, (TaskEnvironment, Task)) else names[0])
