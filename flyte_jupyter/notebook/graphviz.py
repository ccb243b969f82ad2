"""Graphs of the Graphviz package shown where there is no program ``dot``, too.

Such a graph draws itself by that program, or fails without it. With its source beside the picture,
the JupyterLab extension draws it; who has neither sees the source.
"""

from __future__ import annotations

from typing import Any

__all__ = ["GRAPH", "graphviz_bundle"]

GRAPH = ("graphviz.jupyter_integration", "JupyterIntegration")
"""What every graph of that package is, by module and name."""
MIME = "text/vnd.graphviz"


def graphviz_bundle(graph: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what a graph looks like as data of a display, and what is said of these.

    Args:
        graph: a `graphviz.Source`, `Graph` or `Digraph`.
    """
    import graphviz

    source = str(graph.source)
    try:
        drawn = dict(graph._repr_mimebundle_())
    except (graphviz.ExecutableNotFound, graphviz.CalledProcessError):
        drawn = {}
    engine = str(getattr(graph, "engine", None) or "dot")
    return {"text/plain": source, **drawn, MIME: source}, {MIME: {"engine": engine}}
