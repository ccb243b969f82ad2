"""Kueue, the queues of a Kubernetes cluster, beside the test cluster.

Its manager is built from its Go module, `tests/cluster/kueue`, and runs on the node as the
cluster's own programs do. What it would bring for kinds of jobs that the tests do not use, it is
not asked for.
"""

from __future__ import annotations

import base64
import contextlib
import json
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cluster_build import SOURCES, built, go, make, programs
from cluster_files import KUEUE_PORT, KUEUE_READY, Cluster, certificate
from cluster_host import order, wait_for
from pythons import say

MODULE, PACKAGE = "sigs.k8s.io/kueue", "sigs.k8s.io/kueue/cmd/kueue"
GROUP = "kueue.x-k8s.io"
# the kinds that it is asked about: its own, and those of the integrations
ASKED = re.compile(rf"-(?:{GROUP.replace('.', '-')}-.*|-v1-pod|batch-v1-job)$")
APART = ("kube-system", "kueue-system")
WEBHOOKS = ("mutatingwebhookconfigurations", "validatingwebhookconfigurations")
NAME = "kueue"


def program() -> Path:
    """Return the folder with the manager and what it needs in a cluster, made if it is missing."""
    return built("kueue", SOURCES / "kueue", build)


def build(place: Path) -> None:
    """Build the manager, and keep what its module says of its kinds and of who asks it."""
    start = time.monotonic()
    module = SOURCES / "kueue"
    go(module, "mod", "download", MODULE)
    version, source = go(module, "list", "-m", "-f", "{{.Version}} {{.Dir}}", MODULE).split()
    say(f"building Kueue {version}, once: some ten minutes of processor time")
    make(module, PACKAGE, place / "manager", {f"{MODULE}/pkg/version.GitVersion": version})
    components = Path(source) / "config" / "components"
    for name in ("crd/bases", "webhook"):
        shutil.copytree(components / name, place / name.split("/")[0])
    say(f"built Kueue {version} in {time.monotonic() - start:.0f} s")


def start(cluster: Cluster) -> None:
    """Have Kueue in a cluster, unless it is there."""
    began = time.monotonic()
    kept = program()
    place = cluster.folder("kueue")
    write(cluster, place, kept)
    kubectl(cluster, "apply", "--server-side", "-f", str(kept / "crd"))
    kinds = [f"customresourcedefinition/{name}" for name in names(cluster)]
    kubectl(cluster, "wait", "--for=condition=Established", "--timeout=60s", *kinds)
    order(cluster, "start kueue")
    wait_for("Kueue", lambda: ready(cluster))
    # who is asked before it answers would refuse every pod
    kubectl(cluster, "apply", "--server-side", "-f", "-", given=json.dumps(webhooks(cluster, kept)))
    say(f"Kueue is up after {time.monotonic() - began:.1f} s")


def end(cluster: Cluster) -> None:
    """Remove Kueue from a cluster, with all of its objects; nothing happens where there is none."""
    began = time.monotonic()
    for kind in WEBHOOKS:
        kubectl(cluster, "delete", kind, NAME, "--ignore-not-found")
    if order(cluster, "status").find("kueue=0") < 0:
        order(cluster, "kill kueue")
    kinds = names(cluster)
    # nobody is left who would take his hold off them
    release(cluster, "pods", "-l", f"{GROUP}/managed=true")
    if kinds:
        release(cluster, ",".join(kinds))
        kubectl(cluster, "delete", "customresourcedefinition", *kinds)
    say(f"Kueue is gone after {time.monotonic() - began:.1f} s")


