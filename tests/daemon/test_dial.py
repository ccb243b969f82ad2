"""Connections of our own to an engine: attached, subscribed, refused, cut off, by way of ssh."""

from __future__ import annotations

import json
import os
import socket
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from flyte_jupyter.daemon.dial import dial, open_attached, open_events
from flyte_jupyter.daemon.endpoints import Endpoint
from flyte_jupyter.errors import TargetError

Answer = Callable[[socket.socket, bytes], None]
PATIENCE = 10.0


def head_of(connection: socket.socket) -> bytes:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += connection.recv(1)
    return head


@pytest.fixture
def engine() -> Iterator[Callable[[Answer], Endpoint]]:
    """A function that starts what answers one connection as it is told."""
    servers: list[tuple[socket.socket, threading.Thread]] = []

    def start(answer: Answer) -> Endpoint:
        server = socket.create_server(("127.0.0.1", 0))

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.settimeout(PATIENCE)
                answer(connection, head_of(connection))

        thread = threading.Thread(target=serve)
        thread.start()
        servers.append((server, thread))
        return Endpoint(f"tcp://127.0.0.1:{server.getsockname()[1]}")

    yield start
    for server, thread in servers:
        thread.join(PATIENCE)
        server.close()
        assert not thread.is_alive()


def test_what_follows_the_answer_is_the_stream(engine: Any) -> None:
    asked: list[bytes] = []

    def answer(connection: socket.socket, head: bytes) -> None:
        asked.append(head)
        connection.sendall(b"HTTP/1.1 101 UPGRADED\r\nUpgrade: tcp\r\n\r\nfirst words")
        assert connection.recv(100) == b"said back"

    with dial(engine(answer), PATIENCE) as connection:
        open_attached(connection, "1.41", "a name", with_input=True)
        assert connection.gettimeout() is None
        assert connection.recv(100) == b"first words"
        connection.sendall(b"said back")
    line = asked[0].split(b"\r\n")[0].decode()
    assert line.startswith("POST /v1.41/containers/a%20name/attach?")
    assert "stdin=1" in line


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (
            b'HTTP/1.1 409 Conflict\r\nContent-Length: 22\r\n\r\n{"message":"is paused"}',
            "is paused",
        ),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 7\r\n\r\nnowhere", "nowhere"),
        (b"HTTP/1.1 500 Internal Server Error\r\n\r\n", "500 Internal Server Error"),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 99\r\n\r\ncut", "cut"),
        (b"HTTP/1.1 101 UPGR", "ended a connection in the middle"),
        (b"", "ended a connection in the middle"),
        (b"x" * 70_000 + b"\r\n\r\n", "ended a connection in the middle"),
    ],
)
def test_an_engine_that_does_not_attach_is_quoted(engine: Any, answer: bytes, says: str) -> None:
    place = engine(lambda connection, _: connection.sendall(answer))
    connection = dial(place, PATIENCE)
    with pytest.raises(TargetError, match=says):
        open_attached(connection, "1.41", "one", with_input=False)
    assert connection.fileno() < 0


def test_an_engine_that_says_nothing_is_not_waited_for_for_ever(engine: Any) -> None:
    done = threading.Event()
    connection = dial(engine(lambda *_: done.wait(PATIENCE) or None), 0.1)
    with pytest.raises(TimeoutError):
        open_attached(connection, "1.41", "one", with_input=False)
    done.set()
    assert connection.fileno() < 0


def test_events_come_a_line_each(engine: Any) -> None:
    def answer(connection: socket.socket, head: bytes) -> None:
        assert b"filters=%7B%22type%22" in head
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for number in range(2):
            line = json.dumps({"n": number}).encode() + b"\n"
            connection.sendall(b"%x\r\n%s\r\n" % (len(line), line))
        connection.sendall(b"0\r\n\r\n")

    with dial(engine(answer), PATIENCE) as connection:
        lines = open_events(connection, "1.41", {"type": ["container"]})
        with lines:
            assert [json.loads(line)["n"] for line in lines] == [0, 1]


@pytest.mark.parametrize("answer", [b"HTTP/1.1 403 Forbidden\r\n\r\n", b"SSH-2.0-OpenSSH\r\n"])
def test_an_engine_that_tells_no_events(engine: Any, answer: bytes) -> None:
    connection = dial(engine(lambda connection, _: connection.sendall(answer)), PATIENCE)
    with pytest.raises(TargetError, match="tells no events"):
        open_events(connection, "1.41", {})
    assert connection.fileno() < 0


def test_a_connection_to_another_machine_is_kept_and_quick(engine: Any) -> None:
    with dial(engine(lambda *_: None), PATIENCE) as connection:
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        connection.sendall(b"\r\n\r\n")


def test_what_does_not_speak_tls_is_no_encrypted_engine(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        place = Endpoint(
            f"tcp://127.0.0.1:{server.getsockname()[1]}", cert="no/such/file", verify=False
        )
        answers = threading.Thread(target=lambda: server.accept()[0].close())
        answers.start()
        with pytest.raises(OSError, match=r"."):
            dial(place, PATIENCE)
        answers.join(PATIENCE)


SSH = """\
#!{python}
import os, sys
with open({told!r}, "w") as file:
    file.write("\\n".join(sys.argv[1:]))
data = os.read(0, 100)
os.write(1, b"heard " + data)
os.read(0, 100)
with open({told!r}, "a") as file:
    file.write("\\nended")
"""


def test_ssh_connects_with_an_engine_that_its_machine_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = tmp_path / "told"
    program = tmp_path / "ssh"
    program.write_text(textwrap.dedent(SSH).format(python=sys.executable, told=str(told)))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    connection = dial(Endpoint("ssh://me@there:2222"), PATIENCE)
    connection.sendall(b"this")
    assert connection.recv(100) == b"heard this"
    assert told.read_text().split("\n") == [
        *("-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "-p", "2222", "me@there"),
        *("docker", "system", "dial-stdio"),
    ]
    connection.close()
