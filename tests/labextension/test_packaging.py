"""What an installation brings of the extension: built, from a source distribution, and without."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import uv

from flyte_jupyter import __version__

ROOT = Path(__file__).parents[2]
BUNDLE = ROOT / "flyte_jupyter" / "labextension"
PLACE = f"flyte_jupyter-{__version__}.data/data/share/jupyter/labextensions/flyte-jupyter"
REASON = "flyte_jupyter/labextension_missing.txt"
# what a build takes beside the sources: no tests, no notebooks but the one that is in the wheel
TAKEN = ("pyproject.toml", "README.md", "LICENSE", "flyte_jupyter", "labextension")

Build = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def bundle() -> Path:
    """The bundle, up to date."""
    command = [sys.executable, str(ROOT / "labextension" / "bundle.py")]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    if built.returncode:
        pytest.skip(f"needs the JupyterLab extension: {built.stderr.strip()}")
    return BUNDLE


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the sources without the bundle, and without what was fetched to build it."""
    left = shutil.ignore_patterns("node_modules", "__pycache__", ".yarn")
    folder = tmp_path / "checkout"
    for name in TAKEN:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=left)
        else:
            folder.mkdir(exist_ok=True)
            shutil.copy(source, folder / name)
    (folder / "notebooks").mkdir()
    shutil.copy(ROOT / "notebooks" / "quickstart.ipynb", folder / "notebooks")
    shutil.rmtree(folder / "flyte_jupyter" / "labextension", ignore_errors=True)
    return folder


@pytest.fixture
def build(tmp_path: Path) -> Build:
    """A function that builds a distribution, on its own, as installers do."""

    def run(source: Path, kind: str, **variables: str) -> subprocess.CompletedProcess[str]:
        command = [uv.find_uv_bin(), "build", "--python", sys.executable, f"--{kind}"]
        environment = {**os.environ, **variables}
        return subprocess.run(
            [*command, "-o", str(tmp_path / "dist"), str(source)],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def wheel_of(folder: Path) -> zipfile.ZipFile:
    (found,) = folder.glob("*.whl")
    return zipfile.ZipFile(found)


def test_an_installation_brings_the_extension_enabled_and_of_its_version(
    bundle: Path, tmp_path: Path
) -> None:
    program = uv.find_uv_bin()
    venv = tmp_path / "venv"
    subprocess.run([program, "venv", "-q", "--python", sys.executable, str(venv)], check=True)
    python = str(venv / "bin" / "python")
    install = [program, "pip", "install", "-q", "--python", python, "--no-deps", str(ROOT)]
    subprocess.run(install, check=True)
    share = venv / "share" / "jupyter"
    package = json.loads((share / "labextensions" / "flyte-jupyter" / "package.json").read_text())
    assert package["version"] == __version__
    # the JupyterLab of the tests, seeing what was installed there and nothing of its user's
    own = {name: str(tmp_path / name) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR")}
    listed = subprocess.run(
        [sys.executable, "-m", "jupyter", "labextension", "list"],
        env={**os.environ, **own, "JUPYTER_PATH": str(share), "JUPYTER_PREFER_ENV_PATH": "0"},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = (listed.stdout + listed.stderr).splitlines()
    (line,) = [line for line in lines if "flyte-jupyter v" in line]
    assert f"flyte-jupyter v{__version__}" in line
    assert "enabled" in line
    assert "OK" in line
    assert "(python, flyte_jupyter)" in line


def test_a_wheel_of_a_source_distribution_needs_no_node(
    bundle: Path, build: Build, tmp_path: Path
) -> None:
    made = build(ROOT, "sdist", FLYTE_JUPYTER_RELEASE="1")
    assert made.returncode == 0, made.stderr
    (source,) = (tmp_path / "dist").glob("*.tar.gz")
    nothing = tmp_path / "nothing"
    nothing.mkdir()
    made = build(source, "wheel", PATH=str(nothing))
    assert made.returncode == 0, made.stderr
    wheel = wheel_of(tmp_path / "dist")
    names = set(wheel.namelist())
    assert REASON not in names
    assert wheel.read(f"{PLACE}/sources.sha256") == (bundle / "sources.sha256").read_bytes()
    shipped = {
        f"{PLACE}/{file.relative_to(bundle)}" for file in bundle.rglob("*") if file.is_file()
    }
    assert shipped <= names
    assert not any(name.startswith("flyte_jupyter/labextension/") for name in names)


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_without_the_registry_an_installation_succeeds_loudly_and_a_release_does_not(
    checkout: Path, build: Build, tmp_path: Path, kind: str
) -> None:
    closed = {
        "YARN_NPM_REGISTRY_SERVER": "http://127.0.0.1:9",
        "YARN_UNSAFE_HTTP_WHITELIST": "127.0.0.1",
        "YARN_GLOBAL_FOLDER": str(tmp_path / "yarn"),
        "YARN_HTTP_RETRY": "0",
    }
    if kind == "wheel":
        made = build(checkout, kind, **closed)
        assert made.returncode == 0, made.stderr
        assert "WITHOUT its JupyterLab extension" in made.stderr + made.stdout
        wheel = wheel_of(tmp_path / "dist")
        assert "npm packages cannot be fetched" in wheel.read(REASON).decode()
        assert not any("labextensions" in name for name in wheel.namelist())
        closed["FLYTE_JUPYTER_RELEASE"] = "1"
    made = build(checkout, kind, **closed)
    assert made.returncode != 0
    assert "A release has the JupyterLab extension, but" in made.stderr


def test_what_is_up_to_date_is_not_built_again_and_what_was_changed_is_not_taken(
    bundle: Path, checkout: Path, build: Build, tmp_path: Path
) -> None:
    shutil.copytree(bundle, checkout / "flyte_jupyter" / "labextension")
    skip = {"FLYTE_JUPYTER_SKIP_LABEXTENSION": "1"}
    assert build(checkout, "wheel", **skip).returncode == 0
    assert f"{PLACE}/package.json" in wheel_of(tmp_path / "dist").namelist()
    with (checkout / "labextension" / "src" / "words.ts").open("a") as file:
        file.write("// changed\n")
    made = build(checkout, "wheel", **skip)
    assert made.returncode == 0, made.stderr
    wheel = wheel_of(tmp_path / "dist")
    assert f"{PLACE}/package.json" not in wheel.namelist()
    assert "SKIP_LABEXTENSION says to leave it out" in wheel.read(REASON).decode()
