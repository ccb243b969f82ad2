"""The resource panel: what tasks run under, to be seen and changed in the notebook.

Light: what shows it is imported when somebody asks for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flyte_jupyter.notebook.panel.panel import Panel

__all__ = ["armed", "open_panel"]

armed: set[str] = set()
"""Names of the environments whose cells are rewritten when they are run the next time."""


def open_panel(about: Any = None) -> Panel:
    """Return the panel of an environment, or of one task; shown by the cell whose value it is.

    Args:
        about: the environment, or its name, or a task or its name; the first environment of the
            session if not given.

    Raises:
        NotFoundError: there is nothing of that name.
    """
    from flyte_jupyter.notebook.panel.panel import panel_of

    return panel_of(about)
