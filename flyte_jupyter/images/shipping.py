"""An image leaves the engine that has it: as an archive, or for a registry."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING

from flyte_jupyter.errors import FlyteError, ImageBuildError
from flyte_jupyter.images.redaction import redact
from flyte_jupyter.images.references import Layers, login_of
from flyte_jupyter.images.sharing import Progress
from flyte_jupyter.images.threads import Ends

if TYPE_CHECKING:
    from flyte_jupyter.daemon import Daemon

__all__ = ["named", "published", "push", "save", "unname"]

PART = 1 << 20
# so many bytes of an archive make a line of progress
LINE = 64 << 20
# what a registry takes for a login of nobody: "{}"
NOBODY = {"X-Registry-Auth": "e30="}
# the words of the engine, what is wrong, what to do
REFUSALS = (
    (
        r"server gave HTTP response to HTTPS client",
        "The registry {host} speaks no HTTPS, and the Docker engine asks for it.",
        "Name it among the engine's insecure-registries, or give the registry a certificate.",
    ),
    (
        r"x509|certificate|tls: ",
        "The Docker engine does not trust the certificate of the registry {host}.",
        "Lay the certificate in /etc/docker/certs.d/{host}/ca.crt on the engine's machine.",
    ),
    (
        r"unauthorized|authentication required|no basic auth|denied|forbidden|\b40[13]\b",
        "You may not push to the registry {host}.",
        "Log in to it in a terminal: docker login {host}. registry= has to be a place there that "
        "you may write to.",
    ),
    (
        r"dial tcp|no such host|i/o timeout|timeout|connection refused|unreachable"
        r"|deadline exceeded|EOF|name resolution|\b50[0-4]\b",
        "The Docker engine cannot reach the registry {host}.",
        "Check its name in registry=, and the engine's connection and proxy.",
    ),
)


def save(daemon: Daemon, name: str, file: IO[bytes], say: Progress, stop: Ends) -> None:
    """Write the archive of an image, as ``docker save`` does; blocks.

    Args:
        daemon: the engine.
        name: of the image; the archive has it by this name.
        file: takes the bytes.
        say: called now and then with how many there were.
        stop: gets what ends it when it is given up.

    Raises:
        ImageBuildError: the engine has no such image.
        TargetError: the engine does not answer.
        OSError: the file cannot be written.
    """
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    from flyte_jupyter.daemon import explained
    from flyte_jupyter.daemon.streams import Stream

    api = daemon.fresh(None)
    size = 0
    try:
        answer = api._get(api._url("/images/{0}/get", name), stream=True)
        api._raise_for_status(answer)
        with Stream((), answer) as stream:
            stop.append(stream)
            for part in answer.iter_content(PART):
                file.write(part)
                size += len(part)
                if size // LINE != (size - len(part)) // LINE:
                    say(f"{size >> 20} MiB")
    except (DockerException, RequestException) as error:
        raise explained(error, image=name) from None
    finally:
        api.close()


def published(daemon: Daemon, name: str) -> str:
    """Return the digest of what a registry has by a name, ``""`` if it has or says nothing.

    Args:
        daemon: the engine, which asks for us.
        name: with the registry and a tag.
    """
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    api = daemon.fresh()
    try:
        return str(api.inspect_distribution(name)["Descriptor"]["digest"])
    except (DockerException, RequestException, KeyError, TypeError):
        return ""  # whatever is wrong, to push will tell it
    finally:
        api.close()


def push(daemon: Daemon, name: str, say: Progress, stop: Ends) -> str:
    """Have the engine push an image, and return its digest; blocks.

    Args:
        daemon: the engine.
        name: of the image, with the registry and a tag.
        say: called with lines of progress.
        stop: gets what ends it when it is given up.

    Raises:
        ImageBuildError: the registry does not take it.
        TargetError: the engine does not answer.
    """
    from docker.errors import APIError, DockerException
    from requests.exceptions import RequestException

    from flyte_jupyter.daemon import explained
    from flyte_jupyter.daemon.failures import said
    from flyte_jupyter.daemon.streams import Stream

    place, _, tag = name.rpartition(":")
    say(f"Pushing {name}")
    progress = Layers(f"Pushing {name}", "Pushing", ("Pushed", "Layer already exists"), say)
    digest = ""
    api = daemon.fresh(None)
    try:
        answer = api._post(
            api._url("/images/{0}/push", place),
            params={"tag": tag},
            headers=login_of(api, place) or NOBODY,
            stream=True,
        )
        api._raise_for_status(answer)
        with Stream(api._stream_helper(answer, decode=True), answer) as lines:
            stop.append(lines)
            for line in lines:
                if "error" in line:
                    raise _refused(name, str(line["error"]))
                digest = (line.get("aux") or {}).get("Digest") or digest
                progress.take(line)
    except APIError as error:
        raise _refused(name, said(error)) from None
    except (DockerException, RequestException) as error:
        raise explained(error, image=name) from None
    finally:
        api.close()
    if not digest:
        raise ImageBuildError(
            f"The engine ended to push {name!r} without saying what the registry has.",
            remedy="Run it again; the engine may have been restarted.",
        )
    return str(digest)


@contextmanager
def named(daemon: Daemon, image: str, name: str) -> Iterator[None]:
    """Give an image one more name for a while; blocks.

    Args:
        daemon: the engine.
        image: id of the image.
        name: with a tag.

    Raises:
        TargetError: the engine does not answer.
    """
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    from flyte_jupyter.daemon import explained

    status, found = daemon.ask(f"/images/{name}/json")
    if status == 200 and found.get("Id") == image:
        yield
        return
    place, _, tag = name.rpartition(":")
    api = daemon.fresh()
    try:
        api.tag(image, place, tag)
    except (DockerException, RequestException) as error:
        raise explained(error, image=image) from None
    finally:
        api.close()
    try:
        yield
    finally:
        unname(daemon, name)


def unname(daemon: Daemon, name: str) -> None:
    """Take a name from an image, unless it is the last one; blocks."""
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    found = daemon.ask(f"/images/{name}/json")[1] or {}
    # the last name of an image is the image, and it may be somebody else's
    if len(found.get("RepoTags") or ()) > 1 or (found.get("RepoDigests") or ()):
        api = daemon.fresh()
        with suppress(DockerException, RequestException):
            api.remove_image(name, noprune=True)
        api.close()


def _refused(name: str, words: str) -> FlyteError:
    host = name.partition("/")[0]
    for pattern, sentence, remedy in REFUSALS:
        if re.search(pattern, words, re.IGNORECASE):
            return ImageBuildError(
                sentence.format(host=host),
                evidence=[redact(words)],
                remedy=remedy.format(host=host),
            )
    return ImageBuildError(
        f"The image could not be pushed to {host}.",
        evidence=[redact(words)],
        remedy=f"Try it in a terminal: docker push {name}",
    )
