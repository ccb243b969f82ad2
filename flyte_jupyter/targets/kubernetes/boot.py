"""The first programs of a hub and of a pod, and what both unpack: the guest's rooms."""

from __future__ import annotations

import functools
import importlib.util
import io
import marshal
import zipfile
from pathlib import Path

from flyte_jupyter.images.packages import PACKAGES
from flyte_jupyter.targets.runtime import guest_runtime

__all__ = [
    "CERTIFICATE",
    "FILES",
    "HUB",
    "KEY",
    "NAME",
    "POD",
    "PORT",
    "PRIVATE",
    "ROOM",
    "packed_rooms",
]

PORT = 8470
#: Where a pod has what is not its image's own.
ROOM = "/opt/flyte_jupyter"
FILES = f"{ROOM}/files"
#: The variables that the keys travel in; user code does not see them.
KEY = "FLYTE_JUPYTER_KEY"
CERTIFICATE = "FLYTE_JUPYTER_CERTIFICATE"
PRIVATE = "FLYTE_JUPYTER_PRIVATE"
#: What the hub's certificate is made out to.
NAME = "hub.flyte-jupyter"

_COMMON = """\
import hashlib, hmac, os, socket, sys, time
try:
    import ssl
except ImportError:
    sys.exit("This Python has no module ssl, which its connection to the kernel takes.")
def take(peer, size):
    data = bytearray()
    while len(data) < size:
        part = peer.recv(min(1 << 20, size - len(data)))
        if not part:
            raise OSError("the connection has ended")
        data += part
    return bytes(data)
def line(peer):
    text = b""
    while not text.endswith(b"\\n"):
        text += take(peer, 1)
    return text.decode("ascii").split()
def shown(key, *words):
    return hmac.new(key, "\\0".join(words).encode(), hashlib.sha256).hexdigest()
def settle(rooms):
    with open("/tmp/.flyte_jupyter.zip", "wb") as file:
        file.write(rooms)
    sys.path[:] = ["/tmp/.flyte_jupyter.zip"] + [place for place in sys.path if place]
key = os.environ.pop("FLYTE_JUPYTER_KEY")
certificate = os.environ.pop("FLYTE_JUPYTER_CERTIFICATE")
"""

# Takes the rooms from who knows the key of the session, and becomes the hub.
HUB = f"""{_COMMON}
trust = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
place = "/tmp/.flyte_jupyter-hub"
with open(os.open(place, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
    file.write(certificate + os.environ.pop("{PRIVATE}"))
trust.load_cert_chain(place)
os.remove(place)
both = socket.has_dualstack_ipv6()
listener = socket.create_server(
    ("", {PORT}), backlog=512, dualstack_ipv6=both,
    family=socket.AF_INET6 if both else socket.AF_INET,
)
# those that are accepted have it too; asyncio does not set it on sockets that it did not make
listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
while True:
    peer, _ = listener.accept()
    peer.settimeout(30)
    nonce = os.urandom(16).hex()
    try:
        peer = trust.wrap_socket(peer, server_side=True)
        peer.sendall(f"boot - {{nonce}}\\n".encode())
        kind, proof, size = line(peer)
        right = shown(bytes.fromhex(key), "rooms", nonce)
        if kind == "rooms" and hmac.compare_digest(proof, right):
            rooms = take(peer, int(size))
            break
    except (OSError, ValueError) as error:
        print("A connection ended:", error, file=sys.stderr)
    peer.close()
settle(rooms)
from flyte_jupyter.worker.hub import main
peer.sendall(b"ready\\n")
peer.close()
main(listener, trust, key, rooms, float(sys.argv[1]))
"""

# Dials the hub until it is there, unpacks what the image lacks, and serves one body.
POD = f"""{_COMMON}
def unpack(peer):
    import tarfile
    size, path = int.from_bytes(take(peer, 8), "big"), "/tmp/.flyte_jupyter-blob"
    with open(path, "wb") as file:
        while size:
            part = take(peer, min(size, 1 << 20))
            size -= len(part)
            file.write(part)
    with tarfile.open(path) as archive:
        if hasattr(tarfile, "tar_filter"):
            archive.extraction_filter = tarfile.tar_filter
        archive.extractall("{ROOM}")
    os.remove(path)
def find_packages(home):
    import site
    own = list(sys.path)
    site.addsitedir(home, set())
    new = sys.path[len(own):]
    at = [i for i, p in enumerate(own) if p.endswith("-packages")] or [len(own)]
    sys.path[:] = own[:at[0]] + new + own[at[0]:]
    for name, place in (("PATH", home + "/bin"), ("PYTHONPATH", home)):
        os.environ[name] = ":".join(filter(None, (place, os.environ.get(name))))
address, name, patience, limit = sys.argv[1], sys.argv[2], sys.argv[3], time.monotonic() + 60
blobs = sys.argv[4:]
trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
trust.load_verify_locations(cadata=certificate)
while True:
    try:
        hub = socket.create_connection((address, {PORT}), 10)
        hub.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        hub = trust.wrap_socket(hub, server_hostname="{NAME}")
        kind, _, nonce = line(hub)
        if kind == "hub":
            words = ["pod", name, shown(key.encode(), "pod", nonce), *blobs]
            hub.sendall((" ".join(words) + "\\n").encode())
            rooms = take(hub, int.from_bytes(take(hub, 4), "big"))
            break
        problem = "it is still starting"
        hub.close()
    except (OSError, ValueError) as error:
        problem = error
    if time.monotonic() > limit:
        sys.exit(f"The hub of the session at {{address}} cannot be reached: {{problem}}")
    time.sleep(0.2)
hub.settimeout(None)
try:
    for _ in blobs:
        unpack(hub)
    if os.path.isdir("{PACKAGES}"):
        find_packages("{PACKAGES}")
    settle(rooms)
except OSError as error:
    if not str(error.filename or "").startswith("/tmp"):
        raise
    sys.exit(f"Nothing can be written to /tmp in this image ({{error}}). Mount a volume there: "
             "pod_template=PodTemplate({{'volumes': [{{'name': 'tmp', 'emptyDir': {{}}}}]}})")
from flyte_jupyter.worker.dialled import main
main(hub, float(patience))
"""


@functools.cache
def packed_rooms() -> bytes:
    """Return the guest's rooms as an archive that Python imports from.

    It has bytecode for the kernel's own Python version; others take the sources. A container gets
    one file so: it would take longer to write two hundred than to import what is needed of them.

    Raises:
        OSError: the cache folder cannot be written.
    """
    folder = Path(guest_runtime())
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path in sorted(folder.rglob("*.py")):
            source, name = path.read_bytes(), str(path.relative_to(folder))
            # without a time: what is the same is the same archive
            archive.writestr(zipfile.ZipInfo(name), source, zipfile.ZIP_DEFLATED)
            bytecode = zipfile.ZipInfo(name + "c")
            archive.writestr(bytecode, _bytecode(source, name), zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def _bytecode(source: bytes, name: str) -> bytes:
    """Return what Python keeps of a module, in the form that is not compared with the source."""
    code = compile(source, f"/tmp/.flyte_jupyter.zip/{name}", "exec", dont_inherit=True)
    head = importlib.util.MAGIC_NUMBER + (1).to_bytes(4, "little")
    return head + importlib.util.source_hash(source) + marshal.dumps(code)
