"""What uv is told to install a layer, wherever that goes, and what becomes of its answer."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from flyte_jupyter.errors import ImageBuildError, SecretError
from flyte_jupyter.images.failures import failure, is_network_failure
from flyte_jupyter.images.indexes import add_indexes, uv_environment
from flyte_jupyter.images.recipe import Installation
from flyte_jupyter.images.redaction import redact, secret_values
from flyte_jupyter.images.sharing import Progress
from flyte_jupyter.images.uv import Outcome, run_uv
from flyte_jupyter.spec import layers
from flyte_jupyter.spec.secret import Secret

__all__ = ["Wanted", "read_secrets", "refused", "run", "tried", "wanted"]

CACHE_ONLY = "The package index cannot be reached; trying what uv's cache has"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a layer asks uv for.

    Args:
        packages: requirements, or options that name files of them.
        options: what the layer says beside its packages.
        environ: all variables of uv, with the layer's indexes and secrets.
    """

    packages: tuple[str, ...]
    options: tuple[str, ...]
    environ: Mapping[str, str]


def wanted(layer: Installation, scratch: Path) -> Wanted:
    """Return what a layer asks uv for.

    Args:
        layer: the layer; of a project of uv only variables and options are told.
        scratch: folder for what has to lie in a file.

    Raises:
        SecretError: a secret that the installation needs is not set.
    """
    environ = uv_environment() | read_secrets(layer.secret_mounts)
    options = tuple(shlex.split(layer.extra_args or ""))
    if isinstance(layer, layers.UvProject):
        return Wanted((), options, environ)
    environ = add_indexes(environ, layer.index_url, layer.extra_index_urls)
    pre = ("--prerelease", "allow") if layer.pre else ()
    return Wanted(_packages(layer, scratch), (*pre, *options), environ)


def read_secrets(mounts: Sequence[Secret]) -> dict[str, str]:
    """Return the variables of the secrets that an installation needs.

    Raises:
        SecretError: one of them is not set.
    """
    found = {}
    for secret in mounts:
        name = secret.variable or secret.key
        value = os.environ.get(name) or os.environ.get(secret.key)
        if value is None:
            raise SecretError(
                f"The secret {secret.key!r}, which an installation needs, is not set.",
                remedy=f"Set {name} in the environment of the kernel.",
            )
        found[name] = value
    return found


async def run(
    what: str, arguments: Sequence[str], environ: Mapping[str, str], say: Progress
) -> Outcome:
    """Run uv, with what its cache has where an index cannot be reached.

    Raises:
        ImageBuildError: uv could not do it.
    """
    outcome = await tried(arguments, environ, say)
    if outcome.code != 0:
        raise refused(what, outcome, environ)
    return outcome


async def tried(arguments: Sequence[str], environ: Mapping[str, str], say: Progress) -> Outcome:
    """Run uv and return how it ended, whether or not it could do it."""
    hidden = secret_values(environ)

    def told(line: str) -> None:
        # how it failed is told by the error, if it comes to that
        if line.strip() and not re.match(r"\s*(?:error|cause|hint|warning):", line):
            say(redact(line.strip(), hidden))

    outcome = await run_uv(arguments, environ, told)
    if outcome.code != 0 and is_network_failure(outcome.lines) and not environ.get("UV_OFFLINE"):
        say(CACHE_ONLY)
        again = await run_uv([*arguments, "--offline"], environ, lambda _: None)
        # of two failures the first one tells why
        outcome = again if again.code == 0 else outcome
    return outcome


def refused(what: str, outcome: Outcome, environ: Mapping[str, str]) -> ImageBuildError:
    """Return the error for a run of uv that failed, with nothing secret in it."""
    hidden = secret_values(environ)
    return failure(redact(what, hidden), [redact(line, hidden) for line in outcome.lines])


def _packages(layer: layers.PipPackages | layers.Requirements, scratch: Path) -> tuple[str, ...]:
    if isinstance(layer, layers.PipPackages):
        return layer.packages
    try:
        current = tuple(Path(layer.path).read_text("utf-8").splitlines())
    except (OSError, UnicodeDecodeError):
        current = ()
    if current == layer.lines:
        return ("-r", layer.path)  # so that what it includes is found beside it
    copy = scratch / "requirements.txt"
    copy.write_text("\n".join(layer.lines) + "\n", "utf-8")
    return ("-r", str(copy))
