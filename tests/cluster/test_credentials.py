"""How one is let in: programs, tokens that end, files, certificates, an issuer, a proxy."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import socket
import socketserver
import ssl
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

import flyte_jupyter as flyte
from flyte_jupyter.cluster.api import Api, ApiError
from flyte_jupyter.cluster.connect import connect
from flyte_jupyter.errors import TargetError
from flyte_jupyter.targets.kubernetes import rbac

from .conftest import Account, until

TASKS = """
    @env.task
    def fine() -> int:
        return 1

    @env.task
    def waits(seconds: float) -> int:
        import time

        print("here", flush=True)
        time.sleep(seconds)
        return 2

    other = flyte.TaskEnvironment("other")

    @other.task
    def fine_elsewhere() -> int:
        return 1

    huge = flyte.TaskEnvironment("huge", resources=flyte.Resources(cpu=900))

    @huge.task
    def never() -> int:
        return 1
"""
PLUGIN = """\
    #!{python}
    import json, os, sys
    with open({calls!r}, "a") as file:
        file.write("called\\n")
    token = open({token!r}).read()
    if not token:
        sys.exit("the session of somebody has ended")
    status = {{"token": token, "expirationTimestamp": {until!r}}}
    info = json.loads(os.environ["KUBERNETES_EXEC_INFO"])
    print(json.dumps({{"apiVersion": info["apiVersion"], "kind": "ExecCredential",
                       "status": status}}))
