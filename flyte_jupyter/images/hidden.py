"""Commands that need secrets while an image is built: run beside the builder, then committed.

A secret is a variable of one process in a container. It is in no layer, in no history and in
nothing that the engine can be asked for; this holds for every engine and every builder.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from flyte_jupyter.images.builds import build_failure, proxies
from flyte_jupyter.images.dockerfile import quoted
from flyte_jupyter.images.sharing import Progress
from flyte_jupyter.images.threads import Ends
from flyte_jupyter.images.workshop import Workshop

if TYPE_CHECKING:
    from flyte_jupyter.daemon import Daemon

__all__ = ["run_hidden"]


def run_hidden(
    daemon: Daemon,
    image: str,
    commands: Iterable[str],
    secrets: Mapping[str, str],
    authorities: bytes,
    tag: str,
    labels: Mapping[str, str],
    say: Progress,
    stop: Ends,
    network: str = "",
) -> None:
    """Run commands in an image and keep what becomes of it; blocks.

    Args:
        daemon: the engine.
        image: id of the image.
        commands: what to run, one after the other, as root.
        secrets: variables that they need, and nobody else may see.
        authorities: certificates of the user's network, if there are any.
        tag: name of the result.
        labels: labels of the result.
        say: called with each command and what it writes.
        stop: gets what ends the work when it is given up.
        network: the network that commands use, empty for the engine's default.

    Raises:
        ImageBuildError: a command failed.
        TargetError: the engine does not answer.
    """
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    from flyte_jupyter.daemon import explained

    environ = {**proxies(), **secrets}
    try:
        was = (daemon.ask(f"/images/{image}/json")[1] or {}).get("Config") or {}
        shop = Workshop(daemon, image, environ, secrets.values(), authorities, network)
        stop.append(shop)
        try:
            for command in commands:
                instruction = shop.redacted(f"RUN {command}")
                say(instruction.splitlines()[0])
                code, lines = shop.run(["/bin/sh", "-c", command], say)
                if code != 0:
                    raise build_failure(instruction, lines, f"exit code: {code}")
            _commit(shop, was, tag, labels)
        finally:
            shop.close()
    except (DockerException, RequestException) as error:
        raise explained(error, image=image) from None


def _commit(shop: Workshop, was: Mapping[str, Any], tag: str, labels: Mapping[str, str]) -> None:
    from flyte_jupyter.daemon.labels import OWNER

    # what was only for the container does not stay
    told = {**labels, OWNER: ""}
    changes = [
        f"ENTRYPOINT {json.dumps(was.get('Entrypoint') or [])}",
        f"CMD {json.dumps(was.get('Cmd') or [])}",
        f"USER {was.get('User') or '0'}",
        *(f"LABEL {quoted(key)}={quoted(value)}" for key, value in told.items()),
    ]
    name, _, mark = tag.rpartition(":")
    where = {"container": shop.container, "repo": name, "tag": mark, "changes": changes}
    answer = shop.api._post_json(shop.api._url("/commit"), data={}, params=where)
    shop.api._result(answer, json=True)
