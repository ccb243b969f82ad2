"""What removes from an engine what a killed kernel leaves there.

Containers end by themselves when their kernel is gone. Some things cannot: a container that was
created and not started yet, one whose socket a process that the kernel has forked holds open, the
folder of the socket.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from flyte_jupyter.daemon.endpoints import Endpoint
from flyte_jupyter.daemon.labels import OWNER
from flyte_jupyter.store.owners import owner
from flyte_jupyter.targets.janitor import Janitor

__all__ = ["janitor"]

PROGRAM = """\
import http.client, shutil
from urllib.parse import quote

def ask(method, path):
    from flyte_jupyter.daemon.dial import dial
    from flyte_jupyter.daemon.endpoints import Endpoint

    engine = http.client.HTTPConnection("docker")
    engine.sock = dial(Endpoint(**told["engine"]), 20)
    try:
        engine.request(method, path)
        return engine.getresponse().read()
    finally:
        engine.close()

def tidy():
    label = quote(json.dumps({"label": [told["label"]]}))
    found = json.loads(ask("GET", "/containers/json?all=1&filters=" + label))
    for one in found:
        ask("DELETE", "/containers/" + one["Id"] + "?force=1&v=1")
    return not found

for folder in told["folders"]:
    shutil.rmtree(folder, ignore_errors=True)
clean, until = 0, time.monotonic() + 60
while clean < 3 and time.monotonic() < until:
    try:
        clean = clean + 1 if tidy() else 0
    except (OSError, ValueError, http.client.HTTPException):
        clean = 0
    time.sleep(0.3)
"""


def janitor(engine: Endpoint, folders: Sequence[str]) -> Janitor:
    """Return a process that tidies an engine up once this one has ended.

    Args:
        engine: where it listens.
        folders: removed, if they are there.
    """
    label = f"{OWNER}={owner()}"
    return Janitor(PROGRAM, {"engine": asdict(engine), "label": label, "folders": list(folders)})
