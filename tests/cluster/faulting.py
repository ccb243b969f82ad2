"""What the tests of faults and the campaign share: tasks, and how something is done to them."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

# how long something may take, in seconds
LIMIT = 90
# What something is done to while it runs: the first attempt of `lasts` does not end by itself
TASKS = """
    import os, time

    @env.task
    def counts(seconds: float) -> int:
        begun, lines = time.monotonic(), 0
        while time.monotonic() - begun < seconds:
            print("line", lines, flush=True)
            lines += 1
            time.sleep(0.05)
        return lines

    @env.task
    def fine() -> int:
        return 1

    @env.task
    def lasts() -> int:
        print("begun", flush=True)
        if not flyte.ctx().attempt_number:
            time.sleep(600)
        return flyte.ctx().attempt_number
"""

# A kernel that is killed, in a cluster that waits for it for a few seconds.
KERNEL = """
    import time
    from datetime import timedelta
    from flyte_jupyter.session import session
    from flyte_jupyter.targets.kubernetes import manifest

    session.SHORTEST_LEASE = timedelta(0)
    manifest.LEFT = 1

    @env.task
    def sleeps():
        print("here", flush=True)
        time.sleep(600)

    if __name__ == "__main__":
        flyte.init(target="kubernetes", namespace="{namespace}", lease={patience})
        run = flyte.run(sleeps)
        run.subscribe(lambda event: event.kind == "log" and print("begun", flush=True))
        run.wait()
"""

# A kernel that is stopped, in a cluster that waits for it for a few seconds.
SLEEPER = """
    import time
    from datetime import timedelta
    from flyte_jupyter.session import session
    from flyte_jupyter.targets.kubernetes import link, manifest

    link.PULSE_SECONDS = 1.0
    session.SHORTEST_LEASE = timedelta(0)
    manifest.LEFT = 1

    @env.task
    def counts() -> int:
        for number in range({seconds} * 10):
            print("line", number, flush=True)
            time.sleep(0.1)
        return number

    if __name__ == "__main__":
        flyte.init(target="kubernetes", namespace="{namespace}", lease={patience})
        run = flyte.run(counts)
        begun = lambda event: event.kind == "log" and event.data["text"].startswith("line 0")
        run.subscribe(lambda event: begun(event) and print("begun", flush=True))
        try:
            print(run.result(), run.logs().count("line"))
        except flyte.errors.FlyteError as error:
            print(error.sentence)
        flyte.shut_down()
"""


def begun(run: Any) -> None:
    """Wait until a run has printed something."""
    printed = threading.Event()
    run.subscribe(lambda event: event.kind in ("log", "end") and printed.set())
    assert printed.wait(LIMIT)
    assert run.phase == "running"


def said_of(run: Any, what: str) -> list[str]:
    """Return what the events of a run have said: ``why`` it waits, or ``sentence`` of errors."""
    return [event.data[what] for event in run.events() if event.data.get(what)]


def pod_of(core: Any, namespace: str, kind: str) -> str:
    """Return the name of the first pod of a kind that runs and is to stay, ``""`` for none."""
    found = core.list_namespaced_pod(namespace, label_selector=f"flyte-jupyter/kind={kind}").items
    for pod in sorted(found, key=lambda pod: pod.metadata.creation_timestamp):
        if pod.status.phase == "Running" and not pod.metadata.deletion_timestamp:
            return str(pod.metadata.name)
    return ""


def ready(core: Any) -> bool:
    """Say whether the node is ready, and open to pods."""
    (node,) = core.list_node().items
    state = {one.type: one.status for one in node.status.conditions}
    return state["Ready"] == "True" and not node.spec.taints


def pull_the_cable(pod: str) -> None:
    """Cut a pod off, without a word to those that it speaks with."""
    for place in Path("/proc").glob("[0-9]*"):
        try:
            named = (place / "root/etc/hostname").read_text().strip()
        except OSError:
            continue
        if named == pod:
            enter = ["nsenter", "-t", place.name, "-n"]
            subprocess.run([*enter, "ip", "link", "set", "eth0", "down"], check=True)
            return
    pytest.skip(f"needs the processes of {pod} on this machine")


class Proxy:
    """Stands between the kernel and the API server, and cuts what goes through it.

    Args:
        server: host and port.
    """

    def __init__(self, server: tuple[str, int]) -> None:
        self._server = server
        self._held: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.carried = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(self._server)
            self._held += [near, far]
            for pair in ((near, far), (far, near)):
                threading.Thread(target=self._carry, args=pair, daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(1 << 16):
                sink.sendall(data)
                self.carried += len(data)
        except OSError:
            pass
        for one in (source, sink):
            one.close()

    def cut(self) -> None:
        """Cut all connections that there are."""
        held, self._held = self._held, []
        for one in held:
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                one.close()

    def close(self) -> None:
        """Take no more, and cut what there is."""
        self._listener.close()
        self.cut()


def proxied(folder: Path) -> tuple[Proxy, Path]:
    """Return a proxy before the API server, and a kubeconfig that goes through it."""
    config = yaml.safe_load(Path(os.environ["KUBECONFIG"]).read_text())
    (cluster,) = config["clusters"]
    url = urlsplit(cluster["cluster"]["server"])
    assert url.hostname
    between = Proxy((url.hostname, url.port or 443))
    cluster["cluster"] |= {
        "server": f"https://127.0.0.1:{between.port}",
        "tls-server-name": url.hostname,
    }
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return between, path


def with_token(folder: Path, token: str) -> str:
    """Return the path of a kubeconfig that knows its user by a token."""
    config = yaml.safe_load(Path(os.environ["KUBECONFIG"]).read_text())
    config["users"][0]["user"] = {"token": token}
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return str(path)
