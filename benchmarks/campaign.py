"""A campaign on `docker`: calls that end well and badly, interrupts, killed kernels; what is left.

    python benchmarks/campaign.py > benchmarks/campaign.md

Needs a Docker engine with the default base image. Ends with 1 if a call ended otherwise than it had
to, or if anything is left. Numbers of calls, failing ones, interrupts and kills can be given.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from flyte_jupyter.daemon import connect

KERNEL = Path(__file__).with_name("campaign_kernel.py")
OWNER = "flyte_jupyter.owner"
# a kernel that was killed leaves nothing after so many seconds
GONE = 15.0
SEGMENTS = Path("/dev/shm")


@dataclass
class Report:
    """What happened and what is left of it.

    Args:
        calls: how many calls of each kind were made.
        wrong: of calls that did not end as they had to, how they ended.
        interrupted: runs that an interrupt ended.
        killed: kernels that were killed.
        left: names of what is left, by kind.
        seconds: how long all of it took; after the last kernel until nothing was left.
    """

    calls: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    interrupted: int = 0
    killed: int = 0
    left: dict[str, list[str]] = field(default_factory=dict)
    seconds: tuple[float, float] = (0.0, 0.0)


class Campaign:
    """A campaign in a home of its own.

    Args:
        home: folder of state and caches.
        temporary: the kernels' folder of temporary files.
    """

    def __init__(self, home: Path, temporary: Path) -> None:
        self._environ = {**os.environ, "FLYTE_JUPYTER_HOME": str(home), "TMPDIR": str(temporary)}
        self._home = home
        self._temporary = temporary
        self._daemon = connect()
        self._pids: set[int] = set()
        self._images = self._listed("images")
        self._segments = self._names(SEGMENTS)
        self.report = Report()

    def run(self, calls: int, failing: int, interrupts: int, kills: int) -> Report:
        """Do all of it and return the report."""
        start = time.monotonic()
        found = json.loads(self._kernel("work", calls, failing).communicate()[0])
        self.report.calls, self.report.wrong = found["counts"], found["wrong"]
        self._interrupt(interrupts)
        for _ in range(kills):
            kernel = self._kernel("nap", 1)
            assert kernel.stdout is not None
            assert kernel.stdout.readline() == "up\n"
            # what is to be gone afterwards can be seen now
            assert len(self._listed("containers")) >= 3
            kernel.send_signal(signal.SIGKILL)
            kernel.communicate()
            self.report.killed += 1
        end = time.monotonic()
        while any((left := self._left()).values()) and time.monotonic() < end + GONE:
            time.sleep(0.05)
        left["descriptors"] = [f"{found['descriptors']} more"] if found["descriptors"] > 0 else []
        self.report.left = left
        self.report.seconds = (time.monotonic() - start, time.monotonic() - end)
        self._daemon.close()
        return self.report

    def _interrupt(self, times: int) -> None:
        kernel = self._kernel("nap", times)
        assert kernel.stdout is not None
        for _ in range(times):
            assert kernel.stdout.readline() == "up\n"
            kernel.send_signal(signal.SIGINT)
            self.report.interrupted += kernel.stdout.readline() == "aborted\n"
        kernel.communicate()

    def _kernel(self, *arguments: object) -> subprocess.Popen[str]:
        kernel = subprocess.Popen(
            [sys.executable, str(KERNEL), *map(str, arguments)],
            env=self._environ,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._pids.add(kernel.pid)
        return kernel

    # what is left

    def _left(self) -> dict[str, list[str]]:
        return {
            "containers": self._listed("containers"),
            "networks": self._listed("networks"),
            "volumes": self._listed("volumes"),
            "images": [name for name in self._listed("images") if name not in self._images],
            "temporary files": self._names(self._temporary) + self._owned(),
            "shared segments": [
                name for name in self._names(SEGMENTS) if name not in self._segments
            ],
        }

    def _listed(self, kind: str) -> list[str]:
        """Return what the engine has of the campaign's kernels; of images all that are ours."""
        api, ours = self._daemon.api, {"label": OWNER}
        if kind == "images":
            return [row["Id"] for row in api.images(all=True, filters=ours)]
        if kind == "containers":
            rows = api.containers(all=True, filters=ours)
        elif kind == "networks":
            rows = api.networks(filters=ours)
        else:
            rows = api.volumes(filters=ours)["Volumes"] or []
        pids = {f":{pid}:" for pid in self._pids}
        return [
            str(row.get("Names") or row["Name"])
            for row in rows
            if any(pid in row["Labels"][OWNER] for pid in pids)
        ]

    def _owned(self) -> list[str]:
        """Return what lies in the home under the name of one of the kernels."""
        pids = {f"+{pid}+" for pid in self._pids}
        return [str(path) for path in self._home.rglob("*+*") if any(p in path.name for p in pids)]

    @staticmethod
    def _names(folder: Path) -> list[str]:
        return sorted(str(path) for path in folder.rglob("*")) if folder.exists() else []


def campaign(calls: int, failing: int, interrupts: int, kills: int) -> Report:
    """Run a campaign in folders of its own and return its report."""
    with tempfile.TemporaryDirectory() as home, tempfile.TemporaryDirectory() as temporary:
        return Campaign(Path(home), Path(temporary)).run(calls, failing, interrupts, kills)


WORDS = {
    "good": "in a container of its own, succeeds",
    "again": "in one of two warm containers, succeeds",
    "raises": "raises an exception",
    "exits": "`os._exit(7)`",
    "dies": "is ended by a signal",
    "eats": "uses more memory than its limit",
    "lasts": "exceeds its timeout",
}


def table(report: Report) -> str:
    """Return the report as Markdown."""
    rows = [(f"calls: {WORDS[name]}", str(number)) for name, number in report.calls.items()]
    rows.sort(key=lambda row: list(WORDS.values()).index(row[0].removeprefix("calls: ")))
    rows += [
        ("calls that ended otherwise than they had to", str(len(report.wrong))),
        ("runs interrupted, three containers at work in each", str(report.interrupted)),
        ("kernels killed with `kill -9`, three containers at work in each", str(report.killed)),
        *((f"left: {kind}", str(len(names))) for kind, names in report.left.items()),
        ("seconds in all", f"{report.seconds[0]:.0f}"),
        ("seconds after the last kernel until nothing was left", f"{report.seconds[1]:.1f}"),
    ]
    lines = ["| what | number |", "| --- | --- |", *(f"| {what} | {n} |" for what, n in rows)]
    return "\n".join(lines)


def main(numbers: list[str]) -> int:
    """Run the campaign and print its table."""
    report = campaign(*map(int, numbers or ("1000", "200", "20", "5")))
    print("# Campaign on `docker`\n")
    print("Made by `python benchmarks/campaign.py`.\n")
    print(table(report))
    left = [name for names in report.left.values() for name in names]
    print(*report.wrong, *left, sep="\n", file=sys.stderr)
    return 1 if report.wrong or left else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
