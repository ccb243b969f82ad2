"""Images for containers: found, pulled or built, with packages that are mounted where possible.

What was found out stays in files, so that an unchanged image costs one question to the engine the
first time in a kernel, and nothing after that.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flyte_jupyter.errors import ImageBuildError
from flyte_jupyter.images.context import context_digest
from flyte_jupyter.images.dockerfile import packages_environ
from flyte_jupyter.images.layering import Layering, authorities
from flyte_jupyter.images.packages import PACKAGES, RECORD, Packages
from flyte_jupyter.images.probe import Probe, Probes
from flyte_jupyter.images.recipe import Installation, Recipe, python_of
from flyte_jupyter.images.references import Inspected, inspect, pull
from flyte_jupyter.images.sharing import Folders, Progress, Shared
from flyte_jupyter.images.stack import Stack, base_of, layers_of, split
from flyte_jupyter.images.threads import in_thread
from flyte_jupyter.spec import layers
from flyte_jupyter.spec.hashing import digest
from flyte_jupyter.spec.image import Image

if TYPE_CHECKING:
    from flyte_jupyter.daemon import Daemon
    from flyte_jupyter.images.built import BuiltImage
    from flyte_jupyter.images.inventory import Inventory, Used

__all__ = ["PACKAGES", "ContainerImage", "DockerImages"]

# changed when the same image would be made startable differently
FORM = 1


@dataclass(frozen=True, slots=True)
class ContainerImage:
    """An image made startable in an engine.

    Args:
        hash: hex digest of all that matters: image, packages, files, variables, working directory.
        image: id that containers are created from.
        reference: the image as the user named it, with the digest of its registry if it has one.
        python: command of Python in it.
        version: minor version of that Python.
        packages: folder of this machine to mount read-only at `PACKAGES`, or None.
        environ: all variables of its containers, sorted.
        workdir: the working directory that it names, or None.
        files: folder of this machine whose content belongs in the working directory, or None.
        description: a few words for displays.
    """

    hash: str
    image: str
    reference: str
    python: tuple[str, ...]
    version: tuple[int, int]
    packages: str | None
    environ: tuple[tuple[str, str], ...]
    workdir: str | None
    files: str | None
    description: str


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
        self._bases: dict[str, Inspected] = {}
        self._shared = Shared()
        self._layering = Layering(self._home, self._probe, self._install, buildkit)

    def found(self, image: Image | None) -> tuple[bool, str]:
        """Say whether an image is startable as it is, and what it is, without asking the engine.

        Args:
            image: the image; None for the default one.
        """
        known = self._ready.get(image)
        if known is None:
            record = self._recorded(image)
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
            record = self._recorded(image)
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
        known = self._ready.get(image)
        if known is not None and _usable(known):
            return known
        record = self._recorded(image)
        base = base_of(image)
        if record and isinstance(base, str) and _usable(record[1]):
            found = await in_thread(self._as_recorded, base, *record)
            if found is not None:
                with contextlib.suppress(OSError):
                    os.utime(self._place(image))
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
        needed = [self._place(image) for image in wanted]
        return self._inventory().listed(self._uses(needed))

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

        records = self._place(None).parent.glob("*.json")
        return Inventory(self._daemon(), self._home, self._uses(records))

    def _uses(self, records: Iterable[Path]) -> Iterator[Used]:
        from flyte_jupyter.images.inventory import Used

        for record in records:
            said = _read(record)
            if said is not None:
                folders = [place for place in (said[1].packages, said[1].files) if place]
                yield Used(said[1].image, tuple(folders), record.stat().st_mtime)

    async def _prepare(self, image: Image | None, say: Progress) -> ContainerImage:
        daemon = await in_thread(self._daemon)
        base = base_of(image)
        if isinstance(base, str):
            name = base
            found = await self._base(daemon, base, say)
        else:
            name = str(base)
            context = await in_thread(context_digest, base)
            found = await self._layering.dockerfile(daemon, base, context, say)
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
        self._record(image, found.id, ready)
        return ready

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
            stopped: list[Any] = []
            await in_thread(pull, daemon, reference, say, stopped, stop=stopped)
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

            stop: list[Any] = []
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
                tell,
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
            library = await self._install(image, probe, given, say)
            packages = str(library)
            self._compile(library, probe)
            environ |= packages_environ(environ)
        environ.update(stack.env_vars)
        workdir = stack.workdir or image.workdir
        if stack.sources:
            files = str(await self._laid(stack, workdir, say))
        pairs = tuple(sorted(environ.items()))
        return ContainerImage(
            digest("container", FORM, image.id, packages, pairs, workdir, files)[:32],
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

    def _compile(self, library: Path, probe: Probe) -> None:
        from flyte_jupyter.images.bytecode import compile_behind

        if probe.minor == sys.version_info[:2]:
            compile_behind(library, sys.executable, PACKAGES)

    async def _laid(self, stack: Stack, workdir: str | None, say: Progress) -> Path:
        from flyte_jupyter.images.sources import copy_sources

        recipe = Recipe(None, (), stack.sources, {}, workdir, ())

        async def fill(folder: Path, tell: Progress) -> None:
            tell("Copying files")
            await in_thread(copy_sources, recipe, folder)
            folder.chmod(0o755)

        return await self._files.make(digest("files", workdir, stack.sources)[:32], fill, say)

    # what is known from before

    def _recorded(self, image: Image | None) -> tuple[str, ContainerImage] | None:
        return _read(self._place(image))

    def _record(self, image: Image | None, base: str, ready: ContainerImage) -> None:
        place = self._place(image)
        place.parent.mkdir(parents=True, exist_ok=True)
        partial = place.with_suffix(f".{os.getpid()}.partial")
        said = {"form": FORM, "base": base, "image": asdict(ready)}
        partial.write_text(json.dumps(said), "utf-8")
        partial.replace(place)

    def _place(self, image: Image | None) -> Path:
        version = "{}.{}".format(*sys.version_info)
        name = f"default-{version}" if image is None else image.content_hash
        return self._home / "ready" / f"{name}.json"

    def _as_recorded(self, base: str, was: str, ready: ContainerImage) -> ContainerImage | None:
        """Return what is recorded if the engine still has it and means the same by the name."""
        daemon = self._daemon()
        now = self._bases.get(base) or inspect(daemon, base)
        if now is None or now.id != was:
            return None
        if (ready.packages or ready.files) and not daemon.local:
            return None
        if ready.image != was and inspect(daemon, ready.image) is None:
            return None
        self._bases[base] = now
        self._note(ready)
        return ready

    def _note(self, ready: ContainerImage) -> None:
        """Note that folders are taken into use, for who looks for what is not."""
        marks = [Path(ready.files)] if ready.files else []
        marks += [Path(ready.packages).parent / RECORD] if ready.packages else []
        for mark in marks:
            with contextlib.suppress(OSError):
                os.utime(mark)


def _read(record: Path) -> tuple[str, ContainerImage] | None:
    """Return what a record says: id of the base, and what was made of it."""
    try:
        said = json.loads(record.read_text("utf-8"))
        if said["form"] != FORM:
            return None
        return said["base"], _image_of(said["image"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


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


def _usable(ready: ContainerImage) -> bool:
    # a cache folder can be emptied under a living kernel
    return all(os.path.exists(place) for place in (ready.packages, ready.files) if place)


def _image_of(said: dict[str, Any]) -> ContainerImage:
    values = {field.name: said[field.name] for field in fields(ContainerImage)}
    values["python"] = tuple(values["python"])
    values["version"] = (values["version"][0], values["version"][1])
    values["environ"] = tuple((name, value) for name, value in values["environ"])
    return ContainerImage(**values)
