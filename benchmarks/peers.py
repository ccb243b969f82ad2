"""Peers, each a process of its own in a virtual environment of its own, asked for one thing a time.

flyte_jupyter itself installs them, outside of the clone; without a package index they are left out.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import flyte_jupyter as flyte
from flyte_jupyter.images import VirtualEnvironments
from flyte_jupyter.store.folders import cache_folder

PROGRAM = Path(__file__).with_name("peer_program.py")
PACKAGES = {
    "process pool": ("numpy",),
    "loky": ("loky", "numpy"),
    "Dask": ("distributed", "numpy"),
    "Ray": ("ray", "numpy"),
    "Flyte": ("flyte==2.12.1", "numpy"),
}


class Peer:
    """A peer that is up.

    Attributes:
        ready: seconds from the end of its import until the first call had come back.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.ready: list[float] = self._answer()["ready"]

    def _answer(self):
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"it ended with {self._process.wait()}")
        return json.loads(line)

    def times(self, what: str, count: int, size: int = 0) -> list[float]:
        """Return the seconds that each of so many took.

        Args:
            what: ``"calls"`` one after the other, ``"many"`` at once, ``"arrays"`` there and back,
                or ``"references"``: an array that is there already.
            count: how often.
            size: calls at once.
        """
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": what, "count": count, "size": size}) + "\n")
        self._process.stdin.flush()
        return self._answer()


@contextmanager
def peers(*names: str) -> Iterator[dict[str, Peer]]:
    """Give those of the peers that can be installed and started, and end them afterwards."""
    with ExitStack() as stack:
        found = {}
        for name in names:
            python = installed(name)
            if python is None:
                continue
            process = subprocess.Popen(
                [python, str(PROGRAM), name],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            stack.callback(process.communicate)
            try:
                found[name] = Peer(process)
            except RuntimeError as error:
                print(f"{name} does not start: {error}", file=sys.stderr)
        yield found


def installed(name: str) -> str | None:
    """Return the Python that has a peer, ``None`` if it cannot be had."""
    image = flyte.Image.from_debian_base().with_pip_packages(*PACKAGES[name])
    try:
        return asyncio.run(VirtualEnvironments(cache_folder()).prepare(image)).python
    except flyte.errors.ImageBuildError as error:
        print(f"{name} cannot be installed: {error}", file=sys.stderr)
        return None
