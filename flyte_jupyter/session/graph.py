"""The graph of this session's environments as it is drawn: declared, deployed, called."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from flyte_jupyter import catalog
from flyte_jupyter.drawing import Graph
from flyte_jupyter.drawing.states import CALLS
from flyte_jupyter.drawing.view import CallView, EdgeView, GraphView, NodeView, TaskView
from flyte_jupyter.errors import SpecTypeError, TargetError
from flyte_jupyter.spec import Task, TaskEnvironment
from flyte_jupyter.spec.graph import waves as waves_of
from flyte_jupyter.spec.naming import kind, shown

if TYPE_CHECKING:
    from flyte_jupyter.deployment.result import Deployment
    from flyte_jupyter.session.calls import ActionRecord
    from flyte_jupyter.session.run import Run

__all__ = ["deployment_view", "graph", "view_of"]

States = Mapping[str, tuple[str, tuple[str, ...]]]
"""Name of an environment → the word for its state, and lines that say more."""


def graph(
    *environments: TaskEnvironment | Task | str,
    tasks: bool = False,
    run: Run | str | None = None,
    expand: bool = False,
    target: str | None = None,
) -> Graph:
    """Return the graph of environments and of all that they depend on.

    Args:
        environments: where to begin, themselves or by name; all of the session if none is given,
            or, with a run, those that the run called.
        tasks: whether to show their tasks.
        run: a run, its name or the beginning of it, a task that it called, or ``"last"``: its calls
            are laid over the graph.
        expand: whether to draw every environment, however many there are.
        target: name of the target whose deployments tell the states; every target if not given.

    Raises:
        NotFoundError: there is no such environment or run.
        CycleError: ``depends_on`` has a circle.
    """
    given = [_environment(one) for one in environments]
    declared = [one.value for one in catalog.current().environments.values()]
    if run is None:
        view = view_of(given or declared, tasks=tasks)
        return Graph(_with_states(view, target), expand=expand)
    from flyte_jupyter.session.calls import calls_of

    name = run if isinstance(run, str) else run.name
    actions = calls_of("" if name == "last" else name)
    called = {one.environment for one in actions}
    roots = [*given, *(one for one in declared if one.name in called)]
    view = _with_states(view_of(roots, tasks=True), target)
    return Graph(_with_calls(view, actions), expand=expand)


def view_of(
    environments: Sequence[TaskEnvironment], states: States | None = None, *, tasks: bool = False
) -> GraphView:
    """Return environments and all that they depend on as they are drawn.

    Args:
        environments: where to begin.
        states: what is known of their states.
        tasks: whether to show their tasks.

    Raises:
        CycleError: ``depends_on`` has a circle.
    """
    known = catalog.current()
    current = {name: one.value for name, one in known.environments.items()}
    waves = waves_of(environments, current)
    found = [environment for wave in waves for environment in wave]
    names = {environment.name for environment in found}
    edges = []
    for environment in found:
        why = environment.edges
        for dependency in environment.depends_on:
            if dependency.name in names:
                reason = str(why.get(dependency.name, ""))
                edges.append(EdgeView(environment.name, dependency.name, reason))
    of_environment: dict[str, list[TaskView]] = {}
    for task in known.tasks.values():
        of_environment.setdefault(task.env_name, []).append(TaskView(task.name))
    return GraphView(
        nodes=tuple(
            _node(environment, of_environment.get(environment.name, ()), states or {})
            for environment in found
        ),
        waves=tuple(tuple(environment.name for environment in wave) for wave in waves),
        edges=tuple(edges),
        tasks=tasks,
    )


def deployment_view(deployment: Deployment) -> GraphView:
    """Return the environments of a deployment, each in the state that it is in now."""
    known = catalog.current().environments
    states = {
        name: (one.state.value, tuple(filter(None, (one.why or one.progress, *one.notes))))
        for name, one in deployment.environments.items()
    }
    return view_of([known[name].value for name in states if name in known], states)


def _node(environment: TaskEnvironment, tasks: Sequence[TaskView], states: States) -> NodeView:
    settings = environment.settings
    image = str(settings.image) if "image" in environment.given else "default image"
    state, detail = states.get(environment.name, ("", ()))
    return NodeView(
        name=environment.name,
        image=image,
        resources=tuple(settings.resources.rows()) if settings.resources else (),
        tasks=tuple(tasks),
        state=state,
        detail=detail,
        origin=environment.origin.label,
    )


def _environment(given: TaskEnvironment | Task | str) -> TaskEnvironment:
    known = catalog.current()
    if isinstance(given, str):
        return known.find_environment(given)
    if isinstance(given, Task):
        return known.environment_of(given)
    if isinstance(given, TaskEnvironment):
        return given
    raise SpecTypeError(
        f"{shown(given)} is {kind(given)}; draw environments, themselves or by name."
    )


def _with_states(view: GraphView, target: str | None) -> GraphView:
    """Return the view with what the deployments of this session's project say."""
    from flyte_jupyter.session.deployments import deployments, standing

    names = [node.name for node in view.nodes]
    if target is None:
        found = {}
        with contextlib.suppress(TargetError):  # a graph is drawn where no cluster answers, too
            found = standing(names)
    else:
        found = {one.record.name: one for one in deployments(target=target)}
    nodes = []
    for node in view.nodes:
        one = found.get(node.name)
        if one is not None:
            said = (one.sentence,) if one.sentence else ()
            node = replace(node, state=one.word, detail=(*node.detail, *said))
        nodes.append(node)
    return replace(view, nodes=tuple(nodes))


