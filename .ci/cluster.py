"""A Kubernetes cluster of one node for the tests: up, down, and what a test of faults asks of it.

Usage::

    export KUBECONFIG=$(python .ci/cluster.py up)
    python .ci/cluster.py load my-image:tag      # an image of the Docker engine's, for pods
    python .ci/cluster.py kill kube-apiserver    # or pause, resume, start
    python .ci/cluster.py kueue up               # or down: the queues of Kueue
    python .ci/cluster.py down

The node is a set of namespaces on this machine: its processes, mounts, network and control groups
are its own and end with it. On the host stand one end of a link, a route to the pods, and three
rules that let pods go where the host can go. Several clusters, each in a folder of its own
(``--place``), are side by side.

It has to be root, on Linux. The programs are built once (`cluster_build.py`); the images come from
the Docker engine, there being no registry: those that `base_images.py` makes, as far as they are
there.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cluster_kueue
from cluster_build import programs
from cluster_files import NODE, Cluster
from cluster_host import begin, end, order, wait_for
from cluster_images import fill, load, serve
from pythons import run, say

PLACE = Path(tempfile.gettempdir()) / "flyte_jupyter-cluster"
# what is looked for, and Debian's package of it
PACKAGES = {
    "containerd": "containerd",
    "runc": "runc",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
    "ip": "iproute2",
    "iptables": "iptables",
    "openssl": "openssl",
    "unshare": "util-linux",
}


def main() -> int:
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--place", type=Path, default=PLACE, help="the cluster's folder")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("up", help="start it, and print the path of its kubeconfig")
    verbs.add_parser("down", help="end it, and remove what was its own")
    verbs.add_parser("status", help="print the process of each program, 0 if it does not run")
    verbs.add_parser("load", help="bring images of the Docker engine's").add_argument(
        "what", nargs="+", metavar="IMAGE"
    )
    for verb in ("start", "kill", "pause", "resume"):
        verbs.add_parser(verb, help=f"{verb} programs").add_argument("what", nargs="+")
    verbs.add_parser("kueue", help="have Kueue in it, or remove it again").add_argument(
        "what", choices=("up", "down")
    )
    given = parser.parse_args()
    os.environ["PATH"] += os.pathsep + "/usr/sbin:/sbin"
    place = given.place.absolute()
    if given.verb == "up":
        print(up(place))
    elif given.verb == "down":
        down(place)
    elif given.verb == "load":
        load(there(place), given.what)
    elif given.verb == "kueue":
        (cluster_kueue.start if given.what == "up" else cluster_kueue.end)(there(place))
    elif given.verb == "status":
        print(order(there(place), "status"))
    else:
        for name in given.what:
            order(there(place), f"{given.verb} {name}")
    return 0


def up(place: Path) -> Path:
    """Start a cluster unless it runs, and return the path of its kubeconfig."""
    if os.geteuid() != 0:
        sys.exit("the test cluster has to be started by root")
    if running(place):
        return there(place).kubeconfig
    packages()
    binaries = programs()
    down(place)
    start = time.monotonic()
    try:
        cluster = begin(place, binaries / "cluster")
        with ThreadPoolExecutor() as pool:
            runtime = pool.submit(bring, cluster, binaries)
            control_plane(cluster)
            runtime.result()
        order(cluster, "start kubelet")
        wait_for("a node that is ready", lambda: ready(cluster))
        wait_for("the account of pods", lambda: account(cluster))
    except BaseException:
        told(place)
        down(place)
        raise
    say(f"the cluster is up after {time.monotonic() - start:.1f} s")
    return cluster.kubeconfig


def down(place: Path) -> None:
    """End a cluster; nothing happens where there is none."""
    if place.exists():
        start = time.monotonic()
        end(place)
        say(f"the cluster is down after {time.monotonic() - start:.1f} s")


def bring(cluster: Cluster, binaries: Path) -> None:
    """Start the container runtime with its images."""
    fill(cluster, binaries)
    serve(cluster)


def there(place: Path) -> Cluster:
    """Return the cluster of a folder."""
    try:
        return Cluster(place, int((place / "number").read_text()))
    except FileNotFoundError:
        sys.exit(f"there is no cluster in {place}: python .ci/cluster.py up")


def running(place: Path) -> bool:
    """Say whether the node of a cluster is there."""
    try:
        return order(there(place), "status") != ""
    except (OSError, SystemExit):
        return False


def packages() -> None:
    """Install what a node is made of, where it is missing."""
    missing = [package for name, package in PACKAGES.items() if not shutil.which(name)]
    if not missing:
        return
    if not shutil.which("apt-get"):
        sys.exit(f"the test cluster needs {', '.join(missing)}")
    run(["apt-get", "update", "-qq"])
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing]
    subprocess.run(install, env=environment, stdout=subprocess.DEVNULL, check=True)


def control_plane(cluster: Cluster) -> None:
    """Start the programs in their order."""
    for name in ("etcd", "kube-apiserver"):
        order(cluster, f"start {name}")
    # the roles of the others are made before it says so
    wait_for("the API", lambda: api(cluster, "/readyz") == b"ok")
    for name in ("kube-controller-manager", "kube-scheduler"):
        order(cluster, f"start {name}")


def ready(cluster: Cluster) -> bool:
    """Say whether the node takes pods."""
    node = json.loads(api(cluster, f"/api/v1/nodes/{NODE}") or "{}")
    conditions = node.get("status", {}).get("conditions", ())
    found = {each["type"]: each["status"] for each in conditions}
    return found.get("Ready") == "True" and not node["spec"].get("taints")


def account(cluster: Cluster) -> bool:
    """Say whether a pod can be made in the namespace `default`."""
    path = "/api/v1/namespaces/default/serviceaccounts/default"
    return bool(api(cluster, path))


def api(cluster: Cluster, path: str) -> bytes:
    """Return what the API says, nothing if it does not answer or refuses."""
    known = json.loads(cluster.kubeconfig.read_text())
    context = ssl.create_default_context(cafile=str(cluster.place / "config" / "ca.crt"))
    token = known["users"][0]["user"]["token"]
    asked = urllib.request.Request(
        cluster.server + path, headers={"Authorization": f"Bearer {token}"}
    )
    # the machine's proxy is not for what is on the machine
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
    )
    try:
        with opener.open(asked, timeout=5) as answer:
            return bytes(answer.read())
    except (urllib.error.URLError, OSError):
        return b""


def told(place: Path) -> None:
    """Show the last words of every program."""
    for log in sorted([*place.glob("*.log"), *place.glob("logs/*.log")]):
        last = log.read_text(errors="replace").splitlines()[-15:]
        say("\n".join([f"== {log.name}", *last]))


if __name__ == "__main__":
    sys.exit(main())
