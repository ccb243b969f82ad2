"""The messages that the engine takes: plain values and encoded bytes, no object of the user."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flyte_jupyter.spec import Settings
from flyte_jupyter.wire.exchange import Packed

__all__ = ["RunOptions", "RunRequest", "SecretValues", "Unit"]


class SecretValues(dict[str, str]):
    """Texts by the name or the path that a task finds them under; never shown."""

    def __repr__(self) -> str:
        return f"SecretValues({', '.join(sorted(self))})"

    __str__ = __repr__


@dataclass(frozen=True, slots=True)
class Unit:
    """One task as it is shipped.

    Args:
        name: names it in a run: full name, ``environment.task``; with ``@`` and a part of its hash
            if it was deployed.
        environment: name of the environment.
        settings: what is in force for it, with what the run says.
        capsule: its code and the values that it reads.
        capsule_hash: content hash of the code, the same in every kernel.
        capsule_key: hash of this very capsule, cells and lines included; what a worker has loaded.
        modules: top-level modules that it imports, for standby workers.
        files: hash and content of the files that travel along, ``None`` without any.
        secrets: values of the secrets that it asked for, by environment variable.
        secret_files: likewise, by path, for targets that can lay them in memory.
        calls: name of the unit that is meant by what its code calls, where these differ.
    """

    name: str
    environment: str
    settings: Settings
    capsule: Packed
    capsule_hash: str
    capsule_key: str
    modules: tuple[str, ...] = ()
    files: tuple[str, Packed] | None = None
    secrets: SecretValues = field(default_factory=SecretValues)
    secret_files: SecretValues = field(default_factory=SecretValues)
    calls: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What holds for every action of a run.

    Args:
        oversize: ``"refuse"`` or ``"clamp"`` a request above the target's capacity.
        pickle: whether values may travel as pickle when no codec takes them.
        labels: recorded with the run.
        project: folder of the notebook.
    """

    oversize: str = "refuse"
    pickle: bool = True
    labels: Mapping[str, str] = field(default_factory=dict)
    project: str = ""


@dataclass(frozen=True, slots=True)
class RunRequest:
    """A run to be started.

    Args:
        name: unique name of the run.
        task: full name of the root task.
        target: name of the root's target.
        units: every task that can be reached from the root by name.
        inputs: the root's inputs, a dictionary by parameter name; ``None`` for a run whose calls
            are added one by one (``flyte.map``).
        options: what holds for every action.
        targets: for each task that runs elsewhere than the root, the name of its target.
        overridden: what a panel overrides of its tasks, said in every run.
        notes: facts to be said once in this session, when the run begins.
        said: what was said about the run, as JSON values: kept, for whoever runs it again.
    """

    name: str
    task: str
    target: str
    units: Mapping[str, Unit]
    inputs: Packed | None
    options: RunOptions = RunOptions()
    targets: Mapping[str, str] = field(default_factory=dict)
    overridden: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    said: Mapping[str, Any] = field(default_factory=dict)

    def target_of(self, task: str) -> str:
        """Return the name of the target of a task."""
        return self.targets.get(task, self.target)
