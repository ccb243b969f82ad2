"""Virtual environments in the place of images: built once by uv, shared by content, then found.

An environment's folder is named by what is in it, is built beside its place and then renamed, so
that a folder with the right name is always whole. Builds of the same content wait for each other:
in one kernel they share one build, between kernels the first builds and the others find it.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from flyte_jupyter.errors import ImageBuildError
from flyte_jupyter.images.interpreters import Interpreter, Interpreters, current
from flyte_jupyter.images.recipe import Recipe, read_recipe
from flyte_jupyter.spec.hashing import digest
from flyte_jupyter.spec.image import Image

if TYPE_CHECKING:
    import asyncio

__all__ = ["Prepared", "VirtualEnvironments"]

# Changed when an environment of the same recipe would be built differently.
LAYOUT = 1
# No site packages: as empty as the bare image, whatever this kernel has installed.
BARE = ("-I", "-S")
ISOLATED = ("-I",)

Progress = Callable[[str], None]


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
        self._builds: dict[tuple[asyncio.AbstractEventLoop, str], _Build] = {}

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
        say = progress or _silent
        recipe = read_recipe(image)
        interpreter = await self._interpreter(recipe.python, say)
        if recipe.bare:
            prepared = _bare(recipe, interpreter)
        else:
            key = _key(recipe, interpreter)
            place = self._folder / "environments" / key
            if not _whole(place):
                await self._built(key, place, recipe, interpreter, say)
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
        what = ", ".join(str(layer) for layer in (*recipe.installations, *recipe.sources))
        words = f" with {what}" if what else ""
        if interpreter is None:
            wanted = ".".join(map(str, recipe.python or ()))
            return False, f"Python {wanted}{words}, which is not installed here"
        whole = recipe.bare or _whole(self._folder / "environments" / _key(recipe, interpreter))
        return whole, f"Python {interpreter.text}{words}"

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

    async def _built(
        self, key: str, place: Path, recipe: Recipe, interpreter: Interpreter, say: Progress
    ) -> None:
        """Build, or join the build that this loop already has under way."""
        import asyncio

        name = (asyncio.get_running_loop(), key)
        build = self._builds.get(name)
        if build is None:
            build = self._builds[name] = _Build()
            build.task = asyncio.ensure_future(
                self._build(key, place, recipe, interpreter, build.say)
            )
        try:
            await build.join(say)
        finally:
            # who comes after a build has ended or been given up must not join it
            if build.over and self._builds.get(name) is build:
                del self._builds[name]

    async def _build(
        self, key: str, place: Path, recipe: Recipe, interpreter: Interpreter, say: Progress
    ) -> None:
        from flyte_jupyter.images.building import fill
        from flyte_jupyter.images.locking import exclusive

        try:
            locks = self._folder / "locks"
            building = self._folder / "building"
            for folder in (locks, building, place.parent):
                folder.mkdir(parents=True, exist_ok=True)
            async with exclusive(
                str(locks / key), lambda: say("Waiting for another kernel that builds the same")
            ):
                if _whole(place):
                    return
                # with the lock held, what is left of this name is of a builder that died
                for leftover in (*building.glob(key + "-*"), place):
                    shutil.rmtree(leftover, ignore_errors=True)
                partial = Path(tempfile.mkdtemp(prefix=key + "-", dir=building))
                try:
                    await fill(partial, recipe, interpreter, say)
                    os.rename(partial, place)
                finally:
                    shutil.rmtree(partial, ignore_errors=True)
        except OSError as error:
            raise ImageBuildError(
                f"The cache folder {str(self._folder)!r} cannot be used: {error.strerror}.",
                remedy="Set FLYTE_JUPYTER_HOME to a folder that can be written.",
            ) from None


class _Build:
    """A build and those who wait for it; it ends early when the last of them gives up."""

    task: asyncio.Future[None]

    def __init__(self) -> None:
        self._listeners: list[Progress] = []
        self._last = ""

    @property
    def over(self) -> bool:
        return self.task.done() or not self._listeners

    def say(self, line: str) -> None:
        self._last = line
        for listener in tuple(self._listeners):
            listener(line)

    async def join(self, progress: Progress) -> None:
        import asyncio

        self._listeners.append(progress)
        if self._last:
            progress(self._last)
        try:
            await asyncio.shield(self.task)
        finally:
            self._listeners.remove(progress)
            if not self._listeners and not self.task.done():
                self.task.cancel()


def _silent(line: str) -> None:
    del line


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
    what = ", ".join(str(layer) for layer in (*recipe.installations, *recipe.sources))
    return Prepared(
        hash=digest("virtual", key, tuple(sorted(recipe.env_vars.items())))[:32],
        python=str(place / "bin" / "python"),
        args=ISOLATED,
        env_vars=recipe.env_vars,
        description=f"Python {interpreter.text} with {what}",
        workdir=recipe.workdir,
        files=str(place / "files") if recipe.sources else None,
        ignored=recipe.ignored,
    )
