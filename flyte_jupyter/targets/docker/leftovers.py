"""What kernels have made in a Docker engine, found by its labels.

Nothing is touched that does not carry our label, whatever it is called.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

from flyte_jupyter.daemon import Daemon, explained
from flyte_jupyter.daemon.labels import ENVIRONMENT, IMAGE, KIND, OWNER
from flyte_jupyter.store.owners import is_alive
from flyte_jupyter.targets.protocol import Leftover

__all__ = ["sweep"]

# On work that was detached from its kernel: until when it may go on, in seconds since the epoch.
EXPIRES = "flyte_jupyter.expires"
IN_PROGRESS = 409
PURPOSES = {
    "worker": "a worker",
    "network": "the network of its environment",
    "probe": "a look at an image",
    "build": "a step of a build",
}
OURS = {"label": OWNER}
# Of so many containers the memory is asked for, each on a thread.
MEASURED = 32


def sweep(daemon: Daemon, remove: Collection[str] = ()) -> list[Leftover]:
    """Return what kernels, living and dead ones, have made in an engine and is there.

    Args:
        daemon: the engine.
        remove: names of what to remove instead, containers first: then that is returned which was
            removed.

    Raises:
        TargetError: the engine does not answer, or does not let something be removed.
    """
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    api = daemon.fresh()
    try:
        found = [*_containers(api), *_networks(api), *_volumes(api)]
        if remove:
            return [each for each in found if _gone(api, each, remove)]
        return _measured(daemon, found)
    except (DockerException, RequestException) as error:
        raise explained(error) from None
    finally:
        api.close()


def _gone(api: Any, leftover: Leftover, names: Collection[str]) -> bool:
    """Remove something if it is named; False if it is not, or others were quicker."""
    from docker.errors import APIError, NotFound

    if leftover.name not in names:
        return False
    try:
        _REMOVE[leftover.kind](api, leftover.name)
    except NotFound:
        return False
    except APIError as error:
        if error.status_code == IN_PROGRESS and leftover.kind == "container":
            return True
        raise explained(
            error, evidence=(f"{leftover.kind} {leftover.name}: {error.explanation}",)
        ) from None
    return True


# What is there


def _containers(api: Any) -> Iterator[Leftover]:
    found = api.containers(all=True, filters=OURS)
    tags = _tags(api) if found else {}
    for each in found:
        labels = each.get("Labels") or {}
        purpose = PURPOSES.get(labels.get(KIND, ""), "a container")
        yield Leftover(
            name=(each.get("Names") or [each["Id"][:12]])[0].lstrip("/"),
            owner=labels[OWNER],
            description=f"{purpose}, {_image(each, tags)}",
            kind="container",
            state=_state(each),
            environment=labels.get(ENVIRONMENT, ""),
            created=each.get("Created"),
            alive=_alive(labels),
        )


def _tags(api: Any) -> dict[str, str]:
    """Return id → a name of each image that has one."""
    return {
        each["Id"]: tag
        for each in api.images()
        for tag in (each.get("RepoTags") or ())[:1]
        if tag != "<none>:<none>"
    }


def _image(container: Mapping[str, Any], tags: Mapping[str, str]) -> str:
    """Return what an image is called: containers are made from ids, which tell nobody anything."""
    known = (container.get("Labels") or {}).get(IMAGE) or tags.get(container.get("ImageID", ""))
    return str(known or container.get("Image", "")).removeprefix("sha256:")[:60]


def _state(container: Mapping[str, Any]) -> str:
    state = str(container.get("State", ""))
    status = re.search(r"\((\d+)\)", str(container.get("Status", "")))
    return f"{state}, status {status[1]}" if state == "exited" and status else state


def _measured(daemon: Daemon, found: list[Leftover]) -> list[Leftover]:
    """Add to the containers that run what memory they hold."""
    from concurrent.futures import ThreadPoolExecutor

    running = [each.name for each in found if each.state == "running"][:MEASURED]
    if not running:
        return found
    # an engine answers once a second, whoever asks; so all are asked at once
    with ThreadPoolExecutor(len(running)) as pool:
        memory = dict(zip(running, pool.map(partial(_memory, daemon), running), strict=True))
    return [replace(each, memory=memory.get(each.name)) for each in found]


def _memory(daemon: Daemon, name: str) -> int | None:
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    api = daemon.fresh()
    try:
        stats = api.stats(name, stream=False, one_shot=True).get("memory_stats") or {}
    except (DockerException, RequestException):  # it has ended since it was listed
        return None
    finally:
        api.close()
    details = stats.get("stats") or {}
    # files that are only kept in case they are read again are no use of memory
    files = details.get("total_inactive_file", details.get("inactive_file", 0))
    used = stats.get("usage")
    return None if used is None else max(0, int(used) - int(files))


def _networks(api: Any) -> Iterator[Leftover]:
    for each in api.networks(filters=OURS):
        labels = each.get("Labels") or {}
        yield Leftover(
            name=each["Name"],
            owner=labels[OWNER],
            description=f"a network ({each.get('Driver', '')})",
            kind="network",
            environment=labels.get(ENVIRONMENT, ""),
            created=_moment(each.get("Created")),
            alive=_alive(labels),
        )


def _volumes(api: Any) -> Iterator[Leftover]:
    for each in (api.volumes(filters=OURS) or {}).get("Volumes") or ():
        labels = each.get("Labels") or {}
        yield Leftover(
            name=each["Name"],
            owner=labels[OWNER],
            description="a volume",
            kind="volume",
            environment=labels.get(ENVIRONMENT, ""),
            created=_moment(each.get("CreatedAt")),
            alive=_alive(labels),
        )


def _alive(labels: Mapping[str, str]) -> bool | None:
    """Say whether something may be needed: detached work until it expires, else its kernel's."""
    expires = labels.get(EXPIRES, "")
    if expires.isdigit():
        return int(expires) > time.time()
    return is_alive(labels[OWNER])


def _moment(text: Any) -> float | None:
    """Return the seconds of a time that an engine writes with nanoseconds, or with none."""
    plain = re.sub(r"\.(\d{1,6})\d*", r".\1", str(text))
    try:
        return datetime.fromisoformat(plain).timestamp()
    except ValueError:
        return None


# How it goes; the label was seen a moment ago, and no name of ours is given twice

_REMOVE: dict[str, Callable[[Any, str], None]] = {
    "container": lambda api, name: api.remove_container(name, force=True, v=True),
    "network": lambda api, name: api.remove_network(name),
    "volume": lambda api, name: api.remove_volume(name),
}
