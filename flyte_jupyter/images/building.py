"""One environment filled: a virtual environment, the packages of each layer, the files."""

from __future__ import annotations

import os
from pathlib import Path

from flyte_jupyter.errors import ImageBuildError
from flyte_jupyter.images.indexes import uv_environment
from flyte_jupyter.images.installing import run, wanted
from flyte_jupyter.images.interpreters import Interpreter, Interpreters
from flyte_jupyter.images.recipe import Installation, Recipe
from flyte_jupyter.images.sharing import Progress, silent
from flyte_jupyter.images.sources import copy_sources
from flyte_jupyter.spec import layers

__all__ = ["fetch_python", "fill"]


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
    await run("A virtual environment", make, uv_environment(), silent)
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
        await run(f"Python {text}", ["python", "install", text], uv_environment(), say)
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
    asked = wanted(layer, folder)
    environ = dict(asked.environ)
    if isinstance(layer, layers.UvProject):
        arguments = _project(layer, folder)
        environ["VIRTUAL_ENV"] = str(folder)
    else:
        arguments = ["pip", "install", "--python", str(folder / "bin" / "python")]
    arguments += [*asked.options, *asked.packages]
    say(f"Installing {layer}")
    await run(str(layer), arguments, environ, say)


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