"""
SOON, LATE = timedelta(minutes=1), timedelta(hours=1)


@pytest.fixture
def somebody(account: Account) -> Account:
    """Somebody who may run tasks."""
    account.may(rbac.role(account.namespace, [rbac.account("somebody", account.namespace)]))
    return account


@pytest.fixture
def notebook(
    somebody: Account, cell: Callable[[str], Any], tmp_path: Path
) -> Iterator[Callable[[str], Any]]:
    """A function that opens a notebook whose tasks run with a kubeconfig."""

    def opened(file: str) -> Any:
        flyte.init(target="kubernetes", kubeconfig=file, state=tmp_path / "state")
        return cell(TASKS)

    yield opened
    flyte.shut_down()
    until(lambda: not somebody.core.list_namespaced_pod(somebody.namespace).items)


class Plugin:
    """A program that hands out the token that is in a file."""

    def __init__(self, folder: Path, ends: timedelta) -> None:
        self.path, self.token, self.calls = (folder / name for name in ("plugin", "token", "calls"))
        self.calls.touch()
        until = (datetime.now(UTC) + ends).strftime("%Y-%m-%dT%H:%M:%SZ")
        text = textwrap.dedent(PLUGIN).format(
            python=sys.executable, calls=str(self.calls), token=str(self.token), until=until
        )
        self.path.write_text(text)
        self.path.chmod(0o755)

    @property
    def user(self) -> dict[str, Any]:
        return {
            "exec": {
                "apiVersion": "client.authentication.k8s.io/v1",
                "command": str(self.path),
                "interactiveMode": "Never",
            }
        }


def ended(account: Account, secret: str, token: str) -> None:
    """Have a token end, and wait until the cluster refuses it."""
    account.core.delete_namespaced_secret(secret, account.namespace)
    folder = account.folder / "apart"
    folder.mkdir(exist_ok=True)
    file = Account(account.core, account.namespace, folder).kubeconfig({"token": token})
    api = Api(connect({"kubeconfig": file}))

    def refused() -> bool:
        try:
            api.call("GET", f"/api/v1/namespaces/{account.namespace}/pods")
        except ApiError as error:
            return error.status == 401
        return False

    until(refused)
    api.close()


@pytest.mark.parametrize("ends", [SOON, LATE], ids=["told", "untold"])
def test_a_token_that_ends_is_had_anew_from_its_program(
    ends: timedelta, somebody: Account, notebook: Callable[[str], Any], tmp_path: Path
) -> None:
    plugin = Plugin(tmp_path, ends)
    first = somebody.token("first")
    plugin.token.write_text(first)
    there = notebook(somebody.kubeconfig(plugin.user))
    assert flyte.run(there.fine).result() == 1
    plugin.token.write_text(somebody.token())
    ended(somebody, "first", first)
    before = plugin.calls.read_text().count("\n")
    run = flyte.run(there.fine_elsewhere)  # no pod of its environment is there yet
    assert run.result() == 1
    assert plugin.calls.read_text().count("\n") > before
    assert "does not know" not in notes(run)


def test_a_program_that_fails_is_told_in_its_own_words(somebody: Account, tmp_path: Path) -> None:
    plugin = Plugin(tmp_path, LATE)
    plugin.token.write_text("")
    with pytest.raises(TargetError) as caught:
        connect({"kubeconfig": somebody.kubeconfig(plugin.user)})
    assert "the session of somebody has ended" in str(caught.value)
    assert "Log in again" in caught.value.remedy
    plugin.path.unlink()
    with pytest.raises(TargetError, match="No such file or directory"):
        connect({"kubeconfig": somebody.kubeconfig(plugin.user)})


def notes(run: flyte.Run) -> str:
    return "\n".join(event.data["text"] for event in run.events(0) if event.kind == "note")


def heard(run: flyte.Run, holds: Callable[[Any], object]) -> threading.Event:
    found = threading.Event()
    run.subscribe(lambda event: holds(event) and found.set())
    if any(holds(event) for event in run.events(0)):
        found.set()
    return found


def test_runs_that_wait_tell_that_credentials_have_ended_and_go_on_with_others(
    somebody: Account,
    notebook: Callable[[str], Any],
    order: Callable[..., None],
    tmp_path: Path,
) -> None:
    token = tmp_path / "token"
    first = somebody.token("first")
    token.write_text(first)
    there = notebook(somebody.kubeconfig({"tokenFile": str(token)}))
    busy, never = flyte.run(there.waits, 1.0), flyte.run(there.never)
    assert heard(busy, lambda event: event.kind == "log").wait(60)
    assert heard(never, lambda event: "node" in str(event.data.get("why"))).wait(60)
    assert busy.result() == 2
    busy = flyte.run(there.waits, 20.0)
    assert heard(busy, lambda event: event.kind == "log").wait(60)
    somebody.core.delete_namespaced_secret("first", somebody.namespace)
    order("kill", "kube-apiserver")
    order("start", "kube-apiserver")
    unknown = "The cluster does not know who you are."
    assert heard(busy, lambda event: unknown in str(event.data.get("text"))).wait(60)
    assert heard(never, lambda event: "log in" in str(event.data.get("why"))).wait(60)
    token.write_text(somebody.token())
    assert heard(busy, lambda event: "knows you again" in str(event.data.get("text"))).wait(60)
    assert busy.result() == 2
    never.abort()


def test_a_client_certificate_is_shown(
    somebody: Account, core: Any, notebook: Callable[[str], Any], tmp_path: Path
) -> None:
    key, csr = tmp_path / "key", tmp_path / "csr"
    words = f"openssl req -new -newkey rsa:2048 -nodes -keyout {key} -out {csr}"
    subprocess.run([*words.split(), "-subj", "/CN=somebody"], check=True, capture_output=True)
    certificate = signed(csr.read_bytes(), f"flyte-jupyter-{somebody.namespace}")
    somebody.may(
        rbac.role(somebody.namespace, [rbac.user("somebody")]).replace(
            "name: flyte-jupyter\n", "name: by-certificate\n"
        )
    )
    user = {
        "client-certificate-data": certificate,
        "client-key-data": base64.b64encode(key.read_bytes()).decode(),
    }
    there = notebook(somebody.kubeconfig(user))
    assert flyte.run(there.fine).result() == 1


def signed(request: bytes, name: str) -> str:
    """Return a certificate of the cluster's for a request, in base 64."""
    api = Api(connect({"kubeconfig": os.environ["KUBECONFIG"]}))
    place = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
    spec = {
        "request": base64.b64encode(request).decode(),
        "signerName": "kubernetes.io/kube-apiserver-client",
        "usages": ["client auth"],
    }
    body = {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"name": name},
        "spec": spec,
    }
    try:
        made = api.call("POST", place, body)
    except ApiError as error:
        pytest.skip(f"certificates cannot be had here: {error.sentence}")
    approved = {"type": "Approved", "status": "True", "reason": "Test"}
    made["status"] = {"conditions": [approved]}
    api.call("PUT", f"{place}/{name}/approval", made)
    found: list[str] = []

    def there() -> bool:
        status = api.call("GET", f"{place}/{name}").get("status") or {}
        found[:] = filter(None, [status.get("certificate")])
        return bool(found)

    try:
        until(there)
    finally:
        api.call("DELETE", f"{place}/{name}")
        api.close()
    return found[0]


class Issuer(BaseHTTPRequestHandler):
    """An issuer of OpenID Connect, whose tokens the cluster knows: they are its own."""

    token = ""
    refreshed: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        host, port = self.server.server_address[:2]
        self.answer({"token_endpoint": f"https://{host}:{port}/token"})

    def do_POST(self) -> None:
        text = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.refreshed.append(text)
        self.answer(
            {
                "id_token": self.token,
                "refresh_token": "next",
                "access_token": "none",
                "token_type": "bearer",
            }
        )

    def answer(self, body: dict[str, str]) -> None:
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


def authority(folder: Path) -> tuple[Path, Path]:
    """Return a certificate of this machine, which is its own authority, and its key."""
    certificate, key = folder / "here.crt", folder / "here.key"
    words = f"openssl req -x509 -newkey rsa:2048 -nodes -days 1 -keyout {key} -out {certificate}"
    name = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*words.split(), *name], check=True, capture_output=True)
    return certificate, key


