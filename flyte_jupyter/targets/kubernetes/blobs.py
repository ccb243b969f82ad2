"""Blobs in a namespace: bytes by their digest, in as many objects as they need.

The first object of a blob counts; the others belong to it, so the cluster removes them with it. A
blob that is about to be needed again is marked after that is written down, and who removes one has
seen no mark since: so none is lost between two machines.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

from flyte_jupyter.cluster.api import ApiError
from flyte_jupyter.errors import EngineError, TargetError
from flyte_jupyter.spec.amounts import readable_bytes
from flyte_jupyter.targets.kubernetes.configmaps import ConfigMaps
from flyte_jupyter.targets.kubernetes.manifest import KIND, MANAGED

__all__ = ["Blobs"]

# an object of a cluster holds a MiB at most
PART = 768 << 10
LARGEST = 16 << 20
DIGITS = 40
DIGEST = "flyte-jupyter/digest"
READY = "flyte-jupyter/ready"
NEEDED = "flyte-jupyter/needed"
# Another machine may remove what is being written; it does so once.
TRIES = 5


class Blobs:
    """The blobs of a namespace.

    Args:
        maps: where they lie.
    """

    def __init__(self, maps: ConfigMaps) -> None:
        self._maps = maps

    def put(self, digest: str, content: bytes) -> None:
        """Write a blob, if it is not there.

        Args:
            digest: its SHA-256, in hexadecimal digits.
            content: what it is.

        Raises:
            TargetError: it is too large, or the cluster does not take it.
        """
        if len(content) > LARGEST:
            raise TargetError(
                f"What is deployed takes {readable_bytes(len(content))}; a namespace keeps "
                f"{readable_bytes(LARGEST)} of a task at most.",
                remedy="Values that the code reads travel with it: give large ones as inputs, or "
                "have the task read them.",
            )
        for _ in range(TRIES):
            if self._written(digest, content):
                return
        raise EngineError(f"The blob {digest[:DIGITS]} was removed each time that it was written.")

    def _written(self, digest: str, content: bytes) -> bool:
        """Write a blob; say whether all of it is there then."""
        parts = [content[at : at + PART] for at in range(0, len(content), PART)] or [b""]
        name = _name(digest)
        first = _object(name, digest, parts[0], {"parts": str(len(parts))})
        try:
            there = self._maps.create(first)
        except ApiError as error:
            if error.status != 409:
                raise
            found = self._maps.get(name)
            if found is None:
                return False
            there = found
        if len(parts) == 1 or READY in (there["metadata"].get("annotations") or {}):
            return True
        uid = there["metadata"]["uid"]
        owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": uid}
        for number, part in enumerate(parts[1:], 1):
            one = _object(_part_name(name, uid, number), digest, part, {})
            one["metadata"]["ownerReferences"] = [owner]
            try:
                self._maps.create(one)
            except ApiError as error:
                if error.status != 409:
                    raise
        return self._mark(name, READY)

    def keep(self, digest: str, content: bytes) -> None:
        """Have a blob stay that something needs from now on.

        Args:
            digest: its digest.
            content: what it is, in case that another machine has just removed it.

        Raises:
            TargetError: the cluster does not take it.
        """
        for _ in range(TRIES):
            if self._mark(_name(digest), NEEDED):
                return
            self.put(digest, content)
        raise EngineError(f"The blob {digest[:DIGITS]} was removed each time that it was written.")

    def _mark(self, name: str, mark: str) -> bool:
        """Mark an object; say whether it is there."""
        try:
            self._maps.patch(name, {"metadata": {"annotations": {mark: secrets.token_hex(8)}}})
        except ApiError as error:
            if error.status != 404:
                raise
            return False
        return True

    def get(self, digest: str) -> bytes | None:
        """Return a blob, None if it is not there.

        Raises:
            EngineError: it is not what it was.
            TargetError: the cluster does not answer.
        """
        name = _name(digest)
        first = self._maps.get(name)
        if first is None:
            return None
        found = [_content(first)]
        for number in range(1, int(first["data"]["parts"])):
            part = self._maps.get(_part_name(name, first["metadata"]["uid"], number))
            if part is None:
                return None
            found.append(_content(part))
        content = b"".join(found)
        # who may write here may have written something else
        if hashlib.sha256(content).hexdigest() != digest:
            raise EngineError(
                f"The object {name} is not what was deployed: somebody has changed it.",
                remedy="Deploy again what needs it.",
            )
        return content

    def seen(self, digests: Iterable[str]) -> dict[str, str]:
        """Return the state that blobs are in now, by digest, of those that are there."""
        found = {digest: self._maps.get(_name(digest)) for digest in digests}
        return {
            digest: one["metadata"]["resourceVersion"]
            for digest, one in found.items()
            if one is not None
        }

    def drop(self, seen: Mapping[str, str]) -> None:
        """Remove blobs that are still in the state that they were seen in.

        Args:
            seen: state by digest.
        """
        for digest, version in seen.items():
            self._maps.delete(_name(digest), version)


def _name(digest: str) -> str:
    return f"flyte-blob-{digest[:DIGITS]}"


def _part_name(name: str, uid: str, number: int) -> str:
    # one that is written anew has parts of its own: the old ones may be on their way out
    return f"{name}-{uid[:8]}-{number}"


def _object(name: str, digest: str, content: bytes, data: dict[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": name,
            "labels": {**MANAGED, KIND: "blob"},
            "annotations": {DIGEST: digest},
        },
        "immutable": True,
        "data": data,
        "binaryData": {"part": base64.b64encode(zlib.compress(content)).decode()},
    }


def _content(found: Mapping[str, Any]) -> bytes:
    """Return a part, or less of it where somebody has changed it."""
    try:
        packed = base64.b64decode(found["binaryData"]["part"])
        return zlib.decompressobj().decompress(packed, PART)
    except (KeyError, ValueError, zlib.error):
        return b""
