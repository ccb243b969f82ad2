"""Deployments kept in the namespace that they were deployed to, for every machine that shares it.

A name is one object that lists its versions; the records of these and the code of their tasks are
blobs. Whoever changes a name says which state of it was read: of two machines, the second one reads
it again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import random
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from flyte_jupyter.cluster.api import ApiError
from flyte_jupyter.errors import EngineError, FlyteError, TargetError
from flyte_jupyter.store.ledger import Row
from flyte_jupyter.targets.kubernetes.blobs import Blobs
from flyte_jupyter.targets.kubernetes.configmaps import ConfigMaps
from flyte_jupyter.targets.kubernetes.manifest import ENVIRONMENT, KIND, MANAGED, label_value

__all__ = ["NamespaceLedger"]

FORMAT = 1
DEPLOYMENT = "deployment"
TRIES = 30
# seconds, at most, before a name is read again that another machine is changing as well
PAUSE = 0.25
# an object of a cluster holds a MiB at most
LARGEST = 900 << 10


@dataclass(frozen=True, slots=True)
class Version:
    """A version as its name's object lists it.

    Args:
        version: its name.
        content: hash of what makes a difference.
        deployed: when, in seconds since the epoch.
        current: whether it is the one that calls by name get.
        record: digest of its record.
        needs: digests of the blobs that it needs beside.
    """

    version: str
    content: str
    deployed: float
    current: bool
    record: str
    needs: tuple[str, ...]

    @property
    def digests(self) -> set[str]:
        """All blobs that it needs."""
        return {self.record, *self.needs}


@dataclass(frozen=True, slots=True)
class Name:
    """A name with its versions, as they were read.

    Args:
        project: the folder that it belongs to.
        name: name of the environment.
        versions: the newest first.
        state: which state of the object this is, ``""`` where there is none.
    """

    project: str
    name: str
    versions: tuple[Version, ...] = field(default=())
    state: str = ""


class NamespaceLedger:
    """The deployments of a namespace.

    Args:
        maps: its config maps.
        place: name of the place.
    """

    def __init__(self, maps: ConfigMaps, place: str) -> None:
        self._maps = maps
        self._blobs = Blobs(maps)
        self._place = place

    @property
    def place(self) -> str:
        """Name of the place."""
        return self._place

    def put(
        self,
        row: Row,
        record: Mapping[str, Any],
        blobs: Mapping[str, bytes],
        needed: Iterable[str],
    ) -> None:
        """Write a version and make it the current one of its name; see :class:`Ledger`."""
        text = json.dumps(record, separators=(",", ":"), sort_keys=True).encode()
        digest = hashlib.sha256(text).hexdigest()
        made = Version(
            row.version, row.content, row.deployed, True, digest, tuple(sorted(set(needed)))
        )
        contents = {**blobs, digest: text}
        try:
            for one, content in contents.items():
                self._blobs.put(one, content)
        except BaseException:
            with contextlib.suppress(FlyteError):
                self._collect(contents)
            raise

        def with_it(versions: tuple[Version, ...]) -> tuple[Version, ...]:
            others = [_not_current(one) for one in versions if one.version != row.version]
            return (made, *others)

        replaced = self._change(row.project, row.name, with_it)
        for one, content in contents.items():
            self._blobs.keep(one, content)
        self._collect(replaced)

    def rows(self, project: str | None = None, name: str | None = None) -> list[Row]:
        """Return the versions, by project and name, the newest of a name first."""
        if project is not None and name is not None:
            names = [self._read(project, name)]
        else:
            names = [one for one in self._names(name) if project in (None, one.project)]
        return [
            Row(
                self._place,
                one.project,
                one.name,
                version.version,
                version.content,
                version.deployed,
                version.current,
            )
            for one in sorted(names, key=lambda one: (one.project, one.name))
            for version in one.versions
        ]

    def read(self, project: str, name: str, version: str | None = None) -> dict[str, Any] | None:
        """Return the record of a version, the current one if none is named; None without one."""
        for one in self._read(project, name).versions:
            if one.version == version or (version is None and one.current):
                text = self._blobs.get(one.record)
                return None if text is None else dict(json.loads(text))
        return None

    def blob(self, digest: str) -> bytes | None:
        """Return a blob, None if it is not there."""
        return self._blobs.get(digest)

    def make_current(self, project: str, name: str, version: str, deployed: float) -> None:
        """Make a version that is there the current one of its name."""

        def moved(versions: tuple[Version, ...]) -> tuple[Version, ...]:
            if all(one.version != version for one in versions):
                return versions
            return tuple(
                Version(**{**asdict(one), "current": True, "deployed": deployed})
                if one.version == version
                else _not_current(one)
                for one in versions
            )

        self._change(project, name, moved)

    def remove(self, project: str, name: str) -> int:
        """Take away every version of a name, and the blobs that only these needed; say how many."""
        for _ in range(TRIES):
            found = self._read(project, name)
            if not found.state:
                return 0
            if self._maps.delete(_object_name(project, name), found.state):
                self._collect({digest for one in found.versions for digest in one.digests})
                return len(found.versions)
            time.sleep(random.uniform(0, PAUSE))
        raise _contended(name)

    # names

    def _read(self, project: str, name: str) -> Name:
        found = self._maps.get(_object_name(project, name))
        return Name(project, name) if found is None else _name_of(found)

    def _names(self, name: str | None = None) -> list[Name]:
        selector = ",".join(f"{key}={value}" for key, value in _labels(name).items())
        names = map(_name_of, self._maps.list(selector))
        return [one for one in names if name in (None, one.name)]

    def _change(
        self,
        project: str,
        name: str,
        change: Callable[[tuple[Version, ...]], tuple[Version, ...]],
    ) -> set[str]:
        """Change the versions of a name; return the blobs that it does not need any more."""
        for _ in range(TRIES):
            found = self._read(project, name)
            versions = change(found.versions)
            if versions == found.versions:
                return set()
            body = _object(project, name, versions)
            try:
                if found.state:
                    body["metadata"]["resourceVersion"] = found.state
                    self._maps.patch(body["metadata"]["name"], body)
                else:
                    self._maps.create(body)
            except ApiError as error:
                if error.status not in (404, 409):
                    raise
                time.sleep(random.uniform(0, PAUSE))
                continue
            before = {digest for one in found.versions for digest in one.digests}
            return before - {digest for one in versions for digest in one.digests}
        raise _contended(name)

    def _collect(self, digests: Iterable[str]) -> None:
        """Remove blobs that nothing needs any more."""
        # in this order: what is needed after it was looked for has been marked meanwhile
        seen = self._blobs.seen(digests)
        if not seen:
            return
        needed = {
            digest
            for one in self._names()
            for version in one.versions
            for digest in version.digests
        }
        self._blobs.drop({digest: state for digest, state in seen.items() if digest not in needed})


def _not_current(one: Version) -> Version:
    return Version(**{**asdict(one), "current": False}) if one.current else one


def _object_name(project: str, name: str) -> str:
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower())[:30].strip("-")
    digest = hashlib.sha256("\0".join((project, name)).encode()).hexdigest()
    return f"flyte-env-{slug}-{digest[:10]}"


def _labels(name: str | None) -> dict[str, str]:
    labels = {**MANAGED, KIND: DEPLOYMENT}
    return labels if name is None else {**labels, ENVIRONMENT: label_value(name)}


def _object(project: str, name: str, versions: tuple[Version, ...]) -> dict[str, Any]:
    ordered = sorted(versions, key=lambda one: one.deployed, reverse=True)
    text = json.dumps([asdict(one) for one in ordered])
    if len(text) > LARGEST:
        raise TargetError(
            f"{name} has {len(versions)} versions, and the namespace keeps no more of one name.",
            remedy=f"Take them away and deploy it again: %flyte_undeploy {name}",
        )
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": _object_name(project, name), "labels": _labels(name)},
        "data": {"format": str(FORMAT), "project": project, "name": name, "versions": text},
    }


def _name_of(found: Mapping[str, Any]) -> Name:
    data, metadata = found["data"], found["metadata"]
    if int(data["format"]) > FORMAT:
        raise EngineError(
            f"The deployment {metadata['name']} was written by a newer version of flyte_jupyter.",
            remedy="Update flyte_jupyter.",
        )
    versions = [
        Version(**{**one, "needs": tuple(one["needs"])}) for one in json.loads(data["versions"])
    ]
    return Name(data["project"], data["name"], tuple(versions), metadata["resourceVersion"])


def _contended(name: str) -> TargetError:
    return TargetError(
        f"{name} was changed from elsewhere each time that it was to be changed from here.",
        remedy="Try again when the other machine is done.",
    )
