"""An image read as what this machine can do for it: a Python, packages, variables, files.

What a virtual environment cannot give is named with its reason, never passed over in silence.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from flyte_jupyter.spec import layers
from flyte_jupyter.spec.image import Image

__all__ = [
    "Installation",
    "Recipe",
    "Source",
    "destination",
    "inside",
    "layers_not_built",
    "python_of",
    "read_recipe",
    "script_packages",
]

Installation = layers.PipPackages | layers.Requirements | layers.UvProject
Source = layers.SourceFile | layers.SourceFolder

_PYTHON = re.compile(r"(?:docker\.io/)?(?:library/)?python:(\d+)\.(\d+)(?:[.\-@].*)?")

NOT_HERE = "a virtual environment of this machine stands in for the image"
# kind of base or layer: why it has no effect here, and what to do where it matters
IGNORED = {
    layers.Reference: f"{NOT_HERE}; run it on a target with containers to use the image itself",
    layers.DockerfileBase: f"{NOT_HERE}; run it on a target with containers to build it",
    layers.AptPackages: "Debian packages are installed in containers only; "
    "what this machine has installed is there",
    layers.Commands: "commands are run in containers only, never on this machine",
    layers.WorkDir: "a task works in a scratch folder of its own on this machine",
}


@dataclass(frozen=True, slots=True)
class Recipe:
    """What to do for an image.

    Args:
        python: minor version to run under; None for the kernel's.
        installations: what is installed, in this order.
        sources: files and folders to copy.
        env_vars: variables that the image sets.
        workdir: its working directory, where it says one.
        ignored: (layer, reason) of each part that has no effect here.
    """

    python: tuple[int, int] | None
    installations: tuple[Installation, ...]
    sources: tuple[Source, ...]
    env_vars: dict[str, str]
    workdir: str | None
    ignored: tuple[tuple[str, str], ...]

    @property
    def bare(self) -> bool:
        """Whether there is nothing to build: an interpreter is enough."""
        return not self.installations and not self.sources


def read_recipe(image: Image | None) -> Recipe:
    """Return what an image asks of this machine; None is the default image."""
    if image is None:
        return Recipe(None, (), (), {}, None, ())
    installations: list[Installation] = []
    sources: list[Source] = []
    env_vars: dict[str, str] = {}
    workdir: str | None = None
    ignored: list[tuple[str, str]] = []
    if isinstance(image.base, layers.UvScript):
        installations += script_packages(image.base)
    elif type(image.base) in IGNORED and python_of(image.base) is None:
        ignored.append((str(image.base), IGNORED[type(image.base)]))
    for layer in image.layers:
        if isinstance(layer, Installation):
            installations.append(layer)
        elif isinstance(layer, layers.EnvVars):
            env_vars.update(layer.items)
        elif isinstance(layer, Source):
            if inside(layer.dst, workdir) is None:
                ignored.append(
                    (str(layer), f"{layer.dst!r} is outside of the working directory of a task")
                )
            else:
                sources.append(layer)
        else:
            ignored.append((str(layer), IGNORED[type(layer)]))
        if isinstance(layer, layers.WorkDir):
            workdir = layer.path
    return Recipe(
        python_of(image.base),
        tuple(installations),
        tuple(sources),
        env_vars,
        workdir,
        tuple(ignored),
    )


def layers_not_built(image: Image | None) -> tuple[tuple[str, str], ...]:
    """Return (layer, reason) of each part of an image that has no effect on this machine."""
    return read_recipe(image).ignored


def destination(source: Source, workdir: str | None) -> str:
    """Return where a source goes, relative to the working directory."""
    place = inside(source.dst, workdir)
    assert place is not None, "only sources that have a place are asked about"
    return place


def python_of(base: layers.Base) -> tuple[int, int] | None:
    """Return the minor version of Python that a base says it has, None where it does not say."""
    if isinstance(base, layers.Reference):
        named = _PYTHON.fullmatch(base.uri)
        return (int(named[1]), int(named[2])) if named else None
    return None if isinstance(base, layers.DockerfileBase) else base.python


def inside(path: str, workdir: str | None) -> str | None:
    """Return the path relative to the working directory, None if it is outside of it.

    Args:
        path: a destination of sources.
        workdir: the working directory, None for the default one.
    """
    import posixpath

    home = workdir or "/root"
    full = posixpath.normpath(posixpath.join(home, path))
    if full == home:
        relative = "."
    elif full.startswith(home.rstrip("/") + "/"):
        relative = full[len(home.rstrip("/")) + 1 :]
    else:
        return None
    return relative + "/" if path.endswith("/") and relative != "." else relative


def script_packages(base: layers.UvScript) -> list[layers.PipPackages]:
    """Return what a script says it needs as layers; none if it needs nothing."""
    if not base.dependencies:
        return []
    return [layers.PipPackages(base.dependencies, extra_index_urls=_script_indexes(base.header))]


def _script_indexes(header: str) -> tuple[str, ...]:
    """Return the indexes that a script names in its settings of uv."""
    import tomllib

    settings = tomllib.loads(header).get("tool", {}).get("uv", {})
    named = [one["url"] for one in settings.get("index", ()) if isinstance(one.get("url"), str)]
    return (*named, *settings.get("extra-index-url", ()))
