"""What the programs of the test cluster are told: addresses, certificates, configuration.

All of it is a function of the cluster's folder and of its number among the clusters of this
machine. A program of the cluster shows who it is by a token; certificates are for servers, and for
the API server where it calls the kubelet.
"""

from __future__ import annotations

import base64
import json
import secrets
from dataclasses import dataclass
from pathlib import Path

from pythons import run

NODE = "node1"
PORT = 6443
# where Kueue says whether it is ready, and where the API server asks it
KUEUE_READY, KUEUE_PORT = 8081, 9443
PAUSE = "flyte-jupyter.invalid/pause:1"
CONTEXT = "flyte-jupyter-test"
DAYS = "30"
CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
SERVICES, KUBERNETES = "10.252.0.0/24", "10.252.0.1"
# user and groups, as the API server's built-in roles name them
USERS = {
    "admin": ("admin", "system:masters"),
    "kube-controller-manager": ("system:kube-controller-manager", ""),
    "kube-scheduler": ("system:kube-scheduler", ""),
    "kubelet": (f"system:node:{NODE}", "system:nodes"),
}


@dataclass(frozen=True)
class Cluster:
    """Where a cluster has its files, and what its network is.

    Args:
        place: Its folder.
        number: Which of this machine's clusters it is, from 0 to 255.
    """

    place: Path
    number: int

    @property
    def link(self) -> str:
        """The name of the host's end of the link between host and node."""
        return f"fjkube{self.number}"

    @property
    def host(self) -> str:
        """The host's address on the link."""
        return f"10.251.{self.number}.1"

    @property
    def node(self) -> str:
        """The node's address."""
        return f"10.251.{self.number}.2"

    @property
    def pods(self) -> str:
        """The addresses of pods."""
        return f"10.250.{self.number}.0/24"

    @property
    def cgroup(self) -> str:
        """The cgroup that all pods are in."""
        return f"flyte-jupyter-cluster-{self.number}"

    @property
    def server(self) -> str:
        """The address of the API."""
        return f"https://{self.node}:{PORT}"

    @property
    def kubeconfig(self) -> Path:
        """The configuration of a client that may do everything."""
        return self.place / "kubeconfig"

    @property
    def runtime(self) -> Path:
        """The socket of the container runtime."""
        return self.place / "containerd.sock"

    @property
    def control(self) -> Path:
        """The socket at which the node takes orders."""
        return self.place / "control.sock"

    @property
    def registries(self) -> Path:
        """The folder of what the container runtime knows of registries; read at each pull."""
        return self.place / "config" / "registries"

    def folder(self, name: str) -> Path:
        """Return a folder of the cluster, made if it is missing."""
        path = self.place / name
        path.mkdir(parents=True, exist_ok=True)
        return path


def write(cluster: Cluster, mtu: int) -> None:
    """Write all that the programs read.

    Args:
        cluster: Whose files they are.
        mtu: What passes the host's own network, in bytes.
    """
    place = cluster.folder("config")
    certificates(cluster)
    tokens = {name: secrets.token_hex(16) for name in USERS}
    rows = [f'{tokens[name]},{user},{name},"{groups}"' for name, (user, groups) in USERS.items()]
    (place / "tokens.csv").write_text("\n".join(rows) + "\n")
    for name, token in tokens.items():
        path = cluster.kubeconfig if name == "admin" else place / f"{name}.kubeconfig"
        path.write_text(kubeconfig(cluster, token))
        path.chmod(0o600)
    (place / "kubelet.json").write_text(json.dumps(kubelet(cluster), indent=1))
    (cluster.folder("config/cni") / "10-bridge.conflist").write_text(network(cluster, mtu))
    (place / "containerd.toml").write_text(containerd(cluster))
    # what the link of the host's own leads to may be hidden from the node
    (place / "resolv.conf").write_text(Path("/etc/resolv.conf").read_text())


