"""``%flyte_run``, ``%%flyte_run`` and ``%flyte_explain``: from a line to a run and its result."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

from flyte_jupyter.catalog import Catalog
from flyte_jupyter.notebook.arguments import leading_options, parse
from flyte_jupyter.notebook.calls import (
    Call,
    evaluate_call,
    evaluate_changes,
    split_trailing_options,
)
from flyte_jupyter.notebook.declare import run_fields
from flyte_jupyter.notebook.live import follow, is_interactive, wait
from flyte_jupyter.notebook.options import (
    CELL_RUN_OPTIONS,
    EXPLAIN_OPTIONS,
    RERUN_OPTIONS,
    RUN_OPTIONS,
    Option,
)
from flyte_jupyter.notebook.usage import MagicUsageError

__all__ = ["explain_line", "finish", "rerun_line", "run_body", "run_line", "start"]


def run_line(line: str, variables: Mapping[str, Any], shell: Any, catalog: Catalog) -> Any:
    """Run the task that a line calls, show the run and return the result.

    Args:
        line: what follows ``%flyte_run``.
        variables: the names it may use.
        shell: the IPython shell, ``None`` in a terminal.
        catalog: the session's declarations.

    Returns:
        The bare result; the ``Run`` itself with ``--no-wait``.
    """
    call, values = _read(line, RUN_OPTIONS, variables, catalog, "flyte_run")
    return start(call, values, shell)


def start(call: Call, values: Mapping[str, Any], shell: Any) -> Any:
    """Start a run, show it, and return its result, or the run if nobody wants to wait."""
    from flyte_jupyter import api

    context = api.with_runcontext(**run_fields(values))
    return _shown(context.run(call.task, *call.args, **call.keywords), values, shell)


def rerun_line(line: str, variables: Mapping[str, Any], shell: Any) -> Any:
    """Run the recorded run again that a line names, show the new run and return its result.

    Args:
        line: what follows ``%flyte_rerun``.
        variables: the names it may use; one of them may hold a run.
        shell: the IPython shell.

    Returns:
        The bare result; the ``Run`` itself with ``--no-wait``.
    """
    from flyte_jupyter import api

    text, values = _options(line, RERUN_OPTIONS, variables)
    name, changes = evaluate_changes(text, variables, "flyte_rerun")
    bound = variables.get(name)
    run = bound if isinstance(bound, api.Run) else name
    context = api.with_runcontext(**run_fields(values))
    return _shown(context.rerun(run, **changes), values, shell)


def _shown(run: Any, values: Mapping[str, Any], shell: Any) -> Any:
    if values.get("wait") is False:
        follow(run, interactive=is_interactive(shell))
        return run
    return finish(run, shell)


def finish(run: Any, shell: Any) -> Any:
    """Show a run until it has ended and return its bare result.

    Raises:
        Exception: what the task raised.
        KeyboardInterrupt: the cell was interrupted; the run has been told to end.
    """
    wait(run, interactive=is_interactive(shell))
    return run.result()


def run_body(line: str, body: str, shell: Any, catalog: Catalog) -> Any:
    """Run the body of a ``%%flyte_run`` cell and bring back what it assigns.

    Args:
        line: what follows ``%%flyte_run``.
        body: the body, with a comment for each line of the cell above it.
        shell: the IPython shell.
        catalog: the session's declarations.

    Returns:
        The value of the last expression; there is none if it ends in a semicolon.
    """
    from flyte_jupyter import api

    variables = shell.user_ns
    arguments = parse(line, CELL_RUN_OPTIONS, variables)
    if arguments.positionals:
        raise MagicUsageError(
            f"%%flyte_run takes no {arguments.positionals[0]!r}: its body is what runs",
            remedy="Write %%flyte_run [--env ENV] [options], or %flyte_run task(...) on one line.",
        )
    values = dict(arguments.values)
    environment = values.pop("env", None)
    if isinstance(environment, str):
        environment = catalog.find_environment(environment)
    source = shell.transform_cell(body)
    filename = shell.compile.cache(source, shell.execution_count, raw_code=body)
    # a syntax error is the cell's own, before anything runs
    compile(source, filename, "exec", flags=_flags(shell), dont_inherit=True)
    run = api.run_cell(
        source,
        variables,
        env=environment,
        filename=filename,
        **run_fields(values),
    )
    answer = finish(run, shell)
    variables.update(answer["assigned"])
    for name, why in sorted(answer["kept"].items()):
        print(f"`{name}` is not brought back: {why}")
    return answer["value"]


def explain_line(line: str, variables: Mapping[str, Any], catalog: Catalog) -> Any:
    """Explain the task that a line names or calls.

    Args:
        line: what follows ``%flyte_explain``.
        variables: the names it may use.
        catalog: the session's declarations.
    """
    from flyte_jupyter import api

    call, values = _read(line, EXPLAIN_OPTIONS, variables, catalog, "flyte_explain")
    target = {"target": values["on"]} if "on" in values else {}
    return api.explain(call.task, *call.args, **call.keywords, **target)


def _read(
    line: str,
    options: tuple[Option, ...],
    variables: Mapping[str, Any],
    catalog: Catalog,
    magic: str,
) -> tuple[Call, dict[str, Any]]:
    """Return the call of a line, and its options."""
    text, values = _options(line, options, variables)
    return evaluate_call(text, variables, catalog.find_task, magic), values


def _options(
    line: str, options: tuple[Option, ...], variables: Mapping[str, Any]
) -> tuple[str, dict[str, Any]]:
    """Return what is called, and the options, which may stand before or behind the call."""
    leading, rest = leading_options(line, options, variables)
    text, behind = split_trailing_options(rest)
    trailing = parse(behind, options, variables)
    if trailing.positionals:
        raise MagicUsageError(f"{trailing.positionals[0]!r} stands behind the call of the task")
    values = dict(leading.values)
    for name, value in trailing.values.items():
        adds_up = isinstance(value, list) and name in values
        values[name] = [*values[name], *value] if adds_up else value
    return text, values


def _flags(shell: Any) -> int:
    """Return the compiler flags of the notebook's cells, top-level ``await`` allowed."""
    return int(getattr(shell.compile, "flags", 0)) | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
