"""One environment filled: a virtual environment, the packages of each layer, the files."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from flyte_jupyter.errors import ImageBuildError, SecretError
from flyte_jupyter.images.failures import failure, is_network_failure
from flyte_jupyter.images.indexes import add_indexes, uv_environment
from flyte_jupyter.images.interpreters import Interpreter, Interpreters
from flyte_jupyter.images.recipe import Installation, Recipe
from flyte_jupyter.images.redaction import redact, secret_values
from flyte_jupyter.images.sources import copy_sources
from flyte_jupyter.images.uv import run_uv
from flyte_jupyter.spec import layers
from flyte_jupyter.spec.secret import Secret

__all__ = ["fetch_python", "fill"]

Progress = Callable[[str], None]
CACHE_ONLY = "The package index cannot be reached; trying what uv's cache has"


async def fill(folder: Path, recipe: Recipe, interpreter: Interpreter, say: Progress) -> None:
    """Build what a recipe asks for.

    Args:
        folder: an empty folder, which can be renamed afterwards.
        recipe: what to put in it.
        interpreter: the Python it stands on.
        say: called with one line for each step.

    Raises:
        ImageBuildError: uv could not do it, or a file is not as it was.
        SecretError: a secret that a layer needs for its installation is not set.
    """
    import asyncio

    say(f"Making a virtual environment of Python {interpreter.text}")
    # relocatable, since the folder gets its name only when it is whole
    make = ["venv", "--no-project", "--relocatable", "--allow-existing"]
    make += ["--python", interpreter.path, str(folder)]
    await _run("A virtual environment", make, uv_environment(), lambda _: None)
    for layer in recipe.installations:
        await _install(folder, layer, say)
    if recipe.sources:
        say("Copying files")
        await asyncio.to_thread(copy_sources, recipe, folder / "files")
        for packages in (folder / "lib").glob("python*/site-packages"):
            (packages / "flyte_jupyter_files.pth").write_text("../../../files\n")


async def fetch_python(
    version: tuple[int, int], interpreters: Interpreters, say: Progress
) -> Interpreter:
    """Have uv fetch a Python that this machine does not have.

    Raises:
        ImageBuildError: it cannot be had.
    """
    import asyncio

    text = "{}.{}".format(*version)
    say(f"Fetching Python {text}")
    try:
        await _run(f"Python {text}", ["python", "install", text], uv_environment(), say)
    except ImageBuildError as error:
        have = ", ".join(one.text for one in await asyncio.to_thread(interpreters.installed))
        raise ImageBuildError(
            f"Python {text} is not installed on this machine, and uv could not fetch it.",
            evidence=error.evidence,
            remedy=f"Install it, or take one that is here ({have}); a Python in an unusual place "
            "is found through FLYTE_JUPYTER_PYTHONS.",
        ) from None
    found = await asyncio.to_thread(interpreters.find, version)
    if found is None:
        raise ImageBuildError(
            f"uv fetched Python {text}, but it is not to be found.",
            remedy="Set FLYTE_JUPYTER_PYTHONS to its path.",
        )
    return found


async def _install(folder: Path, layer: Installation, say: Progress) -> None:
    environ = uv_environment() | _secrets(layer.secret_mounts)
    if isinstance(layer, layers.UvProject):
        arguments = _project(layer, folder)
        environ["VIRTUAL_ENV"] = str(folder)
    else:
        arguments = ["pip", "install", "--python", str(folder / "bin" / "python")]
        arguments += ["--prerelease", "allow"] if layer.pre else []
        arguments += _wanted(layer, folder)
        environ = add_indexes(environ, layer.index_url, layer.extra_index_urls)
    arguments += shlex.split(layer.extra_args or "")
    say(f"Installing {layer}")
    await _run(str(layer), arguments, environ, say)


def _wanted(layer: layers.PipPackages | layers.Requirements, folder: Path) -> list[str]:
    if isinstance(layer, layers.PipPackages):
        return list(layer.packages)
    try:
        current = tuple(Path(layer.path).read_text("utf-8").splitlines())
    except (OSError, UnicodeDecodeError):
        current = ()
    if current == layer.lines:
        return ["-r", layer.path]  # so that what it includes is found beside it
    copy = folder / "requirements.txt"
    copy.write_text("\n".join(layer.lines) + "\n", "utf-8")
    return ["-r", str(copy)]


def _project(layer: layers.UvProject, folder: Path) -> list[str]:
    home = os.path.dirname(layer.pyproject)
    if layer.uvlock is None:
        # without a lock file uv would write one into the user's project
        python = str(folder / "bin" / "python")
        what = [home] if layer.install_project else ["-r", layer.pyproject]
        return ["pip", "install", "--python", python, *what]
    arguments = ["sync", "--frozen", "--active", "--inexact", "--no-dev", "--no-editable"]
    arguments += ["--project", home]
    return arguments if layer.install_project else [*arguments, "--no-install-project"]


def _secrets(mounts: Sequence[Secret]) -> dict[str, str]:
    """Return the variables of the secrets that an installation needs."""
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


async def _run(what: str, arguments: list[str], environ: Mapping[str, str], say: Progress) -> None:
    hidden = secret_values(environ)

    def told(line: str) -> None:
        if line.strip():
            say(redact(line.strip(), hidden))

    outcome = await run_uv(arguments, environ, told)
    if outcome.code != 0 and is_network_failure(outcome.lines) and not environ.get("UV_OFFLINE"):
        say(CACHE_ONLY)
        again = await run_uv([*arguments, "--offline"], environ, lambda _: None)
        # of two failures the first one tells why
        outcome = again if again.code == 0 else outcome
    if outcome.code != 0:
        raise failure(redact(what, hidden), [redact(line, hidden) for line in outcome.lines])
