"""The graph in a notebook: the magic, an environment's own display, and that of a deployment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flyte_jupyter.catalog import current
from flyte_jupyter.drawing import Graph, GraphView
from flyte_jupyter.drawing.graph import html
from flyte_jupyter.errors import FlyteError
from flyte_jupyter.notebook.arguments import Arguments
from flyte_jupyter.session.graph import graph
from flyte_jupyter.spec import TaskEnvironment

__all__ = ["bundle", "environment_html", "graph_verb"]

FILES = (".py", ".ipynb")


def graph_verb(said: Arguments, variables: Mapping[str, Any], terminal: bool) -> Graph:
    """Return the graph that is asked for, written to a file where one is named.

    Raises:
        NotFoundError: there is no such environment, run or file.
        FlyteError: the file is of no known form, or Graphviz is needed for it.
    """
    from flyte_jupyter.notebook.deploying import deploy_names

    names = deploy_names(said.positionals, variables)
    if terminal and names and str(names[0]).endswith(FILES):
        from flyte_jupyter.notebook.programs import load_declarations

        load_declarations(str(names.pop(0)), current())
    drawn = graph(
        *names,
        tasks=bool(said.values.get("tasks")),
        run=_run(said.values.get("run"), variables),
        expand=bool(said.values.get("expand")),
        target=said.values.get("on"),
    )
    if path := said.values.get("save"):
        written = drawn.save(str(path))
        print(f"{written} is written.")
    return drawn


def _run(said: Any, variables: Mapping[str, Any]) -> Any:
    """Return the run that is meant: a variable that holds one, or its name."""
    bound = variables.get(said) if isinstance(said, str) else said
    return bound if hasattr(bound, "events") else said


def environment_html(environment: TaskEnvironment) -> str:
    """Return what an environment looks like where it is the value of a cell.

    That is its table, and below it the graph of what it depends on, if there is any.
    """
    table = environment._repr_html_()
    if not environment.depends_on:
        return table
    try:
        return table + html(graph(environment).shown)
    except FlyteError:
        # a declaration is shown whatever has become of the others, or of the deployments
        return table


def bundle(view: GraphView, interactive: bool) -> dict[str, str]:
    """Return a graph for a display: as HTML and text where it is updated, else in every form.

    The places depend on names and dependencies alone: between two updates nothing moves.

    Args:
        view: the graph, in the state that it is in now.
        interactive: whether the display is updated.
    """
    drawn = Graph(view)
    if interactive:
        return {"text/plain": drawn.text, "text/html": html(drawn.shown)}
    return drawn._repr_mimebundle_()
