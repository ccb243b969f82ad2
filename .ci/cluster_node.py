"""The first process of the test cluster's node: a machine within the machine.

It runs in namespaces of its own for processes, mounts and the network, as `cluster.py` starts it.
So nothing that the cluster does meets the engine or the network of the host, and when this process
ends, everything that was started under it ends as well.

It starts the programs, buries the dead, and takes orders at a socket, a line each: ``start NAME``,
``kill NAME``, ``pause NAME``, ``resume NAME`` and ``status``. What dies stays dead until it is
started again; that is what tests of faults are about.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from cluster_files import KUBERNETES, PORT, Cluster, commands
from pythons import run

# what programs of a node write that no one has told them where; each is empty at first
PRIVATE = ("/run", "/var/lib", "/var/log")
# mounts of others that would be kept alive from here
FOREIGN = re.compile(r"/(run|var/lib|var/log)(/|$)")
# what the kubelet sets for the whole machine, which is not its own here
SETTINGS = ("vm/overcommit_memory", "kernel/panic", "kernel/panic_on_oops")
ORDERS = {"kill": signal.SIGKILL, "pause": signal.SIGSTOP, "resume": signal.SIGCONT}


class Node:
    """The programs of the node, by name, and the processes they are.

    Args:
        cluster: What it is the node of.
        program: The binary that holds the programs.
    """

    def __init__(self, cluster: Cluster, program: Path) -> None:
        self.cluster = cluster
        self.commands = commands(cluster, program)
        self.processes: dict[str, int] = {}

    def serve(self) -> None:
        """Carry out orders until the end of this process."""
        woken, wakes = socket.socketpair()
        for end in (woken, wakes):
            end.setblocking(False)
        signal.set_wakeup_fd(wakes.fileno())
        # a handler that does nothing: the signal's number arrives at the socket
        signal.signal(signal.SIGCHLD, lambda *_: None)
        with socket.socket(socket.AF_UNIX) as door:
            door.bind(str(self.cluster.control))
            door.listen()
            while True:
                ready, _, _ = select.select([woken, door], [], [])
                if woken in ready:
                    with contextlib.suppress(BlockingIOError):
                        woken.recv(1024)
                self.bury()
                if door in ready:
                    with contextlib.suppress(OSError):
                        self.answer(door.accept()[0])

    def answer(self, caller: socket.socket) -> None:
        """Carry out one order."""
        with caller, caller.makefile("rw", encoding="utf-8") as lines:
            order, _, name = lines.readline().strip().partition(" ")
            lines.write(self.obey(order, name) + "\n")

    def obey(self, order: str, name: str) -> str:
        """Return what became of an order, ``"ok"`` if it was carried out."""
        if order == "status":
            return " ".join(f"{each}={self.processes.get(each, 0)}" for each in self.commands)
        if name not in self.commands:
            return f"no program is called {name!r}; there are {', '.join(self.commands)}"
        process = self.processes.get(name)
        if order == "start":
            if process is None:
                self.start(name)
            return "ok"
        if order not in ORDERS:
            return f"no order is called {order!r}; there are start, status, {', '.join(ORDERS)}"
        if process is None:
            return f"{name} does not run"
        os.kill(process, ORDERS[order])
        while order == "kill" and name in self.processes:
            self.bury(wait=True)
        return "ok"

    def start(self, name: str) -> None:
        """Start a program; what it says goes to a file of its name."""
        log = self.cluster.folder("logs") / f"{name}.log"
        with log.open("ab") as stream, open(os.devnull, "rb") as nothing:
            started = subprocess.Popen(
                self.commands[name],
                stdin=nothing,
                stdout=stream,
                stderr=stream,
                start_new_session=True,
                cwd=self.cluster.place,
            )
        self.processes[name] = started.pid
        # its end is seen here, with that of all others
        started.returncode = 0

    def bury(self, *, wait: bool = False) -> None:
        """Take the ends of processes, of orphans as well."""
        flags = 0 if wait else os.WNOHANG
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, flags))[0]:
                flags = os.WNOHANG
                for name, process in list(self.processes.items()):
                    if process == ended[0]:
                        del self.processes[name]
                        print(f"{name} ended with {ended[1]}", file=sys.stderr, flush=True)


def main() -> None:
    """Make the machine, tell that it is there, and serve."""
    cluster = Cluster(Path(sys.argv[1]), int(sys.argv[2]))
    separate(cluster)
    # the link to the host is the host's to make
    print("ready for the link", flush=True)
    sys.stdin.readline()
    connect(cluster)
    Node(cluster, Path(sys.argv[3])).serve()


def separate(cluster: Cluster) -> None:
    """Leave what is the host's: its mounts, and settings of the kernel."""
    for point in sorted(mounts(), reverse=True):
        if FOREIGN.match(point):
            # one that an engine has removed in the meantime is gone from here as well
            subprocess.run(["umount", "--lazy", point], capture_output=True, check=False)
    if left := [point for point in mounts() if FOREIGN.match(point)]:
        sys.exit(f"still mounted: {', '.join(left)}")
    for folder in PRIVATE:
        run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", folder])
    for name in SETTINGS:
        path = Path("/proc/sys") / name
        copy = cluster.folder("settings") / path.name
        copy.write_text(path.read_text())
        run(["mount", "--bind", str(copy), str(path)])
    # what a pod mounts can be seen by other containers where it asks for that
    run(["mount", "--make-rshared", "/"])


def mounts() -> Iterator[str]:
    """Yield where something is mounted."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        yield re.sub(r"\\(\d{3})", lambda found: chr(int(found[1], 8)), line.split(" ")[4])


def connect(cluster: Cluster) -> None:
    """Set up the node's network."""
    for command in (
        "ip link set lo up",
        f"ip address add {cluster.node}/30 dev eth0",
        "ip link set eth0 up",
        f"ip route add default via {cluster.host}",
        # the API as pods know it, which needs no proxy on the node
        f"iptables -t nat -A PREROUTING -d {KUBERNETES} -p tcp --dport 443"
        f" -j DNAT --to-destination {cluster.node}:{PORT}",
    ):
        run(command.split())
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")


if __name__ == "__main__":
    main()
