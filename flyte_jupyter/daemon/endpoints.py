"""Where an engine may listen, in the order in which the docker command looks."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flyte_jupyter.errors import TargetError
from flyte_jupyter.spec.naming import did_you_mean

__all__ = ["Endpoint", "endpoints"]

DEFAULT = "/var/run/docker.sock"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address at which an engine may answer.

    Args:
        url: ``unix://…``, ``tcp://…`` or ``ssh://…``.
        origin: what names it, in words; empty for a place that is only tried.
        ca, cert, key: files of TLS, or None.
        verify: check the engine's certificate.
    """

    url: str
    origin: str = ""
    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    verify: bool = True

    @property
    def socket(self) -> str | None:
        """Path of the unix socket, None for an engine elsewhere."""
        return self.url.removeprefix("unix://") if self.url.startswith("unix://") else None


def endpoints(
    options: Mapping[str, Any], environ: Mapping[str, str] = os.environ
) -> list[Endpoint]:
    """Return where to look for the engine: the one place that is named, else the usual ones.

    Args:
        options: ``host`` (an address) or ``context`` (a name of ``docker context ls``).
        environ: variables of the kernel.

    Raises:
        TargetError: the context that is named does not exist.
    """
    if options.get("host"):
        return [_address(str(options["host"]), "the option host", environ)]
    if options.get("context"):
        return [_context(str(options["context"]), "the option context", environ)]
    if environ.get("DOCKER_HOST"):
        return [_address(environ["DOCKER_HOST"], "DOCKER_HOST", environ)]
    if environ.get("DOCKER_CONTEXT"):
        return [_context(environ["DOCKER_CONTEXT"], "DOCKER_CONTEXT", environ)]
    settings = _json(_settings(environ) / "config.json")
    if settings.get("currentContext") not in (None, "", "default"):
        return [_context(str(settings["currentContext"]), "the current context", environ)]
    return [Endpoint("unix://" + path) for path in _usual(environ)]


def _address(text: str, origin: str, environ: Mapping[str, str]) -> Endpoint:
    url = text.strip()
    if url.startswith("/"):
        url = "unix://" + url
    elif "://" not in url:
        url = "tcp://" + url
    if url.startswith("unix://"):
        return Endpoint(url, origin)
    if not url.startswith(("tcp://", "http://", "https://", "ssh://")):
        raise TargetError(
            f"{origin[:1].upper()}{origin[1:]} says {text!r}, which is no address of an engine.",
            remedy="Write unix:///path, tcp://host:port or ssh://user@host.",
        )
    verify = environ.get("DOCKER_TLS_VERIFY", "") != ""
    folder = environ.get("DOCKER_CERT_PATH") or (str(_settings(environ)) if verify else "")
    if not folder or url.startswith("ssh://"):
        return Endpoint(url, origin)
    ca, cert, key = (
        os.path.abspath(os.path.join(folder, f"{name}.pem")) for name in ("ca", "cert", "key")
    )
    return Endpoint(url, origin, ca, cert, key, verify)


def _context(name: str, origin: str, environ: Mapping[str, str]) -> Endpoint:
    if name == "default":
        return Endpoint("unix://" + DEFAULT, "the context 'default'")
    home = _settings(environ) / "contexts"
    place = hashlib.sha256(name.encode()).hexdigest()
    described = _json(home / "meta" / place / "meta.json")
    engine = described.get("Endpoints", {}).get("docker", {})
    if not engine.get("Host"):
        known = [_json(file).get("Name", "") for file in home.glob("meta/*/meta.json")]
        raise TargetError(
            f"{origin[:1].upper()}{origin[1:]} names {name!r}, but docker has no such context"
            + (did_you_mean(name, ["default", *filter(None, known)]) or "."),
            remedy="See 'docker context ls', and choose one with 'docker context use NAME'.",
        )
    files: dict[str, str] = {}
    for file in sorted((home / "tls" / place / "docker").glob("*.pem")):
        files[file.name.partition(".")[0]] = str(file)
    return Endpoint(
        str(engine["Host"]),
        f"the context {name!r}",
        files.get("ca"),
        files.get("cert"),
        files.get("key"),
        not engine.get("SkipTLSVerify", False),
    )


def _usual(environ: Mapping[str, str]) -> list[str]:
    home = environ.get("HOME") or os.path.expanduser("~")
    places = [DEFAULT]
    runtime = environ.get("XDG_RUNTIME_DIR") or (
        f"/run/user/{os.getuid()}" if sys.platform == "linux" else ""
    )
    if runtime:
        places.append(os.path.join(runtime, "docker.sock"))
    places += [f"{home}/.docker/run/docker.sock", f"{home}/.docker/desktop/docker.sock"]
    places += [f"{home}/.colima/default/docker.sock", f"{home}/.rd/docker.sock"]
    if runtime:
        places.append(os.path.join(runtime, "podman/podman.sock"))
    return [*places, "/run/podman/podman.sock"]


def _settings(environ: Mapping[str, str]) -> Path:
    home = environ.get("HOME") or os.path.expanduser("~")
    return Path(environ.get("DOCKER_CONFIG") or os.path.join(home, ".docker"))


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
