"""What pods run: an image that the cluster has or gets, and beside it the packages that it lacks.

What has to be built is built by this machine's Docker engine, as for its own containers, and
brought to the cluster. Packages are installed on this machine, for the image's Python and libc; the
hub has them once, and each pod fetches them.
"""

from __future__ import annotations

import asyncio
import tarfile
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from flyte_jupyter.errors import ImageBuildError, TargetError
from flyte_jupyter.images.containers import DockerImages, Foundation, describe
from flyte_jupyter.images.packages import Packages
from flyte_jupyter.images.probe import Probe
from flyte_jupyter.images.recipe import Recipe
from flyte_jupyter.images.sharing import Folders, Progress, Shared
from flyte_jupyter.images.sources import copy_sources
from flyte_jupyter.images.stack import Stack, base_of, is_built, split
from flyte_jupyter.images.threads import in_thread
from flyte_jupyter.spec import Image
from flyte_jupyter.spec.hashing import digest
from flyte_jupyter.spec.layers import DockerfileBase, Reference
from flyte_jupyter.targets.kubernetes.delivery import Delivery, LocalImageError, unseen

__all__ = ["ClusterImage", "ClusterImages", "packed"]

# what an image has at its root; all else that is named there is to be made
SYSTEM = {"bin", "boot", "dev", "etc", "lib", "lib64", "proc", "sbin", "sys", "tmp", "usr", "var"}
# asks the cluster what an image has: its reference, the secrets that open its registry
Ask = Callable[[str, Sequence[str], Progress], Awaitable[Probe]]


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
        pull_secrets: names of the cluster's secrets that open its registry.
        made_folder: the working directory where the image has none of that name, ``None`` where it
            may have one.
    """

    reference: str
    blobs: tuple[tuple[str, Path, str], ...]
    environ: tuple[tuple[str, str], ...]
    workdir: str | None
    version: tuple[int, int] | None
    files: bool
    pull_secrets: tuple[str, ...] = ()
    made_folder: str | None = None

    @property
    def key(self) -> str:
        """What tells it apart from others."""
        names = [name for name, _, _ in self.blobs]
        what = (self.reference, names, self.environ, self.workdir, self.pull_secrets)
        return digest("pods", *what)[:32]


class ClusterImages:
    """The images of one cluster.

    Args:
        home: the cache folder.
        ask: finds out what an image of the cluster has.
        delivery: brings images of this machine's engine to the cluster.
    """

    def __init__(self, home: Path, ask: Ask, delivery: Delivery) -> None:
        self._packages = Packages(home)
        self._files = Folders(home, "files", Path.is_dir)
        self._engine = DockerImages(delivery.daemon, home)
        self._delivery = delivery
        self._ask = ask
        self._probes: dict[str, Probe] = {}
        self._built: dict[Image, tuple[str, Foundation]] = {}
        # the names that pods have for images of this machine, by how the user names them
        self._brought: dict[str, str] = {}
        self._shared = Shared()

    def version(self, image: Image | None) -> tuple[int, int] | None:
        """Return the minor version of an image's Python, if it was asked for that."""
        known = self._built.get(image) if image is not None else None
        if known is not None:
            return known[1].probe.minor
        base = base_of(image)
        probe = self._probes.get(base) if isinstance(base, str) else None
        return None if probe is None else probe.minor

    def plan(self, image: Image | None) -> str:
        """Say what has to be done for an image that the cluster cannot pull, ``""`` for others.

        Args:
            image: the image; None for the default one.
        """
        if not is_built(image):
            return ""
        way = self._delivery.way(image)
        if way is None:
            return "it has to be built, and the cluster cannot see your local image"
        return f"built here and {way.words}"

    async def prepare(self, image: Image | None, progress: Progress) -> ClusterImage:
        """Make an image startable.

        Args:
            image: the image; None for the default one.
            progress: called with one line for each step.

        Raises:
            ImageBuildError: it cannot be built or brought to the cluster, or its packages cannot
                be had.
            TargetError: an engine is needed and does not answer.
        """
        secrets = self._pull_secrets(image)
        workdir: str | None = None
        probe: Probe | None
        if is_built(image):
            foundation, reference = await self._build(image, progress)
            stack, probe = foundation.stack, foundation.probe
            workdir = foundation.image.workdir
        else:
            stack, base = split(image, None, True), str(base_of(image))
            reference = self._brought.get(base, base)
            probe = self._probes.get(base)
            if stack.installations and probe is None:
                probe = await self._probe(base, secrets, progress)
                reference = self._brought.get(base, base)
        workdir = stack.workdir or workdir
        blobs: list[tuple[str, Path, str]] = []
        # the room that pods have for what they fetch hides what an image has baked in there
        if stack.installations or (stack.sources and stack.earlier):
            assert probe is not None
            blobs.append(await self._installed(probe, stack, progress))
        if stack.sources:
            blobs.append(await self._laid(stack, workdir, progress))
        return ClusterImage(
            reference,
            tuple(blobs),
            stack.env_vars,
            workdir,
            None if probe is None else probe.minor,
            bool(stack.sources),
            secrets,
            None if is_built(image) else _made_folder(image, workdir),
        )

    def sketch(self, image: Image | None) -> ClusterImage:
        """Return what pods will run, as far as that is known before it is made ready.

        Args:
            image: the image; None for the default one.
        """
        base, stack = base_of(image), split(image, None, True)
        blobs = []
        if stack.installations:
            blobs.append(("<hash of the packages>", Path(), "packages"))
        if stack.sources:
            blobs.append(("<hash of the files>", Path(), "files"))
        return ClusterImage(
            f"<built from {base}>" if is_built(image) else str(base),
            tuple(blobs),
            stack.env_vars,
            stack.workdir,
            None,
            bool(stack.sources),
            self._pull_secrets(image),
            None if is_built(image) else _made_folder(image, stack.workdir),
        )

    def _pull_secrets(self, image: Image | None) -> tuple[str, ...]:
        secret = image.registry_secret if image is not None else None
        return (secret,) if secret else self._delivery.secrets

    async def fetch(self, lost: LocalImageError, say: Progress) -> str:
        """Bring an image that the cluster lacks and this machine has; return its name there.

        Args:
            lost: what the cluster lacks.
            say: called with each step that there is to do.

        Raises:
            ImageBuildError: the cluster does not see images of this machine.
            TargetError: the engine does not answer.
        """
        found = await self._delivery.found(lost.image)
        owner = next((one for one, (_, made) in self._built.items() if made.image == found), None)
        way = self._delivery.way(owner)
        if found is None or way is None:
            raise unseen(lost.image, lost.words)
        say(f"The cluster has no image {lost.image!r}; it gets that of this machine")
        way.forget(found)
        reference = await self._delivery.bring(way, found, say)
        self._brought[lost.image] = reference
        return reference

    async def _build(self, image: Image | None, say: Progress) -> tuple[Foundation, str]:
        """Have the engine build an image, and bring it to the cluster."""
        assert image is not None
        way = self._delivery.way(image)
        if way is None:
            raise unseen(describe(image), "It has to be built, which this machine would do.")
        base = base_of(image)
        # files beside a Dockerfile belong to the image, and change under its declaration
        stamp = "" if isinstance(base, str) else await in_thread(_stamp, base)
        known = self._built.get(image)
        if known is None or known[0] != stamp:
            try:
                await in_thread(self._delivery.daemon)
            except TargetError as error:
                raise ImageBuildError(
                    f"The image {describe(image)!r} has to be built, and there is no Docker engine "
                    "to build it.",
                    evidence=[error.sentence],
                    remedy=f"{error.remedy} Or name an image that has it all already: "
                    "Image.from_base('registry/image:tag').",
                ) from None
            known = self._built[image] = (stamp, await self._engine.built(image, say))
        return known[1], await self._delivery.bring(way, known[1].image, say)

    async def _probe(self, base: str, secrets: Sequence[str], say: Progress) -> Probe:
        async def ask(tell: Progress) -> Probe:
            try:
                return await self._ask(self._brought.get(base, base), secrets, tell)
            except LocalImageError as lost:
                try:
                    return await self._ask(await self.fetch(lost, tell), secrets, tell)
                except LocalImageError as again:
                    raise unseen(base, again.words) from None

        probe = await self._shared.run(" ".join((base, *secrets)), ask, say)
        self._probes[base] = probe
        return probe

    async def _installed(self, probe: Probe, stack: Stack, say: Progress) -> tuple[str, Path, str]:
        given = (*stack.earlier, *stack.installations)

        def told(line: str) -> None:
            say(f"{line}, for pods" if line.startswith("Installing ") else line)

        folder = await self._packages.install(probe, given, told)
        return self._packages.key(probe, given), folder, "packages"

    async def _laid(
        self, stack: Stack, workdir: str | None, say: Progress
    ) -> tuple[str, Path, str]:
        recipe = Recipe(None, (), stack.sources, {}, workdir, ())

        async def fill(folder: Path, tell: Progress) -> None:
            tell("Copying files")
            await asyncio.to_thread(copy_sources, recipe, folder)

        key = digest("files", workdir, stack.sources)[:32]
        return key, await self._files.make(key, fill, say), "files"


def _made_folder(image: Image | None, workdir: str | None) -> str | None:
    """Return a working directory that the default images do not have, and nobody could make."""
    if workdir is None or image is None or isinstance(image.base, Reference):
        return None
    _, *parts = PurePosixPath(workdir).parts
    return workdir if parts and parts[0] not in SYSTEM else None


def _stamp(base: DockerfileBase) -> str:
    from flyte_jupyter.images.context import context_stamp

    return context_stamp(base)


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
