"""Images for containers: found, pulled or built, with packages that are mounted where possible.

What was found out stays in files, so that an unchanged image costs one question to the engine the
first time in a kernel, and nothing after that.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from flyte_jupyter.errors import ImageBuildError
from flyte_jupyter.images.packages import PACKAGES, RECORD, Packages, packages_environ
from flyte_jupyter.images.probe import Probe, Probes
from flyte_jupyter.images.recipe import Installation, Recipe, python_of
from flyte_jupyter.images.records import ContainerImage, Records
from flyte_jupyter.images.references import Inspected, inspect, pull
from flyte_jupyter.images.sharing import Folders, Progress, Shared
from flyte_jupyter.images.stack import Stack, base_of, layers_of, split
from flyte_jupyter.images.threads import Ends, from_thread, in_thread
from flyte_jupyter.spec import layers
from flyte_jupyter.spec.hashing import digest
from flyte_jupyter.spec.image import Image

if TYPE_CHECKING:
    from flyte_jupyter.daemon import Daemon
    from flyte_jupyter.images.built import BuiltImage
    from flyte_jupyter.images.inventory import Inventory
    from flyte_jupyter.images.layering import Layering

__all__ = ["PACKAGES", "ContainerImage", "DockerImages", "Foundation", "describe"]


@dataclass(frozen=True, slots=True)
class Foundation:
    """What of an image the engine has made.

    Args:
        image: the engine's image.
        probe: what it has.
        stack: what was built, and what is left to lay beside it.
    """

    image: Inspected
    probe: Probe
    stack: Stack


class DockerImages:
    """The images of one engine. May be used by several loops and processes at once.

    Args:
        daemon: returns the engine.
        cache: the cache folder; what is in it can be deleted while nothing runs.
        buildkit: build with BuildKit; None to do so if the engine has it.
    """

    def __init__(
        self, daemon: Callable[[], Daemon], cache: Path, buildkit: bool | None = None
    ) -> None:
        self._daemon = daemon
        self._home = cache / "containers"
        self._probes = Probes(self._home / "probes")
        self._packages = Packages(self._home)
        self._files = Folders(self._home, "files", Path.is_dir)
        self._ready: dict[Image | None, ContainerImage] = {}
        self._stamps: dict[Image | None, str] = {}
        self._bases: dict[str, Inspected] = {}
        self._records = Records(self._home / "ready")
        self._shared = Shared()
        self._buildkit = buildkit

    def found(self, image: Image | None) -> tuple[bool, str]:
        """Say whether an image is startable as it is, and what it is, without asking the engine.

        Args:
            image: the image; None for the default one.
        """
        known = self._ready.get(image)
        if known is None:
            record = self._records.read(image)
            known = record[1] if record else None
        whole = known is not None and _usable(known)
        return whole, known.description if known and whole else describe(image)

    def version(self, image: Image | None) -> tuple[int, int] | None:
        """Return the Python of an image, None while that is not known; asks nobody.

        Args:
            image: the image; None for the default one.
        """
        known = self._ready.get(image)
        if known is None:
            record = self._records.read(image)
            known = record[1] if record else None
        if known is not None:
            return known.version
        return sys.version_info[:2] if image is None else python_of(image.base)

    async def prepare(self, image: Image | None, progress: Progress) -> ContainerImage:
        """Make an image startable, or find that it is.

        Args:
            image: the image; None for the default one, the Python of this kernel.
            progress: called with one line for each step, only when there is something to do.

        Raises:
            ImageBuildError: it cannot be had, or no task can run in it.
            TargetError: the engine does not answer.
            SecretError: a secret that a build needs is not set.
        """
        base = base_of(image)
        # files beside a Dockerfile belong to the image, and change under its declaration
        stamp = "" if isinstance(base, str) else await in_thread(_stamp, base)
        known = self._ready.get(image)
        if known is not None and _usable(known) and self._stamps.get(image, "") == stamp:
            return known
        self._stamps[image] = stamp
        record = self._records.read(image)
        if record and _usable(record[1]) and stamp in ("", record[0]):
            name = base if isinstance(base, str) else ""
            found = await in_thread(self._as_recorded, name, *record)
            if found is not None:
                self._records.touch(image)
                self._ready[image] = found
                return found
        key = "default" if image is None else image.content_hash
        ready = await self._shared.run(key, lambda say: self._prepare(image, say), progress)
        self._ready[image] = ready
        return ready

    def forget(self, image: Image | None) -> None:
        """Look again at the next `prepare`: the engine has lost it.

        Args:
            image: the image.
        """
        self._ready.pop(image, None)
        self._bases.clear()

    def listed(self, wanted: Iterable[Image | None] = ()) -> list[BuiltImage]:
        """Return what was built and installed for containers, by this kernel and by others; blocks.

        Args:
            wanted: images that are needed, whether something that runs uses them or not.

        Raises:
            TargetError: the engine does not answer.
        """
        return self._inventory().listed(self._records.uses(wanted))

    def remove(self, names: Collection[str]) -> list[BuiltImage]:
        """Remove what was built or installed, by name, and return it; blocks.

        Args:
            names: as `listed` says them.

        Raises:
            TargetError: something of it is in use, or the engine does not answer.
        """
        removed = self._inventory().remove(names)
        self._ready.clear()
        return removed

    def _inventory(self) -> Inventory:
        from flyte_jupyter.images.inventory import Inventory

        return Inventory(self._daemon(), self._home, self._records.uses())

    async def built(self, image: Image | None, progress: Progress) -> Foundation:
        """Have the engine make what has to be built of an image; the rest is for others to lay.

        Args:
            image: the image; None for the default one.
            progress: called with each step that there is to do.

        Raises:
            ImageBuildError: it cannot be had, or no task can run in it.
            TargetError: the engine does not answer.
            SecretError: a secret that a build needs is not set.
        """
        daemon = await in_thread(self._daemon)
        base, _ = await self._founded(daemon, image, progress)
        stack = split(image, base.workdir, True)
        final = base
        if stack.built:
            words = describe(image)
            final = await self._layering.lay(daemon, base, stack.built, words, progress)
        return Foundation(final, await self._probe(final, progress), stack)

    async def _founded(
        self, daemon: Daemon, image: Image | None, say: Progress
    ) -> tuple[Inspected, str]:
        """Return what an image stands on, and its name."""
        base = base_of(image)
        if isinstance(base, str):
            return await self._base(daemon, base, say), base
        from flyte_jupyter.images.context import context_digest

        context = await in_thread(context_digest, base)
        return await self._layering.dockerfile(daemon, base, context, say), str(base)

    async def _prepare(self, image: Image | None, say: Progress) -> ContainerImage:
        daemon = await in_thread(self._daemon)
        found, name = await self._founded(daemon, image, say)
        if daemon.local and not self._probes.folders(daemon):
            # a base without Python cannot tell; what is built on it will
            with contextlib.suppress(ImageBuildError):
                await self._ask(found, say)
        stack = split(image, found.workdir, daemon.local)
        final = found
        if stack.built:
            final = await self._layering.lay(daemon, found, stack.built, describe(image), say)
        probe = await self._probe(final, say)
        if not daemon.local and split(image, found.workdir, False) != stack:
            # a container has shown that it sees no folder of this machine
            return await self._prepare(image, say)
        ready = await self._mounted(final, found, probe, stack, image, name, say)
        self._records.write(image, self._stamps.get(image) or found.id, ready)
        return ready

    @functools.cached_property
    def _layering(self) -> Layering:
        # what only a build needs is imported for a build
        from flyte_jupyter.images.layering import Layering

        return Layering(self._home, self._probe, self._install, self._buildkit)

    async def _base(self, daemon: Daemon, reference: str, say: Progress) -> Inspected:
        """Return the image that a reference names; it names the same one in the whole session."""
        known = self._bases.get(reference)
        if known is None:
            known = await self._shared.run(
                "base " + reference, lambda tell: self._resolve(daemon, reference, tell), say
            )
            self._bases[reference] = known
        return known

    async def _resolve(self, daemon: Daemon, reference: str, say: Progress) -> Inspected:
        found = await in_thread(inspect, daemon, reference)
        if found is None:
            stopped = Ends()
            await in_thread(pull, daemon, reference, from_thread(say), stopped, stop=stopped)
            found = await in_thread(inspect, daemon, reference)
        if found is None:
            raise ImageBuildError(f"The image {reference!r} was pulled, but the engine lost it.")
        return found

    async def _probe(self, image: Inspected, say: Progress) -> Probe:
        return self._probes.known(image.id) or await self._ask(image, say)

    async def _ask(self, image: Inspected, say: Progress) -> Probe:
        daemon = self._daemon()

        async def ask(tell: Progress) -> Probe:
            tell(f"Looking for Python in {image.name}")
            return await in_thread(self._probes.ask, daemon, image.id, image.name)

        return await self._shared.run("probe " + image.id, ask, say)

    async def _install(
        self, image: Inspected, probe: Probe, given: Sequence[Installation], say: Progress
    ) -> Path:
        """Return the folder of packages of some layers, built in a container where they have to."""
        daemon = self._daemon()

        async def inside(
            folder: Path,
            words: str,
            arguments: list[str],
            environ: Mapping[str, str],
            tell: Progress,
        ) -> None:
            from flyte_jupyter.images.compiling import install_inside
            from flyte_jupyter.images.layering import authorities

            stop = Ends()
            await in_thread(
                install_inside,
                daemon,
                image.id,
                probe,
                folder,
                words,
                arguments,
                environ,
                authorities(),
                from_thread(tell),
                stop,
                stop=stop,
            )

        return await self._packages.install(probe, given, say, inside if daemon.local else None)

    async def _mounted(
        self,
        image: Inspected,
        base: Inspected,
        probe: Probe,
        stack: Stack,
        declared: Image | None,
        name: str,
        say: Progress,
    ) -> ContainerImage:
        packages = files = None
        environ = dict(image.environ)
        if stack.installations:
            # what is mounted hides what is baked in at the same place, so it has both
            given = (*stack.earlier, *stack.installations)
            packages = str(await self._install(image, probe, given, say))
            await in_thread(self._compile, packages, image.id, probe.python, probe.minor)
            environ |= packages_environ(environ)
        environ.update(stack.env_vars)
        workdir = stack.workdir or image.workdir
        if stack.sources:
            files = str(await self._laid(stack, workdir, say))
        pairs = tuple(sorted(environ.items()))
        return ContainerImage(
            digest("container", image.id, packages, pairs, workdir, files)[:32],
            image.id,
            f"{name}@{base.digest}" if base.digest and "@" not in name else name,
            (probe.python,),
            probe.minor,
            packages,
            pairs,
            workdir,
            files,
            describe(declared),
        )

    def _compile(self, library: str, image: str, python: str, minor: tuple[int, int]) -> None:
        """Have bytecode made behind, unless it is there."""
        from flyte_jupyter.images.bytecode import compile_behind, compile_in_container

        if minor == sys.version_info[:2]:
            compile_behind(Path(library), sys.executable, PACKAGES)
        else:
            compile_in_container(Path(library), self._daemon(), image, python, PACKAGES)

    async def _laid(self, stack: Stack, workdir: str | None, say: Progress) -> Path:
        from flyte_jupyter.images.sources import copy_sources

        recipe = Recipe(None, (), stack.sources, {}, workdir, ())

        async def fill(folder: Path, tell: Progress) -> None:
            tell("Copying files")
            await in_thread(copy_sources, recipe, folder)
            folder.chmod(0o755)

        return await self._files.make(digest("files", workdir, stack.sources)[:32], fill, say)

    # what is known from before

    def _as_recorded(self, base: str, was: str, ready: ContainerImage) -> ContainerImage | None:
        """Return what is recorded if the engine still has it and means the same by the name."""
        daemon = self._daemon()
        if base:
            now = self._bases.get(base) or inspect(daemon, base)
            if now is None or now.id != was:
                return None
            self._bases[base] = now
        if (ready.packages or ready.files) and not daemon.local:
            return None
        if ready.image != was and inspect(daemon, ready.image) is None:
            return None
        self._note(ready)
        if ready.packages:
            # who was to compile may have been ended in the middle
            self._compile(ready.packages, ready.image, ready.python[0], ready.version)
        return ready

    def _note(self, ready: ContainerImage) -> None:
        """Note that folders are taken into use, for who looks for what is not."""
        marks = [Path(ready.files)] if ready.files else []
        marks += [Path(ready.packages).parent / RECORD] if ready.packages else []
        for mark in marks:
            with contextlib.suppress(OSError):
                os.utime(mark)


def describe(image: Image | None) -> str:
    """Return a few words that tell an image from others.

    Args:
        image: the image; None for the default one.
    """
    base = base_of(image)
    words = [base if isinstance(base, str) else str(base)]
    packages = []
    for layer in layers_of(image):
        if isinstance(layer, layers.PipPackages):
            packages += [re.sub(r"\s*==\s*", " ", one) for one in layer.packages]
        else:
            words.append(str(layer))
    if packages:
        words.insert(1, ", ".join(packages))
    return " + ".join(words)


def _stamp(base: layers.DockerfileBase) -> str:
    from flyte_jupyter.images.context import context_stamp

    return context_stamp(base)


def _usable(ready: ContainerImage) -> bool:
    # a cache folder can be emptied under a living kernel
    return all(os.path.exists(place) for place in (ready.packages, ready.files) if place)
