"""An image read as what an engine can do for it: what has to be built, and what can be mounted."""

from __future__ import annotations

from dataclasses import dataclass

from flyte_jupyter.images.recipe import Installation, Source, inside, script_packages
from flyte_jupyter.spec import layers
from flyte_jupyter.spec.image import Image
from flyte_jupyter.spec.layers import Layer

__all__ = ["Stack", "base_of", "is_built", "layers_of", "python_image", "split"]


@dataclass(frozen=True, slots=True)
class Stack:
    """The layers of an image in two parts.

    Args:
        built: what an image of the engine has to have, in this order.
        earlier: the installations among them.
        installations: what follows and can be mounted.
        sources: files that can be laid in the working directory.
        env_vars: variables that containers are started with.
        workdir: working directory that containers are started in, None for the image's own.
    """

    built: tuple[Layer, ...]
    earlier: tuple[Installation, ...]
    installations: tuple[Installation, ...]
    sources: tuple[Source, ...]
    env_vars: tuple[tuple[str, str], ...]
    workdir: str | None


def python_image(version: tuple[int, int]) -> str:
    """Return the name of the default base with a Python."""
    return "python:{}.{}-slim".format(*version)


def base_of(image: Image | None) -> str | layers.DockerfileBase:
    """Return what an image stands on: a reference, or a Dockerfile."""
    import sys

    if image is None:
        return python_image(sys.version_info[:2])
    if isinstance(image.base, layers.Reference):
        return image.base.uri
    if isinstance(image.base, layers.DockerfileBase):
        return image.base
    return python_image(image.base.python)


def is_built(image: Image | None) -> bool:
    """Say whether something of an image has to be built, though packages and files need not be.

    Args:
        image: the image; None for the default one.
    """
    return not isinstance(base_of(image), str) or bool(split(image, None, True).built)


def split(image: Image | None, workdir: str | None, mounts: bool) -> Stack:
    """Return the two parts of an image's layers.

    Args:
        image: the image; None for the default one.
        workdir: working directory that its base has, or None.
        mounts: folders of this machine can be mounted, so that what comes last need not be built.
    """
    given = layers_of(image)
    last = len(given) if not mounts else _last_built(given, workdir)
    built, rest = given[:last], given[last:]
    place = None
    env_vars: dict[str, str] = {}
    for layer in rest:
        if isinstance(layer, layers.EnvVars):
            env_vars.update(layer.items)
        elif isinstance(layer, layers.WorkDir):
            place = layer.path
    return Stack(
        built,
        tuple(layer for layer in built if isinstance(layer, Installation)),
        tuple(layer for layer in rest if isinstance(layer, Installation)),
        tuple(layer for layer in rest if isinstance(layer, Source)),
        tuple(sorted(env_vars.items())),
        place,
    )


def layers_of(image: Image | None) -> tuple[Layer, ...]:
    """Return the layers of an image, with those that its base stands for."""
    if image is None:
        return ()
    if isinstance(image.base, layers.UvScript):
        return (*script_packages(image.base), *image.layers)
    return image.layers


def _last_built(given: tuple[Layer, ...], workdir: str | None) -> int:
    """Return how many layers have to be built, so that the last one that has to is."""
    count = 0
    for index, layer in enumerate(given, 1):
        if isinstance(layer, layers.WorkDir):
            workdir = layer.path
        elif isinstance(layer, (layers.AptPackages, layers.Commands)) or (
            isinstance(layer, Source) and inside(layer.dst, workdir) is None
        ):
            count = index
    return count
