"""The empty volumes of a pod: none where there is nothing to hold.

A node looks after the volumes of a pod every 300 ms, and starts a pod that has none at once. So a
task writes its temporary files into its container, as it does on an engine.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["have_place_to_write", "mount"]

TMP = "/tmp"


def mount(spec: dict[str, Any], name: str, place: str, volume: Mapping[str, Any]) -> None:
    """Mount an empty volume into the first container of a pod.

    Args:
        spec: of the pod; it is changed.
        name: of the volume.
        place: where its container sees it.
        volume: how it is kept, as ``emptyDir`` takes it.
    """
    spec.setdefault("volumes", []).append({"name": name, "emptyDir": dict(volume)})
    _show(spec, name, place)


def have_place_to_write(spec: dict[str, Any]) -> None:
    """Mount a volume as ``/tmp`` where a template asks for one, or lets write to nothing else.

    Args:
        spec: of a pod that a template was laid over; it is changed.
    """
    (container, *_) = spec["containers"]
    mounts = container.get("volumeMounts") or ()
    if any(one["mountPath"].rstrip("/") == TMP for one in mounts):
        return
    if any(one["name"] == "tmp" for one in spec.get("volumes") or ()):
        if not any(one["name"] == "tmp" for one in mounts):
            _show(spec, "tmp", TMP)
    elif (container.get("securityContext") or {}).get("readOnlyRootFilesystem"):
        mount(spec, "tmp", TMP, {})


def _show(spec: dict[str, Any], name: str, place: str) -> None:
    mounts = spec["containers"][0].setdefault("volumeMounts", [])
    mounts.append({"name": name, "mountPath": place})
