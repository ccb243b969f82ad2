"""One build by the engine: a Dockerfile and its context go in, an image or the reason come out."""

from __future__ import annotations

import io
import json
import os
import re
import tarfile
import tempfile
from collections.abc import Iterable, Mapping
from typing import IO, TYPE_CHECKING

from flyte_jupyter.errors import FlyteError, ImageBuildError
from flyte_jupyter.images.dockerfile import Entry
from flyte_jupyter.images.redaction import redact, secret_values
from flyte_jupyter.images.sharing import Progress
from flyte_jupyter.images.threads import Ends
from flyte_jupyter.images.trace import Log

if TYPE_CHECKING:
    from flyte_jupyter.daemon import Daemon

__all__ = ["DOCKERFILE", "build", "build_failure", "network_of", "proxies"]

DOCKERFILE = ".flyte_jupyter.Dockerfile"
# in memory up to here, on disk from there on
SPOOLED = 32 * 2**20
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY")
_HERE = re.compile(r"://(?:[^@/]*@)?(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])(?=[:/]|$)")
_STATUS = re.compile(r"(?:exit code: |non-zero code: |exited with code )(\d+)")

# words of a failing instruction: what is wrong, what to do
CAUSES = (
    (
        r"E: Unable to locate package (\S+)",
        "There is no Debian package {1!r} for this image.",
        "Check its name, and that it belongs to the release of Debian of the base image.",
    ),
    (
        r"E: Version '([^']+)' for '([^']+)' was not found",
        "The Debian package {2!r} has no version {1!r} in this image's release.",
        "Leave the version out, or take one that the release has.",
    ),
    (
        r"apt-get: (?:command )?not found",
        "The base image has no apt-get, so with_apt_packages cannot work in it.",
        "Take a base image of Debian or Ubuntu, or install with with_commands.",
    ),
    (
        r"No space left on device|no space left on device",
        "The disk of the Docker engine is full.",
        "Free space there: %flyte_images shows what is ours, 'docker system df' the rest.",
    ),
    (
        r"Temporary failure resolving|Could not resolve host|Temporary failure in name resolution"
        r"|Could not connect to|Network is unreachable|Failed to establish a new connection",
        "The build cannot reach the network.",
        "Check the engine's network and proxy; FLYTE_JUPYTER_BUILD_NETWORK=host lets builds use "
        "the network of the engine's machine.",
    ),
    (
        r"certificate verify failed|self[- ]signed certificate|unable to get local issuer",
        "The build does not trust a certificate of your network.",
        "Set SSL_CERT_FILE to the certificates of your network in the kernel's environment; "
        "builds mount it.",
    ),
    (
        r"/bin/sh[^\n]*no such file|\"/bin/sh\": stat|sh: executable file not found",
        "The base image has no shell, so nothing can be run in it while building.",
        "Take a base image with one; packages alone need none.",
    ),
)


def build(
    daemon: Daemon,
    dockerfile: str,
    context: Iterable[Entry],
    tag: str,
    labels: Mapping[str, str],
    say: Progress,
    stop: Ends,
    *,
    network: str = "",
    buildkit: bool | None = None,
) -> str:
    """Build an image and return its id; blocks.

    Args:
        daemon: the engine.
        dockerfile: the instructions.
        context: the files beside them.
        tag: name of the result.
        labels: labels of the result.
        say: called with each instruction that is run and what it writes.
        stop: gets what ends the build when it is given up.
        network: the network that instructions use, empty for the engine's default.
        buildkit: build with BuildKit, None to do so if the engine has it.

    Raises:
        ImageBuildError: an instruction failed.
        TargetError: the engine does not answer.
    """
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    from flyte_jupyter.daemon import explained
    from flyte_jupyter.daemon.streams import Stream

    hidden = secret_values()

    def told(line: str) -> None:
        if "flyte-jupyter:from-" not in line:  # a name that is only ours
            say(redact(_readable(line), hidden))

    log = Log(told)
    modern = daemon.buildkit if buildkit is None else buildkit
    parameters = {
        "t": tag,
        "dockerfile": DOCKERFILE,
        "rm": "1",
        "forcerm": "1",
        "labels": json.dumps(dict(labels)),
        "buildargs": json.dumps(proxies()),
        **({"version": "2"} if modern else {}),
        **({"networkmode": network} if network else {}),
    }
    api = daemon.fresh(None)
    try:
        with tempfile.SpooledTemporaryFile(SPOOLED) as archive:
            _pack(archive, dockerfile, context)
            answer = api._post(
                api._url("/build"),
                data=archive,
                params=parameters,
                headers={"Content-Type": "application/x-tar"},
                stream=True,
            )
            api._raise_for_status(answer)
            with Stream(api._stream_helper(answer, decode=True), answer) as messages:
                stop.append(messages)
                for message in messages:
                    log.take(message)
    except (DockerException, RequestException) as error:
        raise explained(error, image=tag) from None
    finally:
        api.close()
    if log.error:
        raise build_failure(*log.failed, log.error)
    status, said = daemon.ask(f"/images/{tag}/json")
    if status != 200:
        raise ImageBuildError(
            "The engine ended the build without an image.",
            remedy="Run it again; the engine may have been restarted.",
        )
    return str(said["Id"])