def certificates(cluster: Cluster) -> None:
    """Make an authority, the API server's two certificates and the key of service accounts."""
    place = cluster.folder("config")
    own = ["-keyout", f"{place}/ca.key", "-out", f"{place}/ca.crt", "-days", DAYS]
    run(["openssl", "req", "-x509", *CURVE, *own, "-subj", "/CN=flyte-jupyter-test"])
    names = ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"]
    addresses = ["127.0.0.1", cluster.node, KUBERNETES]
    known = ",".join([f"DNS:{each}" for each in names] + [f"IP:{each}" for each in addresses])
    certificate(cluster, "server", "/CN=kube-apiserver", f"subjectAltName={known}")
    administrator = "/O=system:masters/CN=kube-apiserver"
    certificate(cluster, "kubelet-client", administrator, "extendedKeyUsage=clientAuth")
    key = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    run(["openssl", "genpkey", *key, "-out", f"{place}/accounts.key"])
    public = ["-pubout", "-out", f"{place}/accounts.pub"]
    run(["openssl", "pkey", "-in", f"{place}/accounts.key", *public])


def certificate(cluster: Cluster, name: str, subject: str, extension: str) -> None:
    """Make a key, and a certificate that the cluster's authority signs.

    Args:
        cluster: Whose it is.
        name: Of the two files.
        subject: Who shows it.
        extension: What else it says.
    """
    place = cluster.folder("config")
    base = f"{place}/{name}"
    Path(f"{base}.ext").write_text(extension + "\n")
    key = ["-keyout", f"{base}.key", "-out", f"{base}.csr"]
    run(["openssl", "req", *CURVE, *key, "-subj", subject])
    signed = ["-CA", f"{place}/ca.crt", "-CAkey", f"{place}/ca.key", "-CAcreateserial"]
    asked = ["-req", "-in", f"{base}.csr", "-out", f"{base}.crt", "-days", DAYS]
    run(["openssl", "x509", *asked, *signed, "-extfile", f"{base}.ext"])


def kubeconfig(cluster: Cluster, token: str) -> str:
    """Return a client's configuration; JSON is YAML."""
    authority = base64.b64encode((cluster.place / "config" / "ca.crt").read_bytes()).decode()
    reached = {"server": cluster.server, "certificate-authority-data": authority}
    value = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": CONTEXT, "cluster": reached}],
        "users": [{"name": CONTEXT, "user": {"token": token}}],
        "contexts": [{"name": CONTEXT, "context": {"cluster": CONTEXT, "user": CONTEXT}}],
        "current-context": CONTEXT,
    }
    return json.dumps(value, indent=1) + "\n"


def kubelet(cluster: Cluster) -> dict[str, object]:
    """Return the kubelet's configuration."""
    never = {"memory.available": "200Mi", "nodefs.available": "1%", "imagefs.available": "1%"}
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": cluster.node,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": f"{cluster.place}/config/ca.crt"},
        },
        "authorization": {"mode": "Webhook"},
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{cluster.cgroup}",
        "containerRuntimeEndpoint": f"unix://{cluster.runtime}",
        "evictionHard": {**never, "nodefs.inodesFree": "1%"},
        # the first version of the kernel's control groups does all that is asked of it here
        "failCgroupV1": False,
        "failSwapOn": False,
        # images that were brought here by hand cannot be pulled again
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "maxPods": 250,
        "nodeStatusUpdateFrequency": "5s",
        "podLogsDir": str(cluster.folder("pod-logs")),
        "resolvConf": f"{cluster.place}/config/resolv.conf",
        "serializeImagePulls": False,
        "volumePluginDir": str(cluster.folder("volume-plugins")),
    }


