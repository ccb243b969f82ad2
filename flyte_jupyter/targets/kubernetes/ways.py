"""The ways of an image from this machine's Docker engine to a cluster: one class for each kind."""

from __future__ import annotations

import contextlib
import shlex
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from flyte_jupyter.errors import ImageBuildError
from flyte_jupyter.images.layering import REPOSITORY
from flyte_jupyter.images.references import Inspected
from flyte_jupyter.images.sharing import Progress
from flyte_jupyter.images.threads import Ends

if TYPE_CHECKING:
    import subprocess

    from flyte_jupyter.daemon import Daemon

__all__ = ["Loader", "Registry", "SharedEngine", "Way"]

TAG = 20
ARCHIVE = "{archive}"


class Way(Protocol):
    """Brings images of an engine to a cluster."""

    @property
    def place(self) -> str:
        """What tells the place that images are brought to from others."""

    @property
    def words(self) -> str:
        """What becomes of an image: ``loaded into kind-dev``."""

    def bring(self, daemon: Daemon, image: Inspected, say: Progress, stop: Ends) -> str:
        """Bring an image there, and return the name that pods have it by; blocks.

        Args:
            daemon: the engine.
            image: the image.
            say: called with each step that there is to do.
            stop: gets what ends it when it is given up.

        Raises:
            ImageBuildError: it did not come there.
            TargetError: the engine does not answer.
        """

    def forget(self, image: Inspected) -> None:
        """Bring it again the next time: the cluster has lost it."""


@dataclass(frozen=True, slots=True)
class Registry:
    """A registry that both the engine and the cluster reach.

    Args:
        registry: host and path: ``ghcr.io/you``.
        name: of the repository in it.
    """

    registry: str
    name: str

    @property
    def place(self) -> str:
        """The repository."""
        return f"{self.registry}/{self.name}"

    @property
    def words(self) -> str:
        """What becomes of an image."""
        return f"pushed to {self.registry}"

    def bring(self, daemon: Daemon, image: Inspected, say: Progress, stop: Ends) -> str:
        """Push an image unless it is there, and return its name with its digest; blocks."""
        from flyte_jupyter.images.shipping import named, published, push

        # machines of several kinds may build the same, and it differs
        machine = daemon.platform.rpartition("/")[2]
        name = f"{self.place}:{local_name(image).rpartition(':')[2]}-{machine}"
        found = published(daemon, name)
        if not found:
            with named(daemon, image.id, name):
                found = push(daemon, name, say, stop)
        return f"{self.place}@{found}"

    def forget(self, image: Inspected) -> None:
        """Do nothing: the registry is asked each time."""


@dataclass(frozen=True, slots=True)
class SharedEngine:
    """A cluster whose pods are containers of the engine itself.

    Args:
        place: name of its context.
    """

    place: str

    @property
    def words(self) -> str:
        """What becomes of an image."""
        return f"seen by {self.place}, which has the same engine"

    def bring(self, daemon: Daemon, image: Inspected, say: Progress, stop: Ends) -> str:
        """Return the image's own name."""
        del self, daemon, say, stop
        return image.name

    def forget(self, image: Inspected) -> None:
        """Do nothing: there is nothing to bring."""


@dataclass(frozen=True, slots=True)
class Loader:
    """A program that loads an archive of images into the nodes.

    Args:
        cluster: what people call the place.
        command: words of the command line; ``{name}`` is the cluster's name, ``{archive}`` the
            archive, which is written to its input if it is not named.
        name: of the cluster, as the program knows it.
        notes: folder where what was loaded is remembered.
    """

    cluster: str
    command: str
    name: str
    notes: Path

    @property
    def place(self) -> str:
        """The folder of what was loaded there, one for each place."""
        return str(self.notes)

    @property
    def words(self) -> str:
        """What becomes of an image."""
        return f"loaded into {self.cluster}"

    def bring(self, daemon: Daemon, image: Inspected, say: Progress, stop: Ends) -> str:
        """Load an image unless that was done before, and return its name; blocks."""
        from flyte_jupyter.images.shipping import named

        name = local_name(image)
        note = self._note(image)
        if note.exists():
            return name
        program = self.command.partition(" ")[0]
        if not shutil.which(program):
            raise ImageBuildError(
                f"To load images into {self.cluster} takes the program {program!r}, which is not "
                "here.",
                remedy=f"Install {program} on this machine, or name a registry that the cluster "
                "reaches: flyte.init(target='kubernetes', registry=...).",
            )
        say(f"Loading {name} into {self.cluster}")
        with named(daemon, image.id, name):
            self._load(daemon, name, say, stop)
        note.parent.mkdir(parents=True, exist_ok=True)
        note.touch()
        return name

    def forget(self, image: Inspected) -> None:
        """Load it again the next time."""
        self._note(image).unlink(missing_ok=True)

    def _note(self, image: Inspected) -> Path:
        return self.notes / image.id.rpartition(":")[2]

    def _load(self, daemon: Daemon, name: str, say: Progress, stop: Ends) -> None:
        from flyte_jupyter.images.shipping import save

        def told(size: str) -> None:
            say(f"Loading {name} into {self.cluster}: {size}")

        if ARCHIVE not in self.command:
            process = self._started("", stop)
            assert process.stdin is not None
            try:
                with process.stdin as pipe:
                    save(daemon, name, pipe, told, stop)
            except BrokenPipeError:
                pass  # it says why
            except BaseException:
                process.kill()
                process.communicate()
                raise
            self._finish(process)
            return
        with tempfile.NamedTemporaryFile(prefix="flyte-", suffix=".tar") as file:
            save(daemon, name, file, told, stop)
            file.flush()
            self._finish(self._started(file.name, stop))

    def _started(self, archive: str, stop: Ends) -> subprocess.Popen[bytes]:
        import subprocess

        words = shlex.split(self.command)
        command = [word.format(name=self.name, archive=archive) for word in words]
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL if archive else subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        stop.append(_Ending(process))
        return process

    def _finish(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stderr is not None
        with process.stderr as stream:
            said = stream.read().decode("utf-8", "replace")
        if process.wait() != 0:
            program = self.command.partition(" ")[0]
            raise ImageBuildError(
                f"{program} could not load the image into {self.cluster}.",
                evidence=said.strip().splitlines()[-10:],
                remedy="Check that the cluster runs and that you may use it so; or name a registry "
                "that it reaches: flyte.init(target='kubernetes', registry=...).",
            )


class _Ending:
    """Ends a program when the work is given up."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()


def local_name(image: Inspected) -> str:
    """Return the name that an image of this machine has in a cluster: one of its content.

    A name of the user's own could stand for something else the next time.
    """
    if image.name.startswith(f"{REPOSITORY}:"):
        return image.name
    return f"{REPOSITORY}:{image.id.rpartition(':')[2][:TAG]}"