def build_failure(instruction: str, lines: Iterable[str], words: str) -> FlyteError:
    """Return the error for an instruction that failed.

    Args:
        instruction: as it stands in the Dockerfile.
        lines: what it wrote last.
        words: what the builder says.
    """
    from flyte_jupyter.daemon import explained

    hidden = secret_values()
    last = [redact(line, hidden) for line in lines]
    instruction = redact(_readable(instruction), hidden)
    text = "\n".join([*last, words])
    evidence = [*([instruction] if instruction else []), *last]
    for pattern, sentence, remedy in CAUSES:
        match = re.search(pattern, text)
        if match:
            groups = match.group(0, *range(1, (match.re.groups or 0) + 1))
            return ImageBuildError(
                sentence.format(*groups), evidence=evidence, remedy=remedy.format(*groups)
            )
    status = _STATUS.search(words)
    if status:
        what = instruction if len(instruction) <= 80 else instruction[:79] + "…"
        return ImageBuildError(
            f"Building the image failed: {what!r} ended with exit status {status[1]}.",
            evidence=last,
            remedy="The lines above are the last that it wrote; try it in a terminal: "
            "docker run --rm -it BASE sh.",
        )
    base = re.match(r"FROM (\S+)|.*load metadata for (\S+)", instruction)
    image = (base[1] or base[2]) if base else ""
    if base and image:
        return explained(words, image=re.sub(r"^docker\.io/(?:library/)?", "", image))
    return ImageBuildError(
        f"Building the image failed: {redact(words, hidden)}", evidence=evidence[:40]
    )


def proxies(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the proxies of the kernel as build arguments, which no image and no history keeps."""
    found = {}
    for name in PROXIES:
        value = environ.get(name) or environ.get(name.lower())
        if value:
            found[name] = found[name.lower()] = value
    return found


def network_of(local: bool, environ: Mapping[str, str] = os.environ, *addresses: str) -> str:
    """Return the network that builds use, empty for the engine's default.

    A proxy or index of this machine is reached only from its own network.

    Args:
        local: the engine is on this machine.
        environ: variables of the kernel.
        addresses: what has to be reached beside the proxies.
    """
    named = os.environ.get("FLYTE_JUPYTER_BUILD_NETWORK", "")
    if named or not local:
        return named
    used = [value for name, value in proxies(environ).items() if "NO_" not in name.upper()]
    return "host" if any(_HERE.search(address) for address in (*used, *addresses)) else ""


def _pack(archive: IO[bytes], dockerfile: str, context: Iterable[Entry]) -> None:
    """Write the context as the engine takes it: nobody's files, readable by everybody."""

    def plain(info: tarfile.TarInfo) -> tarfile.TarInfo:
        info.uid = info.gid = 0
        info.uname = info.gname = ""
        info.mode = 0o755 if info.isdir() or info.mode & 0o100 else 0o644
        return info

    with tarfile.open(fileobj=archive, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for entry in (Entry(DOCKERFILE, data=dockerfile.encode()), *context):
            if entry.source is None:
                info = plain(tarfile.TarInfo(entry.name))
                info.size = len(entry.data)
                tar.addfile(info, io.BytesIO(entry.data))
                continue
            try:
                info = tar.gettarinfo(entry.source, entry.name)
                if info.islnk():  # hard links of packages lead to files, not to each other
                    info.type, info.linkname = tarfile.REGTYPE, ""
                    info.size = os.stat(entry.source).st_size
                if info.isreg():
                    with open(entry.source, "rb") as stream:
                        tar.addfile(plain(info), stream)
                else:
                    tar.addfile(plain(info))
            except OSError as error:
                raise ImageBuildError(
                    f"{entry.source!r} cannot be copied: {error.strerror}."
                ) from None
    archive.seek(0)


def _readable(instruction: str) -> str:
    """Return an instruction as the user wrote it: without mounts, and without our wrapping."""
    text = re.sub(r"--mount=\S+ ", "", instruction)
    copied = re.match(r'COPY \[?"?(packages|sources)/', text)
    if copied:
        return f"Copying {'packages' if copied[1] == 'packages' else 'files'}"
    wrapped = re.fullmatch(r'RUN (\["/bin/sh", ?"-c", ?".*"\])', text, re.DOTALL)
    if wrapped:
        try:
            text = "RUN " + json.loads(wrapped[1])[2]
        except ValueError:
            return text
    text = re.sub(r"^RUN export \S+=\S*(?: \S+=\S*)*\n", "RUN ", text)
    apt = re.search(r"--no-install-recommends ([^&]+?)(?: && rm -rf \S+)?$", text)
    return f"RUN apt-get install {apt[1]}" if apt and "Dir::State::Lists" in text else text
