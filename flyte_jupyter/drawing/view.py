"""What is drawn, as values: environments in waves, why one comes after another, calls of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["CallView", "EdgeView", "GraphView", "NodeView", "TaskView"]


@dataclass(frozen=True, slots=True)
class TaskView:
    """A task of an environment.

    Args:
        name: its full name, ``environment.function``.
        state: how it fared in a run: a word of `states.CALLS`, or nothing.
    """

    name: str
    state: str = ""

    @property
    def label(self) -> str:
        """Its name without that of its environment."""
        return self.name.partition(".")[2] or self.name


@dataclass(frozen=True, slots=True)
class NodeView:
    """An environment, or several that stand in the same place.

    Args:
        name: its name.
        image: its image in a few words.
        resources: what it asks for, as pairs of name and amount.
        tasks: its tasks.
        state: a word of `states.STATES`; nothing for what is not deployed.
        detail: lines of its tooltip.
        origin: where it was declared, in words.
        members: the environments that this node stands for; none for one that stands for itself.
    """

    name: str
    image: str = ""
    resources: tuple[tuple[str, str], ...] = ()
    tasks: tuple[TaskView, ...] = ()
    state: str = ""
    detail: tuple[str, ...] = ()
    origin: str = ""
    members: tuple[NodeView, ...] = ()

    @property
    def label(self) -> str:
        """What it is called: its name, or how many environments it stands for."""
        return f"{len(self.members)} environments" if self.members else self.name


@dataclass(frozen=True, slots=True)
class EdgeView:
    """One environment depends on another, which is therefore deployed before it.

    Args:
        source: name of the one that depends.
        target: name of what it depends on.
        reason: how and where that was said.
    """

    source: str
    target: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class CallView:
    """One task called another in a run.

    Args:
        caller: full name of the task that called; empty for the run itself.
        callee: full name of the task that was called.
        count: how often.
        state: how the calls fared, the worst of them: a word of `states.CALLS`.
        detail: more of that in words: ``1 failed, 2 succeeded``.
    """

    caller: str
    callee: str
    count: int = 1
    state: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class GraphView:
    """What is drawn.

    Args:
        nodes: the environments.
        waves: their names, wave by wave in the order of deployment.
        edges: what depends on what.
        calls: what called what in a run.
        title: what the drawing shows, in a few words.
        run: the run whose calls are laid over it, in words; empty for none.
        tasks: whether the tasks stand in the environments.
    """

    nodes: tuple[NodeView, ...]
    waves: tuple[tuple[str, ...], ...]
    edges: tuple[EdgeView, ...] = ()
    calls: tuple[CallView, ...] = ()
    title: str = "Deployment graph"
    run: str = ""
    tasks: bool = False

    @property
    def by_name(self) -> Mapping[str, NodeView]:
        """Name of a node → the node."""
        return {node.name: node for node in self.nodes}

    @property
    def sentences(self) -> Mapping[tuple[str, str], str]:
        """Source and target of an edge → it in words: ``ml depends on base: depends_on in …``."""
        nodes = self.by_name
        said = {}
        for edge in self.edges:
            source, target = nodes.get(edge.source), nodes.get(edge.target)
            verb = "depend" if source is not None and source.members else "depends"
            ends = (
                edge.source if source is None else source.label,
                edge.target if target is None else target.label,
            )
            reason = f": {edge.reason}" if edge.reason else ""
            said[edge.source, edge.target] = f"{ends[0]} {verb} on {ends[1]}{reason}"
        return said
