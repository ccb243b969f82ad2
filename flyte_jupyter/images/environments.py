"""Virtual environments in the place of images: built once by uv, shared by content, then found."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from flyte_jupyter.images import kept
from flyte_jupyter.images.built import BuiltImage
from flyte_jupyter.images.interpreters import Interpreter, Interpreters, current
from flyte_jupyter.images.recipe import Recipe, read_recipe
from flyte_jupyter.images.sharing import Folders, Progress, silent
from flyte_jupyter.spec.hashing import digest
from flyte_jupyter.spec.image import Image

__all__ = ["Prepared", "VirtualEnvironments"]

# Changed when an environment of the same recipe would be built differently.
LAYOUT = 1
# No site packages: as empty as the bare image, whatever this kernel has installed.
BARE = ("-I", "-S")
ISOLATED = ("-I",)


@dataclass(frozen=True, slots=True)
class Prepared:
    """An image made startable on this machine.

    Args:
        hash: hex digest of everything below, and of what is installed.
        python: program to start.
        args: its options, which keep the kernel's packages and variables out.
        env_vars: variables that the image sets.
        description: a few words for displays.
        workdir: the working directory that the image names, or None.
        files: folder whose content belongs in the task's working directory, or None.
        ignored: (layer, reason) of each part that has no effect here.
    """

    hash: str
    python: str
    args: tuple[str, ...] = ()
    env_vars: Mapping[str, str] = field(default_factory=dict)
    description: str = ""
    workdir: str | None = None
    files: str | None = None
    ignored: tuple[tuple[str, str], ...] = ()


class VirtualEnvironments:
    """The environments below one folder. May be used by several loops and processes at once.

    Args:
        folder: the cache folder; what is in it can be deleted while nothing runs.
    """

    def __init__(self, folder: Path | str) -> None:
        self._folder = Path(folder)
        self.interpreters = Interpreters(self._folder / "interpreters.json")
        self._ready: dict[Image | None, Prepared] = {}
        self._folders = Folders(self._folder, "environments", _whole)

    async def prepare(self, image: Image | None, progress: Progress | None = None) -> Prepared:
        """Make an image startable, or find that it is.

        Args:
            image: the image; None for the default one, this kernel's Python without packages.
            progress: called with one line for each step, only when there is something to do.

        Raises:
            ImageBuildError: a package, a Python or a file cannot be had; the message is uv's own,
                with what to do.
        """
        known = self._ready.get(image)
        # a cache folder can be emptied, and a Python uninstalled, under a living kernel
        if known is not None and os.path.exists(known.python):
            return known
        say = progress or silent
        recipe = read_recipe(image)
        interpreter = await self._interpreter(recipe.python, say)
        if recipe.bare:
            prepared = _bare(recipe, interpreter)
        else:
            key = _key(recipe, interpreter)
            place = await self._folders.make(
                key, lambda partial, tell: _filled(partial, recipe, interpreter, tell), say
            )
            kept.touch(place)
            prepared = _virtual(key, place, recipe, interpreter)
        self._ready[image] = prepared
        return prepared

    def found(self, image: Image | None) -> tuple[bool, str]:
        """Say whether an image is startable as it is, and what stands for it, without building.

        Args:
            image: the image; None for the default one.
        """
        recipe = read_recipe(image)
        interpreter = current() if recipe.python is None else self.interpreters.find(recipe.python)
        if interpreter is None:
            wanted = ".".join(map(str, recipe.python or ()))
            return False, f"Python {wanted}{_with(recipe)}, which is not installed here"
        whole = recipe.bare or _whole(self._folders.place(_key(recipe, interpreter)))
        return whole, _description(recipe, interpreter)

    def listed(self, wanted: Iterable[Image | None] = ()) -> list[BuiltImage]:
        """Return the environments that are there.

        Args:
            wanted: images that are needed, used or not.
        """
        keys = {key for image in wanted if (key := self._known(image))}
        return kept.listed(self._folders.place(""), keys)

    def remove(self, names: Collection[str]) -> list[BuiltImage]:
        """Remove environments by their names; return those that were removed."""
        self._ready.clear()
        return kept.remove(self._folders.place(""), names)

    def _known(self, image: Image | None) -> str | None:
        """Return the name of an image's folder, as far as that needs no interpreter fetched."""
        recipe = read_recipe(image)
        interpreter = current() if recipe.python is None else self.interpreters.find(recipe.python)
        return None if recipe.bare or interpreter is None else _key(recipe, interpreter)

    async def _interpreter(self, version: tuple[int, int] | None, say: Progress) -> Interpreter:
        if version is None:
            return current()
        known = self.interpreters.remembered(version)
        if known is not None:
            return known
        import asyncio

        # interpreters are started to be asked what they are: not on the loop
        found = await asyncio.to_thread(self.interpreters.find, version)
        if found is not None:
            return found
        from flyte_jupyter.images.building import fetch_python

        return await fetch_python(version, self.interpreters, say)


async def _filled(folder: Path, recipe: Recipe, interpreter: Interpreter, say: Progress) -> None:
    # what only a build needs is imported for a build
    from flyte_jupyter.images.building import fill

    await fill(folder, recipe, interpreter, say)
    kept.note(folder, _description(recipe, interpreter))


def _key(recipe: Recipe, interpreter: Interpreter) -> str:
    libc = os.confstr("CS_GNU_LIBC_VERSION") if sys.platform == "linux" else platform.release()
    return digest(
        "environment",
        LAYOUT,
        interpreter.path,
        interpreter.version,
        sys.platform,
        os.uname().machine,
        libc,
        recipe.workdir if recipe.sources else None,
        recipe.installations,
        recipe.sources,
    )[:32]


def _whole(place: Path) -> bool:
    # follows the link to the interpreter, which may have been uninstalled since
    return os.path.exists(place / "bin" / "python")


def _bare(recipe: Recipe, interpreter: Interpreter) -> Prepared:
    env_vars = tuple(sorted(recipe.env_vars.items()))
    return Prepared(
        hash=digest("bare", interpreter.path, interpreter.version, env_vars)[:32],
        python=interpreter.path,
        args=BARE,
        env_vars=recipe.env_vars,
        description=f"Python {interpreter.text}",
        workdir=recipe.workdir,
        ignored=recipe.ignored,
    )


def _virtual(key: str, place: Path, recipe: Recipe, interpreter: Interpreter) -> Prepared:
    return Prepared(
        hash=digest("virtual", key, tuple(sorted(recipe.env_vars.items())))[:32],
        python=str(place / "bin" / "python"),
        args=ISOLATED,
        env_vars=recipe.env_vars,
        description=_description(recipe, interpreter),
        workdir=recipe.workdir,
        files=str(place / "files") if recipe.sources else None,
        ignored=recipe.ignored,
    )


def _description(recipe: Recipe, interpreter: Interpreter) -> str:
    return f"Python {interpreter.text}{_with(recipe)}"


def _with(recipe: Recipe) -> str:
    what = ", ".join(str(layer) for layer in (*recipe.installations, *recipe.sources))
    return f" with {what}" if what else ""
