"""The room runs on a bare Python 3.9: no package, no later syntax."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

PROGRAM = """
import asyncio, importlib, json, pkgutil, sys
import flyte_jupyter.spec as flyte
before = set(sys.modules)
for module in pkgutil.iter_modules(flyte.__path__):
    importlib.import_module("flyte_jupyter.spec." + module.name)
for name in flyte.__all__:
    getattr(flyte, name)
from flyte_jupyter.spec.settings import Settings, to_plain
env = flyte.TaskEnvironment(
    "ml-training",
    limits=flyte.Resources(cpu="8", mem="32Gi", gpu="1"),
    accelerator=flyte.GPUAccelerator.NVIDIA_A10G,
    image=flyte.Image.from_debian_base((3, 12)).with_pip_packages("pandas"),
    env_vars={"A": "1"}, secrets="key", cache="auto", reusable=flyte.ReusePolicy(),
    pod_template=flyte.PodTemplate({"a": 1}),
)
@env.task(retries=3, timeout=60)
async def work(x: int = 1) -> int:
    return x + 1
assert asyncio.run(work.override(queue="q")(x=2)) == 3
assert Settings.from_plain(json.loads(json.dumps(to_plain(env.settings)))) == env.settings
assert len(env.settings.image.content_hash) == 64
for value in (env, work, env.settings, env.resources, env.image, env.resources.device):
    repr(value), value._repr_html_()
try:
    flyte.TaskEnvironment("My Env")
except flyte.TaskEnvironment.__init__.__globals__["SpecTypeError"].__mro__[1] as error:
    print(error)
foreign = sorted(
    {name.split(".")[0] for name in set(sys.modules) - before} - {"flyte_jupyter"}
)
print(json.dumps(foreign))
"""


def find_python(minor: int) -> str | None:
    """Return an interpreter of Python 3.``minor``, from pyenv or the path."""
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    installed = sorted(versions.glob(f"3.{minor}.*/bin/python"))
    # a shim of pyenv is on the path whether or not its Python is switched on
    return str(installed[-1]) if installed else shutil.which(f"python3.{minor}")


@pytest.mark.parametrize("minor", [9, 10, 11, 12, 13])
def test_the_room_works_without_any_package(minor: int) -> None:
    python = find_python(minor)
    if python is None:
        pytest.skip(f"no Python 3.{minor} is installed here")
    done = subprocess.run(
        [python, "-I", "-S", "-W", "error", "-c",
         f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{PROGRAM}"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "did you mean 'my-env'?" in done.stdout


def test_the_room_imports_the_standard_library_only() -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c",
         f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{PROGRAM}"],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    import json

    foreign = set(json.loads(done.stdout.splitlines()[-1]))
    assert foreign <= set(sys.stdlib_module_names)


def test_a_module_of_the_room_can_be_used_without_the_others() -> None:
    program = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); import flyte_jupyter.spec.listeners; "
        "print([name for name in sys.modules if name.startswith('flyte_jupyter.spec.')])"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "['flyte_jupyter.spec.listeners']"
