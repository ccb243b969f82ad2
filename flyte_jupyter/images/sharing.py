"""Work that several ask for and that is done once: in one kernel, and over all of them."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar, cast

from flyte_jupyter.errors import ImageBuildError
from flyte_jupyter.images.locking import exclusive

if TYPE_CHECKING:
    import asyncio

__all__ = ["WAITING", "Folders", "Progress", "Shared", "silent"]

T = TypeVar("T")
Progress = Callable[[str], None]
WAITING = "Waiting for another kernel that builds the same"


def silent(line: str) -> None:
    """Take a line of progress that nobody wants to see."""
    del line


class Shared:
    """Joins those who ask for the same while it is under way. May be used by several loops."""

    def __init__(self) -> None:
        self._under_way: dict[tuple[asyncio.AbstractEventLoop, str], _Work[object]] = {}

    async def run(
        self, key: str, work: Callable[[Progress], Awaitable[T]], progress: Progress
    ) -> T:
        """Do the work, or join the one that this loop already has under way.

        Args:
            key: what names the work.
            work: does it; it is given up when nobody waits for it any more.
            progress: called with each line that the work says from now on, and with the last one.
        """
        import asyncio

        name = (asyncio.get_running_loop(), key)
        running = cast("_Work[T] | None", self._under_way.get(name))
        if running is None:
            running = _Work()
            self._under_way[name] = cast("_Work[object]", running)
            running.task = asyncio.ensure_future(work(running.say))
        try:
            return await running.join(progress)
        finally:
            # who comes after it has ended or been given up must not join it
            if running.over and self._under_way.get(name) is running:
                del self._under_way[name]


class _Work(Generic[T]):
    """Work and those who wait for it; it ends early when the last of them gives up."""

    task: asyncio.Future[T]

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

    async def join(self, progress: Progress) -> T:
        import asyncio

        self._listeners.append(progress)
        if self._last:
            progress(self._last)
        try:
            return await asyncio.shield(self.task)
        finally:
            self._listeners.remove(progress)
            if not self._listeners and not self.task.done():
                self.task.cancel()


class Folders:
    """Folders named by what is in them: made beside their place and then renamed.

    So a folder with the right name is always whole. Makers of the same wait for each other: in
    one kernel they share one making, between kernels the first makes it and the others find it.

    Args:
        home: the cache folder.
        kind: name of the folder in it that holds them.
        whole: says whether a folder is usable; follows what it depends on outside.
    """

    def __init__(self, home: Path, kind: str, whole: Callable[[Path], bool]) -> None:
        self.home = home
        self.kind = kind
        self.whole = whole
        self._shared = Shared()

    def place(self, key: str) -> Path:
        """Return where the folder of a key is, or would be."""
        return self.home / self.kind / key

    async def make(
        self, key: str, fill: Callable[[Path, Progress], Awaitable[None]], progress: Progress
    ) -> Path:
        """Return the folder of a key; fill it if it is not there.

        Args:
            key: digest of what is in it.
            fill: fills an empty folder, which is renamed afterwards.
            progress: called with each step of the filling.

        Raises:
            ImageBuildError: it cannot be filled, or the cache folder cannot be used.
        """
        place = self.place(key)
        if not self.whole(place):
            await self._shared.run(key, lambda say: self._make(key, place, fill, say), progress)
        return place

    async def _make(
        self,
        key: str,
        place: Path,
        fill: Callable[[Path, Progress], Awaitable[None]],
        say: Progress,
    ) -> None:
        try:
            locks = self.home / "locks"
            building = self.home / "building"
            for folder in (locks, building, place.parent):
                folder.mkdir(parents=True, exist_ok=True)
            async with exclusive(str(locks / key), lambda: say(WAITING)):
                if self.whole(place):
                    return
                # with the lock held, what is left of this name is of a builder that died
                for leftover in (*building.glob(key + "-*"), place):
                    shutil.rmtree(leftover, ignore_errors=True)
                partial = Path(tempfile.mkdtemp(prefix=key + "-", dir=building))
                try:
                    await fill(partial, say)
                    os.rename(partial, place)
                finally:
                    shutil.rmtree(partial, ignore_errors=True)
        except OSError as error:
            raise ImageBuildError(
                f"The cache folder {str(self.home)!r} cannot be used: {error.strerror}.",
                remedy="Set FLYTE_JUPYTER_HOME to a folder that can be written.",
            ) from None
