"""A reference to an image becomes an image of the engine: found there, or pulled."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flyte_jupyter.errors import FlyteError, ImageBuildError
from flyte_jupyter.images.redaction import redact
from flyte_jupyter.images.sharing import Progress
from flyte_jupyter.images.threads import Ends
from flyte_jupyter.spec.naming import closest

if TYPE_CHECKING:
    from flyte_jupyter.daemon import Daemon

__all__ = ["Inspected", "Layers", "inspect", "login_of", "pull"]


@dataclass(frozen=True, slots=True)
class Inspected:
    """An image of the engine.

    Args:
        name: what it was asked for by.
        id: ``sha256:…``.
        digest: what the registry calls it, ``sha256:…``, or empty for one that was made here.
        environ: variables that it sets.
        workdir: its working directory, or None.
        user: user that its containers run as, empty for root.
        labels: its labels.
    """

    name: str
    id: str
    digest: str
    environ: tuple[tuple[str, str], ...]
    workdir: str | None
    user: str
    labels: Mapping[str, str]


def inspect(daemon: Daemon, reference: str) -> Inspected | None:
    """Return an image that the engine has, None if it has none of that name; blocks.

    Args:
        daemon: the engine.
        reference: name or id.

    Raises:
        TargetError: the engine does not answer.
    """
    status, said = daemon.ask(f"/images/{reference}/json")
    if status != 200:
        return None
    config = said.get("Config") or {}
    pairs = [entry.partition("=") for entry in config.get("Env") or ()]
    return Inspected(
        reference,
        str(said["Id"]),
        _digest(said.get("RepoDigests") or (), reference),
        tuple((name, value) for name, _, value in pairs),
        config.get("WorkingDir") or None,
        config.get("User") or "",
        config.get("Labels") or {},
    )


def pull(daemon: Daemon, reference: str, say: Progress, stopped: Ends) -> None:
    """Have the engine fetch an image; blocks.

    Args:
        daemon: the engine.
        reference: what to fetch.
        say: called with lines of progress.
        stopped: gets what ends the pull when it is given up.

    Raises:
        ImageBuildError: it cannot be had.
    """
    from docker.errors import APIError, DockerException
    from requests.exceptions import RequestException

    from flyte_jupyter.daemon import explained
    from flyte_jupyter.daemon.streams import Stream

    api = daemon.fresh(None)
    say(f"Pulling {reference}")
    progress = Layers(
        f"Pulling {reference}", "Downloading", ("Download complete", "Pull complete"), say
    )
    name, tag = _split(reference)
    try:
        answer = api._post(
            api._url("/images/create"),
            params={"fromImage": name, "tag": tag},
            headers=login_of(api, name),
            stream=True,
        )
        api._raise_for_status(answer)
        with Stream(api._stream_helper(answer, decode=True), answer) as lines:
            stopped.append(lines)
            for line in lines:
                if "error" in line:
                    raise _failure(daemon, str(line["error"]), reference)
                progress.take(line)
    except APIError as error:
        raise _failure(daemon, error, reference) from None
    except (DockerException, RequestException) as error:
        raise explained(error, image=reference) from None
    finally:
        api.close()


def login_of(api: Any, name: str) -> dict[str, str]:
    """Return the header by which a registry knows the user, as ``docker login`` has left it.

    Args:
        api: a client of the engine.
        name: name of an image, without its tag.
    """
    from docker import auth

    login = auth.get_config_header(api, auth.resolve_repository_name(name)[0])
    return {"X-Registry-Auth": login} if login else {}


class Layers:
    """Makes few lines of the many that the engine writes while it pulls or pushes.

    Args:
        words: what is done.
        moving: what the engine calls a layer that is under way.
        moved: what it calls one that is not any more.
        say: called with the lines.
    """

    def __init__(self, words: str, moving: str, moved: Collection[str], say: Progress) -> None:
        self._words = words
        self._moving = moving
        self._moved = moved
        self._say = say
        self._sizes: dict[str, tuple[int, int]] = {}
        self._last = ""

    def take(self, line: Mapping[str, Any]) -> None:
        """Take a line of the engine's."""
        detail = line.get("progressDetail") or {}
        if line.get("status") == self._moving and detail.get("total"):
            self._sizes[str(line.get("id"))] = (int(detail["current"]), int(detail["total"]))
        elif line.get("status") in self._moved:
            current, total = self._sizes.get(str(line.get("id")), (0, 0))
            self._sizes[str(line.get("id"))] = (max(current, total), total)
        else:
            return
        current, total = (sum(pair) // 2**20 for pair in zip(*self._sizes.values(), strict=True))
        text = f"{self._words}: {current} of {total} MiB"
        if text != self._last:
            self._last = text
            self._say(text)


def _failure(daemon: Daemon, error: BaseException | str, reference: str) -> FlyteError:
    from flyte_jupyter.daemon import explained

    cause = explained(error, image=reference)
    near = closest(_plain(reference), [_plain(name) for name in _local(daemon)])
    hint = f"Did you mean {near!r}, which is here? " if near else ""
    return ImageBuildError(
        redact(cause.sentence),
        evidence=map(redact, cause.evidence),
        remedy=hint + cause.remedy,
    )


def _local(daemon: Daemon) -> list[str]:
    status, said = daemon.ask("/images/json")
    listed = said if status == 200 and isinstance(said, list) else []
    return sorted({tag for one in listed for tag in one.get("RepoTags") or () if "<" not in tag})


def _plain(reference: str) -> str:
    return reference.removesuffix(":latest")


def _split(reference: str) -> tuple[str, str | None]:
    """Return the name and the tag or digest; without either it is the latest."""
    if "@" in reference:
        return reference, None
    name, colon, tag = reference.rpartition(":")
    return (name, tag) if colon and "/" not in tag else (reference, "latest")


def _digest(listed: Any, reference: str) -> str:
    name = reference.partition("@")[0]
    repository = _split(name)[0]
    for entry in listed:
        theirs, _, digest = str(entry).partition("@")
        if theirs.removeprefix("docker.io/").removeprefix("library/") == repository.removeprefix(
            "docker.io/"
        ).removeprefix("library/"):
            return digest
    return ""
