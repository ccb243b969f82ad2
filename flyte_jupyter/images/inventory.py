"""What was made for containers and is kept: images of the engine, folders of packages and files."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flyte_jupyter.errors import TargetError
from flyte_jupyter.images.built import BuiltImage, folder_size

if TYPE_CHECKING:
    from flyte_jupyter.daemon import Daemon

__all__ = ["Inventory", "Used"]

SHORT = 12
LEAST = 2
# folder of the cache: kind of what is in it, file of a folder whose time says when it was used
FOLDERS = {"packages": ("packages", "record.json"), "files": ("files", "")}


@dataclass(frozen=True, slots=True)
class Used:
    """What an image that was made startable consists of.

    Args:
        image: id of the engine's image.
        folders: folders that are mounted.
        when: when it was last made ready, seconds since the epoch.
    """

    image: str
    folders: tuple[str, ...]
    when: float


class Inventory:
    """Lists and removes; blocks.

    Args:
        daemon: the engine.
        home: the cache folder.
        used: everything that was made startable and is remembered.
    """

    def __init__(self, daemon: Daemon, home: Path, used: Iterable[Used]) -> None:
        self._daemon = daemon
        self._home = home
        self._used = list(used)

    def listed(self, wanted: Iterable[Used]) -> list[BuiltImage]:
        """Return what there is.

        Args:
            wanted: what is needed, whether it runs or not.

        Raises:
            TargetError: the engine does not answer.
        """
        images, folders = self._running()
        for one in wanted:
            images.add(one.image)
            folders.update(one.folders)
        return [*self._images(images), *self._folders(folders)]

    def remove(self, names: Collection[str]) -> list[BuiltImage]:
        """Remove what is named and return it.

        Args:
            names: as `listed` says them.

        Raises:
            TargetError: something of it is in use, or the engine does not answer.
        """
        chosen = [one for one in self.listed(()) if one.name in names]
        for one in chosen:
            if one.in_use:
                raise TargetError(
                    f"{one.name} is in use by a container, so it stays.",
                    remedy="%flyte_ps shows what runs.",
                )
        for one in chosen:
            if one.kind == "image":
                self._remove_image(one.name)
            else:
                self._remove_folder(one)
        return chosen

    def _running(self) -> tuple[set[str], set[str]]:
        status, said = self._daemon.ask("/containers/json?all=1")
        listed = said if status == 200 else []
        images = {str(one.get("ImageID")) for one in listed}
        return images, {
            str(mount.get("Source")) for one in listed for mount in one.get("Mounts") or ()
        }

    # images of the engine

    def _images(self, needed: Collection[str]) -> Iterator[BuiltImage]:
        from flyte_jupyter.daemon.labels import BASE, IMAGE, KIND

        status, said = self._daemon.ask("/images/json")
        listed: list[Mapping[str, Any]] = said if status == 200 else []
        sizes = {str(one["Id"]): int(one["Size"]) for one in listed}
        for one in listed:
            labels = one.get("Labels") or {}
            ours = [tag for tag in one.get("RepoTags") or () if tag.startswith("flyte-jupyter:")]
            if labels.get(KIND) != "image" or not ours:
                continue
            base = sizes.get(labels.get(BASE, ""))
            times = [used.when for used in self._used if used.image == one["Id"]]
            for tag in ours:
                yield BuiltImage(
                    name=tag,
                    kind="image",
                    description=labels.get(IMAGE, ""),
                    size=None if base is None else max(0, int(one["Size"]) - base),
                    created=float(one["Created"]),
                    used=max(times, default=None),
                    in_use=one["Id"] in needed,
                )

    def _remove_image(self, tag: str) -> None:
        from docker.errors import DockerException, ImageNotFound

        from flyte_jupyter.daemon import explained

        api = self._daemon.fresh()
        try:
            api.remove_image(tag)
        except ImageNotFound:
            return  # somebody else has removed it
        except DockerException as error:
            raise explained(error) from None
        finally:
            api.close()

    # folders of this machine

    def _folders(self, needed: Collection[str]) -> Iterator[BuiltImage]:
        for folder, (kind, mark) in FOLDERS.items():
            for place in sorted((self._home / folder).glob("[0-9a-f]*")):
                with contextlib.suppress(OSError):  # it was removed meanwhile
                    yield BuiltImage(
                        name=place.name[:SHORT],
                        kind=kind,
                        description=_words(place),
                        size=folder_size(place),
                        created=place.stat().st_ctime,
                        used=(place / mark).stat().st_mtime,
                        in_use=any(
                            one == str(place) or one.startswith(f"{place}{os.sep}")
                            for one in needed
                        ),
                    )

    def _remove_folder(self, one: BuiltImage) -> None:
        for folder, (kind, _) in FOLDERS.items():
            if kind != one.kind:
                continue
            for place in (self._home / folder).glob(one.name + "*"):
                # gone at once for whoever looks for it, whatever the time that its files take
                grave = Path(tempfile.mkdtemp(prefix=".removed-", dir=place.parent))
                place.rename(grave / place.name)
                shutil.rmtree(grave, ignore_errors=True)


def _words(place: Path) -> str:
    try:
        said = json.loads((place / "record.json").read_text("utf-8"))
        return f"{', '.join(said['layers'])} for Python {said['python']}"
    except (OSError, ValueError, KeyError, TypeError):
        names = sorted(os.listdir(place))
        return "files: " + ", ".join(names[:LEAST]) + (", …" if len(names) > LEAST else "")
