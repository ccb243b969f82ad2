"""What pods run: an image that the cluster can pull, and beside it the packages that it lacks.

Nothing is built for a cluster. The packages are installed on this machine, for the image's Python
and libc, as for a Docker engine here; the hub has them once, and each pod fetches them.
"""

from __future__ import annotations

import asyncio
import tarfile
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flyte_jupyter.errors import ImageBuildError
from flyte_jupyter.images.packages import Packages
from flyte_jupyter.images.probe import Probe
from flyte_jupyter.images.recipe import Recipe
from flyte_jupyter.images.sharing import Folders, Progress, Shared
from flyte_jupyter.images.sources import copy_sources
from flyte_jupyter.images.stack import base_of, split
from flyte_jupyter.spec import Image
from flyte_jupyter.spec.hashing import digest

__all__ = ["ClusterImage", "ClusterImages", "packed"]

REMEDY = (
    "Build it elsewhere, push it to a registry that the cluster reaches, and name it: "
    "Image.from_base('registry/image:tag')."
)


@dataclass(frozen=True, slots=True)
class ClusterImage:
    """An image made startable in pods.

    Args:
        reference: what the pods run.
        blobs: (name, folder of this machine, where its content belongs) of what they fetch.
        environ: variables.
        workdir: working directory, ``None`` for a scratch folder.
        version: minor version of its Python, ``None`` where nobody has asked.
        files: whether there are files for the working directory.
    """

    reference: str
    blobs: tuple[tuple[str, Path, str], ...]
    environ: tuple[tuple[str, str], ...]
    workdir: str | None
    version: tuple[int, int] | None
    files: bool

    @property
    def key(self) -> str:
        """What tells it apart from others."""
        names = [name for name, _, _ in self.blobs]
        return digest("pods", self.reference, names, self.environ, self.workdir)[:32]


class ClusterImages:
    """The images of one cluster.

    Args:
        home: the cache folder.
        probe: finds out what an image has, by its reference.
    """

    def __init__(self, home: Path, probe: Callable[[str, Progress], Awaitable[Probe]]) -> None:
        self._packages = Packages(home)
        self._files = Folders(home, "files", Path.is_dir)
        self._ask = probe
        self._probes: dict[str, Probe] = {}
        self._shared = Shared()

    def version(self, image: Image | None) -> tuple[int, int] | None:
        """Return the minor version of an image's Python, if it was asked for that."""
        base = base_of(image)
        probe = self._probes.get(base) if isinstance(base, str) else None
        return None if probe is None else probe.minor

    async def prepare(self, image: Image | None, progress: Progress) -> ClusterImage:
        """Make an image startable.

        Args:
            image: the image; None for the default one.
            progress: called with one line for each step.

        Raises:
            ImageBuildError: it would have to be built, or its packages cannot be had.
        """
        base = base_of(image)
        if not isinstance(base, str):
            raise ImageBuildError(f"Nothing is built for a cluster: {base}.", remedy=REMEDY)
        stack = split(image, None, True)
        if stack.built:
            first = stack.built[-1]
            raise ImageBuildError(f"Nothing is built for a cluster: {first}.", remedy=REMEDY)
        blobs: list[tuple[str, Path, str]] = []
        probe = self._probes.get(base)
        if stack.installations:
            if probe is None:
                probe = await self._shared.run(base, lambda say: self._ask(base, say), progress)
                self._probes[base] = probe
            folder = await self._packages.install(probe, stack.installations, progress)
            blobs.append((self._packages.key(probe, stack.installations), folder, "packages"))
        if stack.sources:
            key = digest("files", stack.workdir, stack.sources)[:32]
            recipe = Recipe(None, (), stack.sources, {}, stack.workdir, ())

            async def fill(folder: Path, tell: Progress) -> None:
                tell("Copying files")
                await asyncio.to_thread(copy_sources, recipe, folder)

            blobs.append((key, await self._files.make(key, fill, progress), "files"))
        return ClusterImage(
            base,
            tuple(blobs),
            stack.env_vars,
            stack.workdir,
            None if probe is None else probe.minor,
            bool(stack.sources),
        )


@contextmanager
def packed(folder: Path, name: str) -> Iterator[Path]:
    """Yield an archive of a folder's content, which is removed afterwards; blocks.

    Args:
        folder: the folder.
        name: of the folder in the archive.
    """

    def nobody(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.uid = entry.gid = 0
        entry.uname = entry.gname = ""
        return entry

    with tempfile.NamedTemporaryFile(prefix="flyte-", suffix=".tar.gz") as file:
        with tarfile.open(fileobj=file, mode="w:gz", compresslevel=1) as archive:
            archive.add(folder, arcname=name, filter=nobody)
        file.flush()
        yield Path(file.name)