def test_an_issuer_s_token_that_has_ended_is_refreshed(
    somebody: Account, notebook: Callable[[str], Any], tmp_path: Path
) -> None:
    certificate, key = authority(tmp_path)
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trust.load_cert_chain(certificate, key)
    Issuer.token, Issuer.refreshed = somebody.token(), []
    with HTTPServer(("127.0.0.1", 0), Issuer) as server:
        server.socket = trust.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        head, past = (
            base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")
            for part in ({"alg": "none"}, {"exp": 1700000000, "sub": "somebody"})
        )
        config = {
            "client-id": "notebooks",
            "client-secret": "secret",
            "id-token": f"{head}.{past}.none",
            "refresh-token": "first",
            "idp-issuer-url": f"https://127.0.0.1:{server.server_port}",
            "idp-certificate-authority": str(certificate),
        }
        user = {"auth-provider": {"name": "oidc", "config": config}}
        there = notebook(somebody.kubeconfig(user))
        assert flyte.run(there.fine).result() == 1
        server.shutdown()
    assert any("refresh_token=first" in text for text in Issuer.refreshed)


class Proxy(socketserver.ThreadingTCPServer):
    """A proxy that lets connections through to a name that only it knows."""

    daemon_threads = True

    def __init__(self, name: str, goal: tuple[str, int], login: str) -> None:
        super().__init__(("127.0.0.1", 0), _Through)
        self.name, self.goal = name, goal
        self.login = "Basic " + base64.b64encode(login.encode()).decode()
        self.let: list[str] = []


class _Through(socketserver.StreamRequestHandler):
    server: Proxy

    def handle(self) -> None:
        line = self.rfile.readline().decode().split()
        headers = {}
        while (text := self.rfile.readline().decode().strip()) != "":
            key, _, value = text.partition(":")
            headers[key.lower()] = value.strip()
        if headers.get("proxy-authorization") != self.server.login:
            self.wfile.write(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
            return
        if line[:2] != ["CONNECT", f"{self.server.name}:{self.server.goal[1]}"]:
            self.wfile.write(b"HTTP/1.1 502 Bad Gateway\r\n\r\n")
            return
        self.server.let.append(line[1])
        with socket.create_connection(self.server.goal) as there:
            self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            with contextlib.suppress(OSError):
                self.pass_on(there)

    def pass_on(self, there: socket.socket) -> None:
        ways = {self.connection: there, there: self.connection}
        while True:
            for one in select.select(list(ways), [], [])[0]:
                data = one.recv(1 << 16)
                if not data:
                    return
                ways[one].sendall(data)


@pytest.fixture
def proxy(core: Any) -> Iterator[Proxy]:
    """A proxy that leads to the cluster, and that one has to log in to."""
    real = connect({"kubeconfig": os.environ["KUBECONFIG"]})
    if not real.encrypted:
        pytest.skip(f"needs a cluster that is reached by TLS, not {real.url}")
    with Proxy("cluster.invalid", (real.host, real.port), "me:pass word") as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def behind(somebody: Account, proxy: Proxy, **more: str) -> str:
    host, port = proxy.goal
    user = {"token": somebody.token()}
    server = f"https://{proxy.name}:{port}"
    return somebody.kubeconfig(user, server=server, **{"tls-server-name": host}, **more)


@pytest.mark.parametrize("named", ["kubeconfig", "environment"])
def test_everything_goes_through_the_proxy(
    named: str,
    somebody: Account,
    proxy: Proxy,
    notebook: Callable[[str], Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url = f"http://me:pass%20word@127.0.0.1:{proxy.server_address[1]}"
    if named == "kubeconfig":
        file = behind(somebody, proxy, **{"proxy-url": url})
    else:
        monkeypatch.setenv("HTTPS_PROXY", url)
        file = behind(somebody, proxy)
    there = notebook(file)
    run = flyte.run(there.fine)
    assert run.result() == 1
    assert len(proxy.let) >= 2  # the calls, and the port of the hub
    assert "pass" not in repr(connect({"kubeconfig": file}).proxy)


def test_a_proxy_that_refuses_is_told_without_what_one_logs_in_with(
    somebody: Account, proxy: Proxy
) -> None:
    url = f"http://me:wrong@127.0.0.1:{proxy.server_address[1]}"
    api = Api(connect({"kubeconfig": behind(somebody, proxy, **{"proxy-url": url})}))
    with pytest.raises(TargetError) as caught:
        api.call("GET", "/version")
    assert f"through the proxy http://127.0.0.1:{proxy.server_address[1]}" in caught.value.sentence
    assert "407" in str(caught.value)
    assert "wrong" not in str(caught.value)


def test_hosts_that_the_environment_leaves_out_are_reached_directly(
    somebody: Account, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.server_address[1]}")
    monkeypatch.setenv("NO_PROXY", f"example.org,{proxy.goal[0]}")
    api = Api(connect({"kubeconfig": somebody.kubeconfig({"token": somebody.token()})}))
    assert api.call("GET", "/version")["major"] == "1"
    assert proxy.let == []