def write(cluster: Cluster, place: Path, kept: Path) -> None:
    """Write what the manager reads."""
    certificate(cluster, NAME, f"/CN={NAME}", f"subjectAltName=IP:{cluster.node}")
    own = cluster.place / "config"
    for folder in (cluster.folder("kueue/certs"), cluster.folder("kueue/etc/kueue/metrics/certs")):
        for name in ("crt", "key"):
            shutil.copy(own / f"{NAME}.{name}", folder / f"tls.{name}")
    (place / "manager").unlink(missing_ok=True)
    (place / "manager").symlink_to(kept / "manager")
    settings = {
        "apiVersion": f"config.{GROUP}/v1beta2",
        "kind": "Configuration",
        "health": {"healthProbeBindAddress": f":{KUEUE_READY}"},
        "metrics": {"bindAddress": "0"},
        "webhook": {"port": KUEUE_PORT, "certDir": str(place / "certs")},
        "leaderElection": {"leaderElect": False},
        "internalCertManagement": {"enable": False},
        "integrations": {"frameworks": ["batch/job", "pod"]},
        "featureGates": {"VisibilityOnDemand": False},
    }
    (place / "config.json").write_text(json.dumps(settings))


def webhooks(cluster: Cluster, kept: Path) -> dict[str, Any]:
    """Return who is to be asked about what, at the address that the manager has here."""
    text = (kept / "webhook" / "manifests.yaml").read_text()
    read = kubectl(cluster, "create", "--dry-run=client", "-o", "json", "-f", "-", given=text)
    authority = base64.b64encode((cluster.place / "config" / "ca.crt").read_bytes()).decode()
    found = []
    for one in parts(read):
        asked = []
        for each in one["webhooks"]:
            path = each["clientConfig"].pop("service")["path"]
            if not ASKED.search(path):
                continue
            url = f"https://{cluster.node}:{KUEUE_PORT}{path}"
            each["clientConfig"] = {"url": url, "caBundle": authority}
            if not any(GROUP in rule["apiGroups"] for rule in each["rules"]):
                others = {"key": "kubernetes.io/metadata.name", "operator": "NotIn"}
                selector = {"matchExpressions": [{**others, "values": list(APART)}]}
                each["namespaceSelector"] = selector
            asked.append(each)
        found.append({**one, "metadata": {"name": NAME}, "webhooks": asked})
    return {"apiVersion": "v1", "kind": "List", "items": found}


def parts(text: str) -> Iterator[dict[str, Any]]:
    """Yield the objects that kubectl writes one after the other."""
    decoder, place = json.JSONDecoder(), 0
    while text[place:].strip():
        value, length = decoder.raw_decode(text[place:].lstrip())
        place = len(text) - len(text[place:].lstrip()) + length
        yield from value["items"] if value["kind"] == "List" else [value]


def names(cluster: Cluster) -> list[str]:
    """Return the names of its kinds that the cluster knows."""
    found = kubectl(cluster, "get", "customresourcedefinitions", "-o", "name").split()
    return [name.split("/")[1] for name in found if name.endswith(f".{GROUP}")]


def release(cluster: Cluster, *which: str) -> None:
    """Take the hold off objects, so that they can be removed."""
    off = ["--type=merge", "-p", '{"metadata":{"finalizers":null}}']
    for one in parts(kubectl(cluster, "get", *which, "-A", "-o", "json")):
        metadata = one["metadata"]
        if metadata.get("finalizers"):
            where = ["-n", metadata["namespace"]] if "namespace" in metadata else []
            kubectl(cluster, "patch", f"{kind_of(one)}/{metadata['name']}", *where, *off)


def kind_of(one: dict[str, Any]) -> str:
    """Return the kind of an object, as kubectl takes it."""
    group = one["apiVersion"].rpartition("/")[0]
    return ".".join(filter(None, (one["kind"].lower(), group)))


def ready(cluster: Cluster) -> bool:
    """Say whether the manager answers."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    address = f"http://{cluster.node}:{KUEUE_READY}/readyz"
    with contextlib.suppress(urllib.error.URLError, OSError):
        return bool(opener.open(address, timeout=5).status == 200)
    return False


def kubectl(cluster: Cluster, *words: str, given: str | None = None) -> str:
    """Return what kubectl writes; end with what it complains about."""
    command = [str(programs() / "cluster"), "kubectl", "--kubeconfig", str(cluster.kubeconfig)]
    done = subprocess.run(
        [*command, *words], input=given, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        sys.exit(f"{' '.join(words)}\n{done.stdout}{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    print(program())
