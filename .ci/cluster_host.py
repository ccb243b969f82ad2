"""The place of the test cluster on the host: namespaces, a link, control groups, three rules.

The node is a set of namespaces with a first process (`cluster_node.py`). What of it can be seen
from outside is made here, and removed here.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from cluster_build import cache
from cluster_files import Cluster, write
from pythons import run

HERE = Path(__file__).parent
# how long anything may take, in seconds
LIMIT = 60.0
CGROUPS = Path("/sys/fs/cgroup")
FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
NAMESPACES = "--mount --propagation private --net --pid --fork --kill-child --mount-proc --ipc"


def begin(place: Path, program: Path) -> Cluster:
    """Make a node on which nothing runs yet, in a folder that is not there yet."""
    place.mkdir(mode=0o700, parents=True)
    with open(cache() / "cluster.lock", "w") as lock:
        # two at once would take the same number
        fcntl.flock(lock, fcntl.LOCK_EX)
        cluster = Cluster(place, min(set(range(256)) - taken()))
        (place / "number").write_text(str(cluster.number))
        mtu = network_mtu()
        write(cluster, mtu)
        for group in groups(cluster):
            make_group(group)
        separate(cluster, program, mtu)
    run(f"ip route add {cluster.pods} via {cluster.node}".split())
    for rule in rules(cluster):
        run(rule.split())
    if FORWARDING.read_text().strip() == "0":
        # the last cluster puts it back
        (place / "forwarding").touch()
        FORWARDING.write_text("1")
    wait_for("the node", cluster.control.exists)
    return cluster


def end(place: Path) -> None:
    """End a node, and remove all that was its own; what is missing already is no matter."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        kill(int((place / "process").read_text()), place)
    if (place / "number").exists():
        cluster = Cluster(place, int((place / "number").read_text()))
        # gone with the node's network, but not at once
        subprocess.run(["ip", "link", "delete", cluster.link], capture_output=True, check=False)
        for rule in rules(cluster):
            subprocess.run(rule.replace(" -I ", " -D ").split(), capture_output=True, check=False)
        for group in groups(cluster):
            wait_for(f"the end of {group}", lambda group=group: removed(group))
    if (place / "forwarding").exists() and not taken():
        FORWARDING.write_text("0")
    if place.exists():
        shutil.rmtree(place)


def separate(cluster: Cluster, program: Path, mtu: int) -> None:
    """Start the node's first process in namespaces of its own, and link its network to ours."""
    inside = [sys.executable, HERE / "cluster_node.py", cluster.place, cluster.number, program]
    with (cluster.place / "node.log").open("wb") as log:
        node = subprocess.Popen(
            ["unshare", *NAMESPACES.split(), "--", *map(str, inside)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
            bufsize=0,
        )
    (cluster.place / "process").write_text(str(node.pid))
    assert node.stdin
    assert node.stdout
    with node.stdin, node.stdout:
        if not read_line(node.stdout):
            raise RuntimeError("the node did not come into being")
        peer = f"mtu {mtu} type veth peer name eth0 mtu {mtu} netns {node.pid}"
        run(f"ip link add {cluster.link} {peer}".split())
        run(f"ip address add {cluster.host}/30 dev {cluster.link}".split())
        run(f"ip link set {cluster.link} up".split())
        node.stdin.write(b"\n")
    # it outlives this process, which is not the one that waits for its end
    node.returncode = 0


def taken() -> set[int]:
    """Return the numbers of the clusters that are there."""
    links = {each["ifname"] for each in json.loads(run(["ip", "-json", "link"]))}
    return {number for number in range(256) if Cluster(HERE, number).link in links}


def kill(process: int, place: Path) -> None:
    """End a node: what was started under its first process ends with that one."""
    handle = os.pidfd_open(process)
    try:
        # the number may have passed to another since
        if os.fsencode(place) in Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0"):
            own = Path(f"/proc/{process}/task/{process}/children").read_text().split()
            for each in own or [str(process)]:
                os.kill(int(each), signal.SIGKILL)
            select.select([handle], [], [], LIMIT)
    finally:
        os.close(handle)


def read_line(stream: IO[bytes]) -> bytes:
    """Return a line, or nothing if none comes in time."""
    ready, _, _ = select.select([stream], [], [], LIMIT)
    return stream.readline() if ready else b""


def rules(cluster: Cluster) -> Iterator[str]:
    """Yield the commands that let pods go where the host can go, before what others forbid."""
    link = cluster.link
    yield f"iptables -w -I FORWARD -i {link} -j ACCEPT"
    yield f"iptables -w -I FORWARD -o {link} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"
    yield f"iptables -w -t nat -I POSTROUTING -s {cluster.node}/32 ! -o {link} -j MASQUERADE"


def network_mtu() -> int:
    """Return the size of what the host's way out lets pass, in bytes."""
    ways = json.loads(run(["ip", "-json", "route", "show", "default"]) or "[]")
    if not ways:
        return 1500
    return int(json.loads(run(["ip", "-json", "link", "show", ways[0]["dev"]]))[0]["mtu"])


def groups(cluster: Cluster) -> Iterator[Path]:
    """Yield the control groups of the cluster, one in each hierarchy."""
    if (CGROUPS / "cgroup.controllers").exists():
        yield CGROUPS / cluster.cgroup
        return
    for path in sorted(CGROUPS.iterdir()):
        if path.is_dir() and not path.is_symlink() and os.path.ismount(path):
            yield path / cluster.cgroup


def make_group(group: Path) -> None:
    """Make a control group that others can be made in."""
    group.mkdir(exist_ok=True)
    for name in ("cpuset.mems", "cpuset.cpus"):
        if (group.parent / name).exists():
            (group / name).write_text((group.parent / name).read_text())


def removed(group: Path) -> bool:
    """Remove a control group and those in it, and say whether they are gone."""
    for folder, _, _ in os.walk(group, topdown=False):
        # a process of it that has ended may still be there for a moment
        with contextlib.suppress(OSError):
            os.rmdir(folder)
    return not group.exists()


def order(cluster: Cluster, line: str) -> str:
    """Have the node carry out an order, and return its answer."""
    with socket.socket(socket.AF_UNIX) as caller:
        caller.settimeout(LIMIT)
        caller.connect(str(cluster.control))
        with caller.makefile("rw", encoding="utf-8") as lines:
            lines.write(line + "\n")
            lines.flush()
            answer = lines.readline().strip()
    if line != "status" and answer != "ok":
        sys.exit(answer or f"the node did not answer to {line!r}")
    return answer


def wait_for(what: str, there: Callable[[], object]) -> None:
    """Wait until something is there."""
    limit = time.monotonic() + LIMIT
    while not there():
        if time.monotonic() > limit:
            raise TimeoutError(f"{what} did not come within {LIMIT:.0f} s")
        time.sleep(0.05)
