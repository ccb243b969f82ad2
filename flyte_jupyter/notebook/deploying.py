"""``%flyte_deploy`` and its kin: a deployment shown while it goes on, and what is deployed."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from flyte_jupyter.deployment.result import ENDED, Deployed, Deployment, State
from flyte_jupyter.notebook.tables import Table, age, without_empty
from flyte_jupyter.session.deployments import ELSEWHERE, Standing
from flyte_jupyter.spec import TaskEnvironment
from flyte_jupyter.spec.amounts import readable_seconds
from flyte_jupyter.store.ledger import Row

__all__ = [
    "LiveDeployment",
    "deploy_names",
    "deployed_table",
    "deployment_html",
    "told",
    "undeployed_table",
    "versions_table",
]

INTERVAL = 0.2
"""Seconds between two updates of a display."""
SHARE = 0.2
"""How much of the time may go into drawing: a large graph is drawn less often."""
HEADS = ("wave", "environment", "state", "target", "version", "image", "tasks", "what", "time")
STANDING = ("environment", "version", "target", "deployed", "state", "tasks", "project", "from")


def deploy_names(words: Sequence[Any], variables: Mapping[str, Any]) -> list[TaskEnvironment | str]:
    """Return the environments that the words of a line mean: variables of the notebook, or names.

    Args:
        words: the words; ``{expression}`` gives the environment itself.
        variables: the names of the notebook.
    """
    found: list[TaskEnvironment | str] = []
    for word in words:
        value = variables.get(word) if isinstance(word, str) else word
        found.append(value if isinstance(value, TaskEnvironment) else word)
    return found


class LiveDeployment:
    """The graph of a deployment in its cell, whose environments change their states in place.

    Where nobody watches there is none; the deployment itself is shown where it is the value.

    Args:
        interactive: whether somebody watches.
    """

    def __init__(self, *, interactive: bool) -> None:
        self._interactive = interactive
        self._next = 0.0
        self._handle: Any = None

    def watch(self, deployment: Deployment) -> None:
        """Show how it stands, at a bounded rate and at its end."""
        begun = time.monotonic()
        if self._interactive and (deployment.done or begun >= self._next):
            self._show(deployment)
            now = time.monotonic()
            self._next = now + max(INTERVAL, (now - begun) / SHARE)

    def _show(self, deployment: Deployment) -> None:
        from flyte_jupyter.notebook.graph import bundle
        from flyte_jupyter.session.graph import deployment_view

        drawn = bundle(deployment_view(deployment), True)
        drawn["text/html"] += _progress(deployment)
        if self._handle is None:
            from IPython.display import display

            self._handle = display(drawn, raw=True, display_id=True)
        else:
            self._handle.update(drawn, raw=True)


def _progress(deployment: Deployment) -> str:
    """Return what goes on, for below a graph; what is worth a word stands with the result."""
    states = deployment.environments.values()
    lines = [
        (one.name, one.progress or one.state.value) for one in states if one.state is State.BUILDING
    ]
    if deployment.done and not deployment.ok:  # there is an error instead of a result
        lines = [(one.name, note) for one in states for note in one.notes]
    return "".join(f"<div><b>{escape(name)}</b> {escape(text)}</div>" for name, text in lines)


def told() -> Callable[[Deployment], None]:
    """Return what tells a terminal of every change of a deployment, on standard error."""
    known: dict[str, tuple[State, str]] = {}

    def tell(deployment: Deployment) -> None:
        for one in deployment.environments.values():
            now = one.state, one.progress
            if known.get(one.name) == now or one.state is State.WAITING:
                continue
            known[one.name] = now
            rest = one.progress or one.why
            words = f"wave {one.wave}: {one.name}: {one.state}" + (f": {rest}" if rest else "")
            print(words, file=sys.stderr)
            if one.state in ENDED:
                for note in one.notes:
                    print(f"note: {one.name}: {note}", file=sys.stderr)

    return tell


def deployment_html(deployment: Deployment, *, times: bool = True) -> str:
    """Return a deployment as a table in HTML, with its notes below.

    Args:
        deployment: the deployment.
        times: whether to tell how long things took.
    """
    rows = tuple(_row(deployment, one, times) for one in deployment.environments.values())
    notes = [
        f"{one.name}: {note}" for one in deployment.environments.values() for note in one.notes
    ]
    table = Table(*without_empty(HEADS, rows), deployment.summary_repr(), tuple(notes))
    return table._repr_html_()


def _row(deployment: Deployment, one: Deployed, times: bool) -> tuple[str, ...]:
    return (
        str(one.wave),
        one.name,
        _unbroken(" ".join(deployment.look(one))),
        one.target,
        one.version,
        one.image,
        ", ".join(task.rpartition(".")[2] for task in one.tasks),
        one.progress or one.why or "; ".join(one.changes),
        _unbroken(readable_seconds(one.seconds)) if times and one.seconds is not None else "",
    )


def _unbroken(text: str) -> str:
    """Return a text that a narrow column keeps on one line."""
    return text.replace(" ", "\N{NO-BREAK SPACE}")


def deployed_table(
    found: Sequence[Standing], *, everywhere: bool, terminal: bool = False, now: float | None = None
) -> Table:
    """Return what is deployed as a table.

    Args:
        found: what is deployed.
        everywhere: whether all projects are listed.
        terminal: whether a terminal asks, which declares nothing.
        now: seconds since the epoch.
    """
    moment = time.time() if now is None else now
    rows = tuple(_standing(one, everywhere, terminal, moment) for one in found)
    notes = tuple(f"{one.record.name}: {one.sentence}" for one in found if one.changes)
    verb = "flyte-jupyter deploy NOTEBOOK" if terminal else "%flyte_deploy"
    empty = f"Nothing is deployed{'' if everywhere else ' in this project'}: {verb} deploys."
    return Table(*without_empty(STANDING, rows), "", notes, empty)


def _standing(one: Standing, everywhere: bool, terminal: bool, now: float) -> tuple[str, ...]:
    record = one.record
    earlier = f" (+{one.versions - 1})" if one.versions > 1 else ""
    mark = {"deployed": "✓ ", "changed": "△ "}.get(one.word, "")
    return (
        record.name,
        record.version + earlier,
        record.target,
        f"{age(now - one.current_since)} ago",
        "" if terminal and one.word == ELSEWHERE else mark + one.word,
        ", ".join(task.rpartition(".")[2] for task in record.tasks),
        record.project if everywhere else "",
        Path(record.source.notebook or record.source.folder).name,
    )


def versions_table(rows: Sequence[Row], *, now: float | None = None) -> Table:
    """Return the versions of an environment as a table.

    Args:
        rows: the versions.
        now: seconds since the epoch.
    """
    moment = time.time() if now is None else now
    current = next(row for row in rows if row.current)
    return Table(
        ("version", "current", "deployed"),
        tuple(
            (row.version, "yes" if row.current else "", f"{age(moment - row.deployed)} ago")
            for row in rows
        ),
        f"{current.name} is at version {current.version}.",
    )


def undeployed_table(rows: Sequence[Row], dependents: Iterable[str]) -> Table:
    """Return what was taken away as a table.

    Args:
        rows: the versions that are gone.
        dependents: environments that are deployed and name one of them in ``depends_on``.
    """
    names = ", ".join(dependents)
    note = f"{names} came after; what is deployed of it stands for itself and still runs."
    return Table(
        ("environment", "version"),
        tuple((row.name, row.version) for row in rows),
        "Taken away:",
        (note,) if names else (),
    )