def network(cluster: Cluster, mtu: int) -> str:
    """Return the network of pods: a bridge, out of which they go under the node's address."""
    bridge = {
        "type": "bridge",
        "bridge": "pods",
        "isGateway": True,
        "ipMasq": True,
        "hairpinMode": True,
        "mtu": mtu,
        "ipam": {
            "type": "host-local",
            "dataDir": str(cluster.folder("addresses")),
            "ranges": [[{"subnet": cluster.pods}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }
    ports = {"type": "portmap", "capabilities": {"portMappings": True}}
    return json.dumps({"cniVersion": "1.0.0", "name": "pods", "plugins": [bridge, ports]})


def containerd(cluster: Cluster) -> str:
    """Return the configuration of the container runtime."""
    # an engine that may not lower a process's score is refused to try
    return f"""version = 2
root = "{cluster.folder("containerd")}"
state = "/run/containerd"
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs"]
[grpc]
  address = "{cluster.runtime}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  restrict_oom_score_adj = true
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{cluster.place}/config/cni"
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "{cluster.registries}"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
"""


def commands(cluster: Cluster, program: Path) -> dict[str, list[str]]:
    """Return how each program is started, in the order of starting."""
    place = f"{cluster.place}/config"
    here = "127.0.0.1"
    etcd, peers = f"http://{here}:2379", f"http://{here}:2380"
    accounts = {"key": f"{place}/accounts.key", "pub": f"{place}/accounts.pub"}
    told: dict[str, dict[str, object]] = {
        "etcd": {
            "data-dir": cluster.folder("etcd"),
            "listen-client-urls": etcd,
            "advertise-client-urls": etcd,
            "listen-peer-urls": peers,
            "initial-advertise-peer-urls": peers,
            "initial-cluster": f"default={peers}",
            # what is lost when the machine stops is of no use to anybody
            "unsafe-no-fsync": "true",
            "log-level": "warn",
        },
        "kube-apiserver": {
            "etcd-servers": etcd,
            "secure-port": PORT,
            "advertise-address": cluster.node,
            "service-cluster-ip-range": SERVICES,
            "authorization-mode": "Node,RBAC",
            "enable-admission-plugins": "NodeRestriction",
            "token-auth-file": f"{place}/tokens.csv",
            "client-ca-file": f"{place}/ca.crt",
            "tls-cert-file": f"{place}/server.crt",
            "tls-private-key-file": f"{place}/server.key",
            "service-account-issuer": "https://kubernetes.default.svc",
            "service-account-key-file": accounts["pub"],
            "service-account-signing-key-file": accounts["key"],
            "kubelet-client-certificate": f"{place}/kubelet-client.crt",
            "kubelet-client-key": f"{place}/kubelet-client.key",
            "kubelet-preferred-address-types": "InternalIP",
        },
        "kube-controller-manager": {
            "kubeconfig": f"{place}/kube-controller-manager.kubeconfig",
            "bind-address": here,
            "leader-elect": "false",
            "use-service-account-credentials": "true",
            "service-account-private-key-file": accounts["key"],
            "root-ca-file": f"{place}/ca.crt",
            "cluster-signing-cert-file": f"{place}/ca.crt",
            "cluster-signing-key-file": f"{place}/ca.key",
            # a test of a lost node should not wait for the usual 50 seconds
            "node-monitor-grace-period": "20s",
            # its some forty accounts are made one after the other at its start
            "kube-api-qps": "200",
            "kube-api-burst": "400",
        },
        "kube-scheduler": {
            "kubeconfig": f"{place}/kube-scheduler.kubeconfig",
            "bind-address": here,
            "leader-elect": "false",
        },
        "kubelet": {
            "config": f"{place}/kubelet.json",
            "kubeconfig": f"{place}/kubelet.kubeconfig",
            "hostname-override": NODE,
            "node-ip": cluster.node,
            "root-dir": cluster.folder("kubelet"),
            "cert-dir": cluster.folder("kubelet/pki"),
        },
    }
    found = {"containerd": ["containerd", "--config", f"{place}/containerd.toml"]}
    for name, options in told.items():
        found[name] = [str(program), name, *(f"--{key}={value}" for key, value in options.items())]
    # it looks for certificates at a path that no setting changes: it has an /etc of its own
    own = 'mount --bind "$0/etc" /etc && exec "$0/manager" "$@"'
    kueue = cluster.place / "kueue"
    found["kueue"] = ["unshare", "--mount", "sh", "-c", own, str(kueue)]
    found["kueue"] += [f"--config={kueue}/config.json", f"--kubeconfig={cluster.kubeconfig}"]
    return found
