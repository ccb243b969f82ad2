"""Layers laid upon an image by the engine, in as few builds as they allow, each once."""

from __future__ import annotations

import os
import re
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from flyte_jupyter.errors import ImageBuildError
from flyte_jupyter.images import builds
from flyte_jupyter.images.dockerfile import BakedPackages, Dockerfile, apt_command
from flyte_jupyter.images.hidden import run_hidden
from flyte_jupyter.images.installing import read_secrets
from flyte_jupyter.images.locking import exclusive
from flyte_jupyter.images.probe import Probe
from flyte_jupyter.images.recipe import Installation
from flyte_jupyter.images.references import Inspected, inspect
from flyte_jupyter.images.sharing import WAITING, Progress, Shared
from flyte_jupyter.images.shipping import unname
from flyte_jupyter.images.threads import Ends, from_thread, in_thread
from flyte_jupyter.spec import layers
from flyte_jupyter.spec.hashing import digest
from flyte_jupyter.spec.layers import Layer

if TYPE_CHECKING:
    from flyte_jupyter.daemon import Daemon

__all__ = ["REPOSITORY", "Layering", "authorities", "built_labels"]

REPOSITORY = "flyte-jupyter"
# changed when the same layers would be built differently
FORM = 1
AUTHORITIES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT")


