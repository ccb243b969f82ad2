"""Images for containers as they are remembered from one kernel to the next."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flyte_jupyter.spec.image import Image

if TYPE_CHECKING:
    from flyte_jupyter.images.inventory import Used

__all__ = ["ContainerImage", "Records"]

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


class Records:
    """What was made startable, a file for each image.

    Args:
        folder: where the files are.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, image: Image | None) -> tuple[str, ContainerImage] | None:
        """Return what names the base that an image was made from, and what was made of it."""
        return _read(self._place(image))

    def write(self, image: Image | None, base: str, ready: ContainerImage) -> None:
        """Remember an image.

        Args:
            image: the image; None for the default one.
            base: what names the base that it was made from.
            ready: what was made of it.
        """
        place = self._place(image)
        place.parent.mkdir(parents=True, exist_ok=True)
        partial = place.with_suffix(f".{os.getpid()}.partial")
        said = {"form": FORM, "base": base, "image": asdict(ready)}
        partial.write_text(json.dumps(said), "utf-8")
        partial.replace(place)

    def touch(self, image: Image | None) -> None:
        """Note that an image is taken into use."""
        with contextlib.suppress(OSError):
            os.utime(self._place(image))

    def uses(self, images: Iterable[Image | None] | None = None) -> Iterator[Used]:
        """Yield what images consist of; without any, all that is remembered."""
        from flyte_jupyter.images.inventory import Used

        if images is None:
            places = list(self._folder.glob("*.json"))
        else:
            places = [self._place(image) for image in images]
        for place in places:
            said = _read(place)
            if said is not None:
                folders = [one for one in (said[1].packages, said[1].files) if one]
                yield Used(said[1].image, tuple(folders), place.stat().st_mtime)

    def _place(self, image: Image | None) -> Path:
        version = "{}.{}".format(*sys.version_info)
        name = f"default-{version}" if image is None else image.content_hash
        return self._folder / f"{name}.json"


def _read(place: Path) -> tuple[str, ContainerImage] | None:
    try:
        said = json.loads(place.read_text("utf-8"))
        if said["form"] != FORM:
            return None
        return said["base"], _image_of(said["image"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _image_of(said: dict[str, Any]) -> ContainerImage:
    values = {field.name: said[field.name] for field in fields(ContainerImage)}
    values["python"] = tuple(values["python"])
    values["version"] = (values["version"][0], values["version"][1])
    values["environ"] = tuple((name, value) for name, value in values["environ"])
    return ContainerImage(**values)
