"""The cluster of the tests does what a cluster does: it is real, and the tests may rely on it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest

SERVER = (
    "import http.server as h\n"
    "class Echo(h.BaseHTTPRequestHandler):\n"
    "    def do_POST(self):\n"
    "        self.send_response(200)\n"
    "        self.send_header('Content-Length', self.headers['Content-Length'])\n"
    "        self.end_headers()\n"
    "        self.wfile.write(self.rfile.read(int(self.headers['Content-Length'])))\n"
    "    do_GET = lambda self: (self.send_response(200), self.end_headers(),"
    " self.wfile.write(b'here'))\n"
    "h.ThreadingHTTPServer(('', 8080), Echo).serve_forever()\n"
)
READY = {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1}


def is_ready(pod: Any) -> bool:
    return bool(pod.status.container_statuses) and pod.status.container_statuses[0].ready


@pytest.fixture
def server(pod: Callable[..., str], becomes: Callable[..., Any]) -> Any:
    """A pod that answers at port 8080."""
    return becomes(pod("python3", "-c", SERVER, readinessProbe=READY), is_ready)


def test_a_pod_runs_and_its_log_is_read(
    core: Any, namespace: str, pod: Callable[..., str], ends: Callable[[str], Any]
) -> None:
    name = pod("python3", "-c", "print(1)")
    assert ends(name).exit_code == 0
    assert core.read_namespaced_pod_log(name, namespace) == "1\n"


def test_a_pod_reaches_another_by_its_address(
    core: Any, namespace: str, server: Any, pod: Callable[..., str], ends: Callable[[str], Any]
) -> None:
    address = f"http://{server.status.pod_ip}:8080/"
    text = f"from urllib.request import urlopen; print(urlopen('{address}', timeout=30).read())"
    name = pod("python3", "-c", text)
    assert ends(name).exit_code == 0
    assert core.read_namespaced_pod_log(name, namespace) == "b'here'\n"


def test_a_pod_reaches_the_api_with_the_token_it_was_given(
    core: Any, namespace: str, pod: Callable[..., str], ends: Callable[[str], Any]
) -> None:
    text = (
        "import json, os, ssl, urllib.request as u\n"
        "here = '/var/run/secrets/kubernetes.io/serviceaccount/'\n"
        "url = 'https://{KUBERNETES_SERVICE_HOST}:{KUBERNETES_SERVICE_PORT}'.format(**os.environ)\n"
        "asked = u.Request(url + '/apis/authentication.k8s.io/v1/selfsubjectreviews', b'{}')\n"
        "asked.add_header('Authorization', 'Bearer ' + open(here + 'token').read())\n"
        "asked.add_header('Content-Type', 'application/json')\n"
        "trust = ssl.create_default_context(cafile=here + 'ca.crt')\n"
        "print(json.load(u.urlopen(asked, context=trust))['status']['userInfo']['username'])\n"
    )
    name = pod("python3", "-c", text)
    assert ends(name).exit_code == 0
    said = core.read_namespaced_pod_log(name, namespace)
    assert said == f"system:serviceaccount:{namespace}:default\n"


def test_a_program_is_run_in_a_pod_and_fed(core: Any, namespace: str, server: Any) -> None:
    from kubernetes import client, config
    from kubernetes.stream import stream

    # a client that streams is of no use for anything else at the same time
    with config.new_client_from_config() as connection:
        channel = stream(
            client.CoreV1Api(connection).connect_get_namespaced_pod_exec,
            server.metadata.name,
            namespace,
            command=["python3", "-c", "print(len(input()))"],
            stdin=True,
            stdout=True,
            stderr=True,
            _preload_content=False,
        )
        channel.write_stdin("x" * 100_000 + "\n")
        channel.run_forever(timeout=60)
        assert channel.read_stdout() == "100000\n"
        assert channel.returncode == 0
        # to close what the other side has closed leaves the socket open
        channel.sock.shutdown()


def test_a_port_of_a_pod_is_reached_through_the_api(namespace: str, server: Any) -> None:
    from http.client import HTTPConnection

    from kubernetes import client, config
    from kubernetes.stream import portforward

    payload = uuid.uuid4().bytes * 65536
    with config.new_client_from_config() as connection:
        forward = portforward(
            client.CoreV1Api(connection).connect_get_namespaced_pod_portforward,
            server.metadata.name,
            namespace,
            ports="8080",
        )
        caller = HTTPConnection("in-the-pod", 8080, timeout=60)
        caller.sock = forward.socket(8080)
        caller.request("POST", "/", payload)
        assert caller.getresponse().read() == payload
        caller.close()
        assert forward.error(8080) is None


def test_a_pod_that_takes_more_memory_than_its_limit_is_killed(
    pod: Callable[..., str], ends: Callable[[str], Any]
) -> None:
    limits = {"limits": {"memory": "64Mi"}}
    state = ends(pod("python3", "-c", "b'x' * (256 << 20)", resources=limits))
    assert (state.reason, state.exit_code) == ("OOMKilled", 137)


def test_a_pod_is_restricted_where_the_namespace_asks_for_it(
    core: Any, fresh_namespace: Callable[..., str]
) -> None:
    from kubernetes.client import ApiException

    from .conftest import manifest, until

    strict = fresh_namespace({"pod-security.kubernetes.io/enforce": "restricted"})
    asked = manifest("loose", "true")
    with pytest.raises(ApiException, match="violates PodSecurity"):
        core.create_namespaced_pod(strict, asked)
    safe = {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    text = "import os; print(os.getuid())"
    core.create_namespaced_pod(
        strict, manifest("strict", "python3", "-c", text, securityContext=safe)
    )
    until(lambda: core.read_namespaced_pod("strict", strict).status.phase == "Succeeded")
    assert core.read_namespaced_pod_log("strict", strict) == "65532\n"


def test_a_namespace_takes_what_is_in_it_along(
    core: Any, fresh_namespace: Callable[..., str]
) -> None:
    from .conftest import found, manifest, remove_namespaces, until

    name = fresh_namespace()
    core.create_namespaced_pod(
        name, manifest("long", "python3", "-c", "import time; time.sleep(999)")
    )
    core.create_namespaced_secret(name, {"metadata": {"name": "s"}, "stringData": {"a": "b"}})
    until(lambda: core.read_namespaced_pod("long", name).status.phase == "Running")
    remove_namespaces(core, [name])
    assert found(core.read_namespaced_pod, "long", name) is None
    assert found(core.read_namespaced_secret, "s", name) is None


def test_a_pod_is_placed_by_devices_that_a_node_is_said_to_have(
    node: Callable[..., None], pod: Callable[..., str], becomes: Callable[..., Any]
) -> None:
    node({"nvidia.com/gpu": 2}, {})
    two, three = ({"limits": {"nvidia.com/gpu": str(count)}} for count in (2, 3))
    becomes(pod("true", resources=two), lambda pod: pod.status.phase == "Succeeded")
    waits = becomes(pod("true", resources=three), lambda pod: pod.status.conditions)
    assert waits.status.conditions[0].reason == "Unschedulable"
    assert "Insufficient nvidia.com/gpu" in waits.status.conditions[0].message


def test_what_runs_goes_on_without_the_api(
    core: Any, namespace: str, order: Callable[..., None], server: Any, becomes: Callable[..., Any]
) -> None:
    from kubernetes.client import ApiException
    from urllib3.exceptions import HTTPError

    from .conftest import until

    order("kill", "kube-apiserver")
    with pytest.raises(HTTPError):
        core.read_namespaced_pod(server.metadata.name, namespace, _request_timeout=2)
    order("start", "kube-apiserver")

    def there() -> object:
        try:
            return core.read_namespaced_pod(server.metadata.name, namespace)
        except (ApiException, HTTPError):
            return None

    until(there)
    after = becomes(server.metadata.name, is_ready)
    assert after.status.container_statuses[0].restart_count == 0
    assert after.status.pod_ip == server.status.pod_ip
