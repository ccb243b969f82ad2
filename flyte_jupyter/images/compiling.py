"""Packages without a wheel: uv builds them in a container of the image that needs them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from flyte_jupyter.errors import ImageBuildError
from flyte_jupyter.images.builds import network_of
from flyte_jupyter.images.failures import failure
from flyte_jupyter.images.redaction import secret_values
from flyte_jupyter.images.sharing import Progress
from flyte_jupyter.images.threads import Ends
from flyte_jupyter.images.uv import find_uv
from flyte_jupyter.images.workshop import Workshop

if TYPE_CHECKING:
    from flyte_jupyter.daemon import Daemon
    from flyte_jupyter.images.probe import Probe

__all__ = ["install_inside"]

UV = "/opt/flyte_jupyter/uv"
# what of the kernel's variables means something in another place
HANDED_OVER = ("UV_", "HTTP", "http", "NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy")
NOT_THERE = ("UV_CACHE_DIR", "UV_FIND_LINKS", "UV_CONSTRAINT", "UV_CONFIG_FILE", "UV_LINK_MODE")


def install_inside(
    daemon: Daemon,
    image: str,
    probe: Probe,
    folder: Path,
    words: str,
    arguments: Sequence[str],
    environ: Mapping[str, str],
    authorities: bytes,
    say: Progress,
    stop: Ends,
) -> None:
    """Have uv install into a folder of this machine, from inside a container; blocks.

    Args:
        daemon: an engine that sees the folder.
        image: id of the image.
        probe: what it has.
        folder: the folder, mounted at its own place.
        words: what is installed, for messages.
        arguments: of uv, where the Python is not named.
        environ: variables of uv.
        authorities: certificates of the user's network, if there are any.
        say: called with each line that uv writes.
        stop: gets what ends the work when it is given up.

    Raises:
        ImageBuildError: it cannot be built there either.
    """
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    from flyte_jupyter.daemon import explained

    given = {
        name: value
        for name, value in environ.items()
        if name.startswith(HANDED_OVER) and name not in NOT_THERE
    }
    given |= {"HOME": "/tmp", "UV_CACHE_DIR": "/tmp/uv", "UV_LINK_MODE": "copy", "NO_COLOR": "1"}
    network = network_of(daemon.local, given, *_addresses(given))
    mounts = [(find_uv(), UV, True), (str(folder), str(folder), False)]
    try:
        shop = Workshop(
            daemon,
            image,
            given,
            secret_values(environ),
            authorities,
            network,
            daemon.user(),
            mounts,
        )
        stop.append(shop)
        try:
            command = [UV, *arguments, "--python", probe.python]
            code, lines = shop.run(command, say)
        finally:
            shop.close()
    except (DockerException, RequestException) as error:
        raise explained(error, image=image) from None
    if code != 0:
        cause = failure(words, lines)
        raise ImageBuildError(
            cause.sentence,
            evidence=cause.evidence,
            remedy=cause.remedy + " A compiler is added by with_apt_packages('gcc', 'python3-dev') "
            "before the packages.",
        )


def _addresses(environ: Mapping[str, str]) -> list[str]:
    return [value for name, value in environ.items() if name.startswith("UV_") and "://" in value]
