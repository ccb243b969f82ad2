"""What is kept of a deployment: environments with their tasks, as values that become JSON.

A record stands for itself: with its blobs, it has all that is needed to run its tasks, whatever has
become of the notebook, of the other environments, or of the kernel that deployed it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = [
    "EnvironmentRecord",
    "ImageRecord",
    "ParameterRecord",
    "Source",
    "TaskRecord",
    "UnitRecord",
]


@dataclass(frozen=True, slots=True)
class Source:
    """From where something was deployed.

    Args:
        host: name of the machine.
        folder: the kernel's working directory.
        notebook: path of the notebook or the file, ``""`` if the kernel does not know it.
    """

    host: str
    folder: str
    notebook: str = ""

    def is_elsewhere(self, other: Source) -> bool:
        """Return whether this is another notebook, as far as both are known."""
        if self.notebook and other.notebook:
            return (self.host, self.notebook) != (other.host, other.notebook)
        return (self.host, self.folder) != (other.host, other.folder)

    def __str__(self) -> str:
        return f"{self.notebook or self.folder} on {self.host}"


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """The image that an environment was deployed with.

    Args:
        description: what it is, in a few words.
        digest: what it was found to be: an image's digest or id with the hash of its packages.
    """

    description: str
    digest: str = ""


@dataclass(frozen=True, slots=True)
class ParameterRecord:
    """One parameter of a task.

    Args:
        name: its name.
        kind: number of its kind, as ``inspect`` counts them.
        annotation: its annotation as it was written, ``""`` without one.
        default: its default as it is shown, ``None`` without one.
    """

    name: str
    kind: int
    annotation: str = ""
    default: str | None = None


@dataclass(frozen=True, slots=True)
class TaskRecord:
    """A task as others see it.

    Args:
        name: full name, ``environment.function``.
        is_async: whether its function is a coroutine function.
        parameters: what it takes.
        returns: annotation of what it returns, as it was written.
        interface: what it takes and gives, as schemas; ``None`` where nothing is known.
        settings: what its decorator gave, as JSON values.
        unit: key of its code.
        doc: its documentation.
        origin: where it was declared, in words.
    """

    name: str
    is_async: bool
    parameters: tuple[ParameterRecord, ...]
    returns: str
    interface: Mapping[str, Any] | None
    settings: Mapping[str, Any]
    unit: str
    doc: str | None = None
    origin: str = ""


@dataclass(frozen=True, slots=True)
class UnitRecord:
    """A task as it is shipped, with its code as a blob.

    Args:
        key: its name in a run: full name, ``@``, and the beginning of a hash of everything here.
        name: full name of the task.
        environment: name of its environment.
        settings: what holds for it, as JSON values.
        capsule: digest of the blob that has its code.
        capsule_hash: hash of its code, the same in every kernel.
        capsule_key: hash of this very capsule.
        modules: top-level modules that it imports.
        files: hash of the files that travel along and the digest of their blob, or nothing.
        calls: full name of each task that it may call, to the key of that.
        minimum: the oldest Python that can load it, or nothing.
        exact: the only Python that can, or nothing.
        why: what needs that Python.
    """

    key: str
    name: str
    environment: str
    settings: Mapping[str, Any]
    capsule: str
    capsule_hash: str
    capsule_key: str
    modules: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    calls: Mapping[str, str] = field(default_factory=dict)
    minimum: tuple[int, ...] = ()
    exact: tuple[int, ...] = ()
    why: str = ""


@dataclass(frozen=True, slots=True)
class EnvironmentRecord:
    """One version of a deployed environment.

    Args:
        name: its name.
        project: the folder that the name belongs to.
        version: name of the version: what was given, or the beginning of ``content``.
        content: hash of everything that makes a difference to its tasks.
        target: name of the target that it was deployed to.
        deployed: when, in seconds since the epoch.
        source: from where.
        settings: the environment's own, as JSON values.
        depends_on: names of the environments that it was deployed after.
        image: what its tasks run in.
        tasks: its tasks by full name.
        units: the code of its tasks and of all tasks that these may call, by key.
    """

    name: str
    project: str
    version: str
    content: str
    target: str
    deployed: float
    source: Source
    settings: Mapping[str, Any]
    depends_on: tuple[str, ...]
    image: ImageRecord
    tasks: Mapping[str, TaskRecord]
    units: Mapping[str, UnitRecord]

    def to_plain(self) -> dict[str, Any]:
        """Return it as JSON values; :meth:`from_plain` turns them back."""
        return asdict(self)

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> EnvironmentRecord:
        """Return the record that :meth:`to_plain` described."""
        tasks = {name: _task(one) for name, one in plain["tasks"].items()}
        units = {key: _unit(one) for key, one in plain["units"].items()}
        rest = {
            "source": Source(**plain["source"]),
            "image": ImageRecord(**plain["image"]),
            "depends_on": tuple(plain["depends_on"]),
            "tasks": tasks,
            "units": units,
        }
        return cls(**{**plain, **rest})

    @property
    def blobs(self) -> frozenset[str]:
        """Digests of the blobs that it needs."""
        units = self.units.values()
        return frozenset(
            digest for one in units for digest in (one.capsule, *one.files[1:2]) if digest
        )


def _task(plain: Mapping[str, Any]) -> TaskRecord:
    parameters = tuple(ParameterRecord(**one) for one in plain["parameters"])
    return TaskRecord(**{**plain, "parameters": parameters})


def _unit(plain: Mapping[str, Any]) -> UnitRecord:
    tuples = {name: tuple(plain[name]) for name in ("modules", "files", "minimum", "exact")}
    return UnitRecord(**{**plain, **tuples})