# The calls of a run


def _with_calls(view: GraphView, actions: Sequence[ActionRecord]) -> GraphView:
    """Return the view with the calls of a run laid over it; what it lacks is added."""
    by_name = {action.name: action for action in actions}
    phases: dict[str, list[str]] = {}
    pairs: dict[tuple[str, str], list[str]] = {}
    for action in actions:
        task = _full(action)
        phases.setdefault(task, []).append(action.phase)
        parent = by_name.get(action.parent)
        caller = _full(parent) if parent is not None else ""
        pairs.setdefault((caller, task), []).append(action.phase)
    calls = tuple(
        CallView(caller, callee, len(found), _worst(found), _counted(found))
        for (caller, callee), found in sorted(pairs.items())
    )
    nodes = [_called(node, phases) for node in view.nodes]
    known = {node.name for node in view.nodes}
    foreign: dict[str, list[TaskView]] = {}
    for task, found in sorted(phases.items()):
        environment = task.partition(".")[0]
        if environment not in known:
            foreign.setdefault(environment, []).append(TaskView(task, _worst(found)))
    for name, tasks in foreign.items():
        nodes.append(NodeView(name, "not declared here", tasks=tuple(tasks)))
    first, *others = view.waves or ((),)
    root = _full(actions[0]) if actions else ""
    return replace(
        view,
        nodes=tuple(nodes),
        waves=((*first, *foreign), *others),
        calls=calls,
        title="Calls of a run over the deployment graph",
        run=root.partition(".")[2],
    )


def _called(node: NodeView, phases: Mapping[str, list[str]]) -> NodeView:
    """Return a node whose tasks tell how they fared, with those that it no longer declares."""
    tasks = [
        replace(task, state=_worst(phases[task.name])) if task.name in phases else task
        for task in node.tasks
    ]
    known = {task.name for task in tasks}
    tasks += [
        TaskView(name, _worst(found))
        for name, found in sorted(phases.items())
        if name not in known and name.partition(".")[0] == node.name
    ]
    return replace(node, tasks=tuple(tasks))


def _full(action: ActionRecord) -> str:
    """Return the full name of a task, that of its environment first."""
    environment, dot, _ = action.task.partition(".")
    if dot and environment == action.environment:
        return action.task
    return f"{action.environment}.{action.task.rpartition('.')[2]}"


def _worst(phases: Iterable[str]) -> str:
    found = set(phases)
    return next((phase for phase in CALLS if phase in found), next(iter(found), ""))


def _counted(phases: Sequence[str]) -> str:
    """Return how calls fared where they fared differently: ``1 failed, 2 succeeded``."""
    if len(set(phases)) < 2:
        return ""
    counts = [(phases.count(phase), look.word) for phase, look in CALLS.items()]
    return ", ".join(f"{count} {word}" for count, word in counts if count)
