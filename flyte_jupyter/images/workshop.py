"""A container in which commands are run one after the other, with variables that only they see."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from flyte_jupyter.images.dockerfile import AUTHORITIES, CERTIFICATE_VARIABLES
from flyte_jupyter.images.redaction import redact, secret_values
from flyte_jupyter.images.sharing import Progress

if TYPE_CHECKING:
    from flyte_jupyter.daemon import Daemon

__all__ = ["Workshop"]

KEPT = 40
SHORTEST = 3
RECEIVE = 'mkdir -p "$(dirname "$1")" && head -c "$2" > "$1"'


class Workshop:
    """A container of an image; it ends with this process, whatever becomes of it.

    To be used from one thread; `close` may be called from any.

    Args:
        daemon: the engine.
        image: id of the image.
        environ: variables of the commands; no inspection of the container shows them.
        hidden: values that must not be shown in what the commands write.
        authorities: certificates of the user's network, if there are any.
        network: the network that commands use, empty for the engine's default.
        user: who runs them.
        mounts: (folder of this machine, place in the container, read-only).
    """

    def __init__(
        self,
        daemon: Daemon,
        image: str,
        environ: Mapping[str, str],
        hidden: Iterable[str] = (),
        authorities: bytes = b"",
        network: str = "",
        user: str = "0:0",
        mounts: Iterable[tuple[str, str, bool]] = (),
    ) -> None:
        from flyte_jupyter.daemon.labels import labels

        self._daemon = daemon
        self._user = user
        self._environ = dict(environ)
        shown = [value for value in hidden if len(value) >= SHORTEST]
        self._hidden = (*sorted(shown, key=len, reverse=True), *secret_values())
        self.api = daemon.fresh(None)
        self.container = ""
        self._alive: Any = None
        config = {
            "Image": image,
            "Entrypoint": ["/bin/sh"],
            "Cmd": [],
            "User": "0:0",
            # the shell reads its input, which ends when this process does
            "OpenStdin": True,
            "StdinOnce": True,
            "AttachStdin": True,
            "Labels": labels("build"),
            "HostConfig": {
                "AutoRemove": True,
                "NetworkMode": network or "default",
                "LogConfig": {"Type": "none"},
                "Mounts": [
                    {"Type": "bind", "Source": source, "Target": target, "ReadOnly": read_only}
                    for source, target, read_only in mounts
                ],
            },
        }
        try:
            self.container = self.api.create_container_from_config(config)["Id"]
            self._alive = self.api.attach_socket(self.container, params={"stdin": 1, "stream": 1})
            self.api.start(self.container)
            if authorities:
                self._send(AUTHORITIES, authorities)
                self._environ |= dict.fromkeys(CERTIFICATE_VARIABLES, AUTHORITIES)
        except BaseException:
            self.close()
            raise

    def redacted(self, text: str) -> str:
        """Return a text without what must not be shown."""
        return redact(text, self._hidden)

    def run(self, words: Iterable[str], say: Progress) -> tuple[int, list[str]]:
        """Run one command; return its exit status and the last lines that it wrote.

        Args:
            words: the command.
            say: called with each line that it writes.
        """
        from flyte_jupyter.daemon.streams import Stream

        number = self.api.exec_create(
            self.container, list(words), environment=self._environ, user=self._user
        )["Id"]
        lines: list[str] = []
        rest = ""
        with Stream(self.api.exec_start(number, stream=True)) as pieces:
            for piece in pieces:
                *whole, rest = (rest + piece.decode("utf-8", "replace")).split("\n")
                for line in filter(None, (self.redacted(one.rstrip()) for one in whole)):
                    lines = [*lines[-KEPT + 1 :], line]
                    say(line)
        if rest.strip():
            lines.append(self.redacted(rest.strip()))
        code = self.api.exec_inspect(number)["ExitCode"]
        return (1 if code is None else int(code)), lines

    def close(self) -> None:
        """Remove the container, with what runs in it."""
        from docker.errors import DockerException
        from requests.exceptions import RequestException

        if not self.container:
            self.api.close()
            return
        api = self._daemon.fresh()
        with contextlib.suppress(DockerException, RequestException):
            # it may have removed itself
            api.remove_container(self.container, force=True, v=True)
        api.close()
        if self._alive is not None:
            _hang_up(self._alive)
        self.api.close()

    def _send(self, place: str, data: bytes) -> None:
        """Write a file that is in memory there."""
        words = ["/bin/sh", "-c", RECEIVE, "sh", place, str(len(data))]
        number = self.api.exec_create(self.container, words, stdin=True, user="0:0")["Id"]
        stream = self.api.exec_start(number, socket=True)
        raw = getattr(stream, "_sock", stream)
        raw.sendall(data)
        while raw.recv(4096):
            pass
        _hang_up(stream)


def _hang_up(connection: Any) -> None:
    """Close a connection of the docker package, which the answer that it came with holds open."""
    from flyte_jupyter.daemon.streams import Stream

    Stream((), connection._response).close()
    with contextlib.suppress(OSError, ValueError):
        connection.close()
