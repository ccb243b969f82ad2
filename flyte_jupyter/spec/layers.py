"""What an image is made of: a base, and layers upon it. Plain values, in the order of building."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, ClassVar, Union

from flyte_jupyter.spec.secret import Secret

__all__ = [
    "AptPackages",
    "Base",
    "Commands",
    "DebianBase",
    "DockerfileBase",
    "EnvVars",
    "Layer",
    "PipPackages",
    "Reference",
    "Requirements",
    "SourceFile",
    "SourceFolder",
    "UvProject",
    "UvScript",
    "WorkDir",
    "plain_of",
    "value_of",
]


@dataclass(frozen=True)
class DebianBase:
    """The slim Debian image of a Python version.

    Args:
        python: major and minor version.
    """

    python: tuple[int, int]
    tag: ClassVar[str] = "debian"

    def __str__(self) -> str:
        return "Python {}.{} on slim Debian".format(*self.python)


@dataclass(frozen=True)
class Reference:
    """An image that exists: ``registry/path:tag@digest``."""

    uri: str
    tag: ClassVar[str] = "reference"

    def __str__(self) -> str:
        return self.uri


@dataclass(frozen=True)
class DockerfileBase:
    """A Dockerfile; its folder is the build context.

    Args:
        path: where it was read from.
        text: what it said then.
    """

    path: str
    text: str
    tag: ClassVar[str] = "dockerfile"
    unhashed: ClassVar[tuple[str, ...]] = ("path",)

    def __str__(self) -> str:
        return f"Dockerfile {self.path}"


@dataclass(frozen=True)
class UvScript:
    """The inline metadata of a script (PEP 723) as an image.

    Args:
        path: where it was read from.
        python: version of the base image.
        requires_python: what the script says of its Python, or None.
        dependencies: what it says it needs.
        header: the metadata itself, which may have settings of uv.
    """

    path: str
    python: tuple[int, int]
    requires_python: str | None
    dependencies: tuple[str, ...]
    header: str
    tag: ClassVar[str] = "uv-script"
    unhashed: ClassVar[tuple[str, ...]] = ("path",)

    def __str__(self) -> str:
        return f"script {self.path}"


@dataclass(frozen=True)
class PipPackages:
    """Python packages by requirement specifier."""

    packages: tuple[str, ...]
    index_url: str | None = None
    extra_index_urls: tuple[str, ...] = ()
    pre: bool = False
    extra_args: str | None = None
    secret_mounts: tuple[Secret, ...] = ()
    tag: ClassVar[str] = "pip"

    def __str__(self) -> str:
        return "pip " + " ".join(self.packages)


@dataclass(frozen=True)
class Requirements:
    """A requirements file; ``lines`` is what it said when the image was declared."""

    path: str
    lines: tuple[str, ...]
    index_url: str | None = None
    extra_index_urls: tuple[str, ...] = ()
    pre: bool = False
    extra_args: str | None = None
    secret_mounts: tuple[Secret, ...] = ()
    tag: ClassVar[str] = "requirements"
    unhashed: ClassVar[tuple[str, ...]] = ("path",)

    def __str__(self) -> str:
        return f"requirements {self.path}"


@dataclass(frozen=True)
class UvProject:
    """A project of uv: what its lock file says is installed.

    Args:
        pyproject: path of ``pyproject.toml``.
        uvlock: path of ``uv.lock``, or None.
        digest: of both files, and of the project's folder where it is installed itself.
        install_project: install the project itself, not only what it depends on.
        extra_args: further options of ``uv sync``.
    """

    pyproject: str
    uvlock: str | None
    digest: str
    install_project: bool = False
    extra_args: str | None = None
    secret_mounts: tuple[Secret, ...] = ()
    tag: ClassVar[str] = "uv-project"
    unhashed: ClassVar[tuple[str, ...]] = ("pyproject", "uvlock")

    def __str__(self) -> str:
        return f"uv project {self.pyproject}"


@dataclass(frozen=True)
class AptPackages:
    """Debian packages."""

    packages: tuple[str, ...]
    secret_mounts: tuple[Secret, ...] = ()
    tag: ClassVar[str] = "apt"

    def __str__(self) -> str:
        return "apt " + " ".join(self.packages)


@dataclass(frozen=True)
class Commands:
    """Shell commands, run one after the other while building."""

    commands: tuple[str, ...]
    secret_mounts: tuple[Secret, ...] = ()
    tag: ClassVar[str] = "commands"

    def __str__(self) -> str:
        return "run " + "; ".join(self.commands)


@dataclass(frozen=True)
class EnvVars:
    """Environment variables, sorted by name: their order makes no difference."""

    items: tuple[tuple[str, str], ...]
    tag: ClassVar[str] = "env"

    def __str__(self) -> str:
        return "env " + " ".join(name for name, _ in self.items)


@dataclass(frozen=True)
class WorkDir:
    """The working directory of what follows, and of the task."""

    path: str
    tag: ClassVar[str] = "workdir"

    def __str__(self) -> str:
        return f"workdir {self.path}"


@dataclass(frozen=True)
class SourceFile:
    """A file copied into the image; ``digest`` is that of its content when declared."""

    src: str
    dst: str
    digest: str
    tag: ClassVar[str] = "file"
    unhashed: ClassVar[tuple[str, ...]] = ("src",)

    def __str__(self) -> str:
        return f"file {self.src}"


@dataclass(frozen=True)
class SourceFolder:
    """A folder copied into the image; ``digest`` covers names and contents when declared."""

    src: str
    dst: str
    digest: str
    copy_contents_only: bool = False
    tag: ClassVar[str] = "folder"
    unhashed: ClassVar[tuple[str, ...]] = ("src",)

    def __str__(self) -> str:
        return f"folder {self.src}"


BASES = (DebianBase, Reference, DockerfileBase, UvScript)
Base = Union[DebianBase, Reference, DockerfileBase, UvScript]
Layer = Union[
    PipPackages,
    Requirements,
    UvProject,
    AptPackages,
    Commands,
    EnvVars,
    WorkDir,
    SourceFile,
    SourceFolder,
]

_KINDS: dict[str, Any] = {
    kind.tag: kind
    for kind in (
        DebianBase,
        Reference,
        DockerfileBase,
        UvScript,
        PipPackages,
        Requirements,
        UvProject,
        AptPackages,
        Commands,
        EnvVars,
        WorkDir,
        SourceFile,
        SourceFolder,
    )
}


def plain_of(part: Base | Layer) -> dict[str, Any]:
    """Return a base or layer as JSON values."""
    plain: dict[str, Any] = {"kind": part.tag}
    for field in fields(part):
        value = getattr(part, field.name)
        if field.name == "secret_mounts":
            value = [[s.key, s.group, s.mount, s.as_env_var] for s in value]
        plain[field.name] = _listed(value)
    return plain


def value_of(plain: dict[str, Any]) -> Any:
    """Return the base or layer that `plain_of` described."""
    values = {name: _tupled(value) for name, value in plain.items() if name != "kind"}
    if "secret_mounts" in values:
        values["secret_mounts"] = tuple(Secret(*secret) for secret in values["secret_mounts"])
    return _KINDS[plain["kind"]](**values)


def _listed(value: Any) -> Any:
    return [_listed(item) for item in value] if isinstance(value, (tuple, list)) else value


def _tupled(value: Any) -> Any:
    return tuple(_tupled(item) for item in value) if isinstance(value, list) else value
