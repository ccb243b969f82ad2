"""What a registry answers, by the words of a real engine that asks it."""

import asyncio
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from flyte_jupyter.errors import ImageBuildError
from flyte_jupyter.spec import Image


class Registry:
    """A registry of this machine that refuses in one way."""

    def __init__(self):
        registry = self
        self.status, self.code = 404, "MANIFEST_UNKNOWN"

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                registry.answer(self)

            do_HEAD = do_GET  # noqa: N815

            def log_message(self, format, *args):  # noqa: A002
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()
        self.name = f"127.0.0.1:{self.server.server_port}"

    def answer(self, request):
        body = b"{}"
        status = 200
        if request.path != "/v2/" or self.code == "UNAUTHORIZED":
            status = self.status
            body = b'{"errors": [{"code": "%s", "message": "so it is"}]}' % self.code.encode()
        request.send_response(status)
        if status == 401:
            request.send_header("WWW-Authenticate", 'Basic realm="here"')
        request.send_header("Content-Type", "application/json")
        request.send_header("Docker-Distribution-API-Version", "registry/2.0")
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        if request.command == "GET":
            request.wfile.write(body)

    def stop(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def registry():
    served = Registry()
    yield served
    served.stop()


@pytest.mark.parametrize(
    ("status", "code", "sentence", "remedy"),
    [
        (404, "MANIFEST_UNKNOWN", "The registry has no image", "Check the tag"),
        (404, "NAME_UNKNOWN", "does not exist, or you may not", "docker login"),
        (401, "UNAUTHORIZED", "You may not pull the image", "docker login"),
        (403, "DENIED", "does not exist, or you may not", "docker login"),
        (429, "TOOMANYREQUESTS", "answered too many requests", "docker login"),
        (500, "UNKNOWN", "registry", ""),
    ],
)
def test_what_a_registry_refuses(images, registry, status, code, sentence, remedy):
    registry.status, registry.code = status, code
    name = f"{registry.name}/team/model:1"
    with pytest.raises(ImageBuildError) as caught:
        asyncio.run(images.prepare(Image.from_base(name), lambda line: None))
    assert sentence in caught.value.sentence, caught.value
    assert repr(name) in caught.value.sentence
    assert remedy in caught.value.remedy