class Layering:
    """Builds images of one engine.

    Args:
        home: the cache folder.
        probe: asks an image what Python it has.
        install: makes the folder of packages that is copied for an image, with its installations.
        buildkit: build with BuildKit; None to do so if the engine has it.
    """

    def __init__(
        self,
        home: Path,
        probe: Callable[[Inspected, Progress], Awaitable[Probe]],
        install: Callable[..., Awaitable[Path]],
        buildkit: bool | None = None,
    ) -> None:
        self._locks = home / "locks"
        self._install = install
        self._probe = probe
        self._buildkit = buildkit
        self._shared = Shared()

    async def lay(
        self, daemon: Daemon, base: Inspected, given: Iterable[Layer], words: str, say: Progress
    ) -> Inspected:
        """Return the image of some layers upon another one; build what is not there.

        Args:
            daemon: the engine.
            base: what they stand on.
            given: the layers.
            words: what the result holds, for people.
            say: called with each step that there is to do.

        Raises:
            ImageBuildError: an instruction failed, or a package cannot be had.
        """
        image, key = base, digest("layers", FORM, base.id)[:32]
        pending: list[Layer | BakedPackages] = []
        installed: list[Installation] = []
        probe: Probe | None = None
        library: Path | None = None
        changed = False
        for layer in given:
            if isinstance(layer, Installation):
                if changed:
                    # what the commands so far have changed is seen only when they were run
                    image, key = await self._flush(daemon, image, key, pending, words, say)
                    pending, changed, probe = [], False, None
                probe = probe or await self._probe(image, say)
                installed.append(layer)
                fresh = await self._install(image, probe, installed, say)
                pending.append(BakedPackages(fresh, library, str(layer)))
                library = fresh
            elif isinstance(layer, (layers.AptPackages, layers.Commands)):
                changed = True
                if layer.secret_mounts:
                    image, key = await self._flush(daemon, image, key, pending, words, say)
                    pending = []
                    image, key = await self._hidden(daemon, image, key, layer, words, say)
                else:
                    pending.append(layer)
            else:
                pending.append(layer)
        image, _ = await self._flush(daemon, image, key, pending, words, say)
        return image

    async def dockerfile(
        self, daemon: Daemon, base: layers.DockerfileBase, context: str, say: Progress
    ) -> Inspected:
        """Return the image of a Dockerfile of the user's.

        Args:
            daemon: the engine.
            base: the Dockerfile.
            context: digest of the files of its context.
            say: called with each step that there is to do.

        Raises:
            ImageBuildError: an instruction failed.
        """
        from flyte_jupyter.images.context import context_files

        key = digest("dockerfile", FORM, base, context)[:32]

        def work(tag: str, labels: dict[str, str], tell: Progress, stop: Ends) -> None:
            builds.build(
                daemon,
                base.text,
                context_files(base),
                tag,
                labels,
                tell,
                stop,
                network=builds.network_of(daemon.local),
                buildkit=self._buildkit,
            )

        return await self._once(daemon, key, str(base), "", work, say)

    async def _flush(
        self,
        daemon: Daemon,
        image: Inspected,
        key: str,
        pending: list[Layer | BakedPackages],
        words: str,
        say: Progress,
    ) -> tuple[Inspected, str]:
        """Return the image with the layers that wait, and what names it."""
        if not pending:
            return image, key
        for layer in pending:
            baked = isinstance(layer, BakedPackages)
            # a package folder is named by what is in it
            part = layer.library.parent.name if isinstance(layer, BakedPackages) else layer
            key = digest("layer", key, baked, part)[:32]

        def work(tag: str, labels: dict[str, str], tell: Progress, stop: Ends) -> None:
            buildkit = daemon.buildkit if self._buildkit is None else self._buildkit
            # the id itself is no name that a builder takes, and a name could move meanwhile
            name, mark = REPOSITORY, f"from-{key[:20]}"
            daemon.api.tag(image.id, name, mark)
            try:
                file = Dockerfile(
                    f"{name}:{mark}",
                    image.user,
                    dict(image.environ),
                    buildkit,
                    authorities(),
                )
                for layer in pending:
                    file.add(layer)
                network = builds.network_of(daemon.local)
                entries = file.entries()
                builds.build(
                    daemon,
                    file.text(),
                    entries,
                    tag,
                    labels,
                    tell,
                    stop,
                    network=network,
                    buildkit=buildkit,
                )
            finally:
                unname(daemon, f"{name}:{mark}")

        return await self._once(daemon, key, words, image.id, work, say), key

    async def _hidden(
        self,
        daemon: Daemon,
        image: Inspected,
        key: str,
        layer: layers.AptPackages | layers.Commands,
        words: str,
        say: Progress,
    ) -> tuple[Inspected, str]:
        key = digest("hidden", key, layer)[:32]
        secrets = read_secrets(layer.secret_mounts)
        if isinstance(layer, layers.AptPackages):
            commands: tuple[str, ...] = (apt_command(layer.packages),)
        else:
            commands = layer.commands

        def work(tag: str, labels: dict[str, str], tell: Progress, stop: Ends) -> None:
            network = builds.network_of(daemon.local)
            run_hidden(
                daemon,
                image.id,
                commands,
                secrets,
                authorities(),
                tag,
                labels,
                tell,
                stop,
                network,
            )

        return await self._once(daemon, key, words, image.id, work, say), key

    async def _once(
        self,
        daemon: Daemon,
        key: str,
        words: str,
        base: str,
        work: Callable[[str, dict[str, str], Progress, Ends], None],
        say: Progress,
    ) -> Inspected:
        """Return the image of a name; have it built if it is not there, by one builder."""
        tag = f"{REPOSITORY}:{key[:20]}"
        found = await in_thread(inspect, daemon, tag)
        if found is not None:
            return found

        async def build(tell: Progress) -> None:
            self._locks.mkdir(parents=True, exist_ok=True)
            async with exclusive(str(self._locks / key), lambda: tell(WAITING)):
                if await in_thread(inspect, daemon, tag) is None:
                    stop = Ends()
                    labels = built_labels(words, base)
                    tell(f"Building {words}")
                    await in_thread(work, tag, labels, from_thread(tell), stop, stop=stop)

        await self._shared.run(key, build, say)
        found = await in_thread(inspect, daemon, tag)
        if found is None:
            raise ImageBuildError(f"The image {words!r} was built, but the engine has lost it.")
        return found


def built_labels(words: str, base: str) -> dict[str, str]:
    """Return the labels of an image that was built.

    Args:
        words: what it holds.
        base: id of the image that it was built upon, empty where that is not known.
    """
    from flyte_jupyter.daemon.labels import BASE, IMAGE, KIND

    return {KIND: "image", IMAGE: words, BASE: base}


def authorities() -> bytes:
    """Return the certificates of the user's network; the usual ones need not be handed over."""
    for name in AUTHORITIES:
        place = os.environ.get(name, "")
        if place and os.path.isfile(place) and not re.match(r"/etc/(?:ssl|pki)/", place):
            try:
                return Path(place).read_bytes()
            except OSError:
                continue
    return b""
