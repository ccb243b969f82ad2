"""Which engine is meant, and what is said when it is not there."""

import hashlib
import json
import os
import socket
import sys

import pytest

from flyte_jupyter.daemon import connect
from flyte_jupyter.daemon.endpoints import DEFAULT, Endpoint, endpoints
from flyte_jupyter.errors import TargetError

NAMES = ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH")


@pytest.fixture
def user(tmp_path):
    (tmp_path / ".docker").mkdir()
    return tmp_path


def context(user, name, url, current=False):
    place = hashlib.sha256(name.encode()).hexdigest()
    folder = user / ".docker" / "contexts" / "meta" / place
    folder.mkdir(parents=True)
    said = {"Name": name, "Endpoints": {"docker": {"Host": url, "SkipTLSVerify": False}}}
    (folder / "meta.json").write_text(json.dumps(said))
    tls = user / ".docker" / "contexts" / "tls" / place / "docker"
    tls.mkdir(parents=True)
    for one in ("ca", "cert", "key"):
        (tls / f"{one}.pem").write_text("")
    if current:
        (user / ".docker" / "config.json").write_text(json.dumps({"currentContext": name}))
    return tls


def test_the_usual_places_in_their_order(user):
    found = endpoints({}, {"HOME": str(user), "XDG_RUNTIME_DIR": "/run/user/7"})
    sockets = [one.socket for one in found]
    assert sockets[0] == DEFAULT
    assert sockets[1] == "/run/user/7/docker.sock"
    assert f"{user}/.docker/desktop/docker.sock" in sockets
    assert sockets[-2:] == ["/run/user/7/podman/podman.sock", "/run/podman/podman.sock"]
    assert {one.origin for one in found} == {""}


def test_what_is_named_more_closely_comes_first(user):
    tls = context(user, "far", "tcp://far:2376", current=True)
    environ = {"HOME": str(user)}
    (far,) = endpoints({}, environ)
    assert far == Endpoint(
        "tcp://far:2376",
        "the context 'far'",
        *(str(tls / f"{one}.pem") for one in ("ca", "cert", "key")),
        True,
    )
    environ["DOCKER_CONTEXT"] = "default"
    assert [one.socket for one in endpoints({}, environ)] == [DEFAULT]
    environ["DOCKER_HOST"] = "near:2375"
    assert [one.url for one in endpoints({}, environ)] == ["tcp://near:2375"]
    assert [one.url for one in endpoints({"context": "far"}, environ)] == ["tcp://far:2376"]
    assert [one.url for one in endpoints({"host": "ssh://me@there"}, environ)] == ["ssh://me@there"]


def test_tls_as_the_docker_command_takes_it(user):
    environ = {"HOME": str(user), "DOCKER_HOST": "tcp://far:2376", "DOCKER_TLS_VERIFY": "1"}
    (verified,) = endpoints({}, environ)
    assert (verified.ca, verified.verify) == (str(user / ".docker" / "ca.pem"), True)
    (folder,) = endpoints({}, {**environ, "DOCKER_TLS_VERIFY": "", "DOCKER_CERT_PATH": "/certs"})
    assert (folder.key, folder.verify) == ("/certs/key.pem", False)


def test_a_context_that_is_not_there(user):
    context(user, "production", "tcp://far:2376")
    with pytest.raises(TargetError, match="did you mean 'production'"):
        endpoints({"context": "prodction"}, {"HOME": str(user)})


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"host": "unix:///no/such/docker.sock"}, "the socket does not exist"),
        ({"host": "tcp://127.0.0.1:1"}, "No Docker engine answers at tcp://127.0.0.1:1"),
        ({"host": "ftp://somewhere"}, "which is no address of an engine"),
    ],
)
def test_an_engine_that_is_not_there(options, sentence):
    with pytest.raises(TargetError, match=sentence) as caught:
        connect(options)
    assert caught.value.remedy


def test_an_engine_that_has_stopped_leaves_its_socket(tmp_path):
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as old:
        old.bind(path)
    with pytest.raises(TargetError, match="is not running: connection refused") as caught:
        connect({"host": f"unix://{path}"})
    assert caught.value.remedy.startswith("Start ")


@pytest.mark.skipif(os.getuid() == 0 and not hasattr(os, "seteuid"), reason="cannot be another")
def test_an_engine_that_may_not_be_used(tmp_path):
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as closed:
        closed.bind(str(path))
        closed.listen()
        path.chmod(0)
        was = os.geteuid()
        if was == 0:
            for folder in (tmp_path, *tmp_path.parents[:2]):
                folder.chmod(0o755)
            os.seteuid(65534)
        try:
            with pytest.raises(TargetError, match="permission denied") as caught:
                connect({"host": f"unix://{path}"})
        finally:
            os.seteuid(was)
    assert "usermod -aG docker" in caught.value.remedy


def test_something_else_that_listens_there(tmp_path):
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        import threading

        def hang_up():
            for _ in range(2):
                other.accept()[0].close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        with pytest.raises(TargetError, match="does not answer as one"):
            connect({"host": f"unix://{path}"})
        thread.join()


def test_no_engine_at_all(monkeypatch, tmp_path):
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr("flyte_jupyter.daemon.endpoints.DEFAULT", str(tmp_path / "docker.sock"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TargetError, match="no Docker engine on this machine") as caught:
        connect()
    assert "DOCKER_HOST" in caught.value.remedy


def test_what_an_engine_says_of_itself(any_engine):
    assert any_engine.version
    assert any_engine.cgroup_version in (1, 2)
    assert any_engine.platform.startswith("linux/")
    assert any_engine.local is (sys.platform == "linux")
    user = "0:0" if any_engine.rootless else f"{os.getuid()}:{os.getgid()}"
    assert any_engine.user() == user
    other = any_engine.fresh()
    assert other.ping()
    other.close()
    assert any_engine.ask("/images/no/such:image/json")[0] == 404


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"SecurityOptions": ["name=seccomp,profile=default"]}, (True, False)),
        ({"SecurityOptions": ["name=rootless"]}, (True, True)),
        ({"SecurityOptions": ["name=userns"]}, (False, False)),
        ({"OperatingSystem": "Docker Desktop"}, (False, False)),
    ],
)
def test_where_folders_of_this_machine_are_seen(facts, expected, any_engine):
    from flyte_jupyter.daemon import Daemon

    class Api:
        _version = "1.41"

        def info(self):
            return facts

    daemon = Daemon(Endpoint("unix:///var/run/docker.sock"), Api())
    assert (daemon.local, daemon.rootless) == expected
    daemon.folders_seen(False)
    assert not daemon.local
