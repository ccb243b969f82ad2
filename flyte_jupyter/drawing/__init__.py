"""The deployment graph, drawn: from a view of it to text, DOT, SVG and HTML, without a notebook."""

from __future__ import annotations

from flyte_jupyter.drawing.graph import Graph
from flyte_jupyter.drawing.view import CallView, EdgeView, GraphView, NodeView, TaskView

__all__ = ["CallView", "EdgeView", "Graph", "GraphView", "NodeView", "TaskView"]
