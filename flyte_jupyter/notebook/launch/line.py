"""``%flyte_launch``: from a line to a form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flyte_jupyter.catalog import Catalog
from flyte_jupyter.notebook.arguments import leading_options, parse
from flyte_jupyter.notebook.calls import evaluate_call, split_trailing_options
from flyte_jupyter.notebook.launch.opened import OpenForm
from flyte_jupyter.notebook.options import LAUNCH_OPTIONS
from flyte_jupyter.notebook.usage import MagicUsageError
from flyte_jupyter.session.rerun import recorded
from flyte_jupyter.session.run import Run

__all__ = ["launch_line"]


def launch_line(line: str, variables: Mapping[str, Any], shell: Any, catalog: Catalog) -> OpenForm:
    """Return the form that a line asks for.

    Args:
        line: what follows ``%flyte_launch``.
        variables: the names it may use.
        shell: the IPython shell.
        catalog: the session's declarations.

    Raises:
        MagicUsageError: it names no task and no run, or both.
        NotFoundError: there is no such run, or its task is declared no more.
    """
    leading, rest = leading_options(line, LAUNCH_OPTIONS, variables)
    text, behind = split_trailing_options(rest)
    values = {**leading.values, **parse(behind, LAUNCH_OPTIONS, variables).values}
    run = values.get("run")
    if run is None:
        call = evaluate_call(text, variables, catalog.find_task, "flyte_launch")
        return OpenForm(shell, call.task, variables, args=call.args, kwargs=call.keywords)
    if text:
        raise MagicUsageError(
            f"{text!r} stands beside --run, which says what is run",
            remedy="Write %flyte_launch TASK, or %flyte_launch --run RUN.",
        )
    bound = variables.get(run) if isinstance(run, str) else run
    found = recorded(bound if isinstance(bound, Run) else str(run))
    return OpenForm(shell, None, variables, recorded=found)
