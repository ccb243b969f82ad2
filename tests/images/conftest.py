"""A package index of our own, so that what is installed does not depend on anybody else's."""

from __future__ import annotations

import base64
import hashlib
import io
import threading
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from flyte_jupyter.images import VirtualEnvironments


def wheel(name: str, version: str, requires: str = "") -> bytes:
    """Return a wheel with one module that knows its version."""
    info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    metadata += f"Requires-Dist: {requires}\n" if requires else ""
    files = {
        f"{name}.py": f"VERSION = {version!r}\n",
        f"{info}/METADATA": metadata,
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = []
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for path, text in files.items():
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest())
            record.append(f"{path},sha256={digest.decode().rstrip('=')},{len(text)}")
            archive.writestr(path, text)
        archive.writestr(f"{info}/RECORD", "\n".join([*record, f"{info}/RECORD,,", ""]))
    return data.getvalue()


class Index:
    """A package index on this machine; ``password`` closes it to everyone else."""

    def __init__(self) -> None:
        self.password = ""
        self.asked: list[str] = []
        self.wheels: dict[str, bytes] = {}
        self.add("apple", "1.0")
        self.add("apple", "2.0")
        self.add("pear", "1.0")
        self.add("pie", "1.0", "apple<2")
        index = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                index.answer(self)

            def do_HEAD(self) -> None:
                index.answer(self)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    def add(self, name: str, version: str, requires: str = "") -> None:
        self.wheels[f"{name}-{version}-py3-none-any.whl"] = wheel(name, version, requires)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/simple"

    def url_for(self, user: str, password: str) -> str:
        return self.url.replace("://", f"://{user}:{password}@")

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        self.asked.append(request.path)
        given = request.headers.get("Authorization", "").removeprefix("Basic ")
        name = request.path.strip("/").split("/")[-1]
        links = [file for file in self.wheels if file.startswith(name + "-")]
        if self.password and base64.b64decode(given).decode() != f"bob:{self.password}":
            status, kind, body = 401, "text/plain", b""
        elif name in self.wheels:
            status, kind, body = 200, "application/octet-stream", self.wheels[name]
        elif links:
            page = "".join(f'<a href="/files/{file}">{file}</a>' for file in links)
            status, kind, body = 200, "text/html", f"<html><body>{page}</body></html>".encode()
        else:
            status, kind, body = 404, "text/plain", b""
        request.send_response(status)
        if status == 401:
            request.send_header("WWW-Authenticate", "Basic")
        request.send_header("Content-Type", kind)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        if request.command == "GET":
            request.wfile.write(body)

    def stop(self) -> None:
        if self.thread.is_alive():
            self.server.shutdown()
            self.thread.join()
            self.server.server_close()


@pytest.fixture
def index() -> Iterator[Index]:
    served = Index()
    yield served
    served.stop()


@pytest.fixture(autouse=True)
def only_this_index(index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Packages come from the test's index, through a cache of its own."""
    monkeypatch.setenv("UV_DEFAULT_INDEX", index.url)
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setenv("UV_PYTHON_DOWNLOADS", "never")
    for name in ("PIP_INDEX_URL", "PIP_FIND_LINKS", "UV_INDEX", "UV_FIND_LINKS", "UV_OFFLINE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def environments(tmp_path: Path) -> VirtualEnvironments:
    return VirtualEnvironments(tmp_path / "cache")


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def told(lines: list[str]) -> Callable[[str], None]:
    return lines.append
