"""What the doctor says of the extension."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flyte_jupyter import __version__
from flyte_jupyter.doctor import lab


@pytest.fixture(autouse=True)
def jupyter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Jupyter's folders, of which nothing else is seen."""
    import jupyter_core.paths

    for name in ("ENV_JUPYTER_PATH", "SYSTEM_JUPYTER_PATH"):
        monkeypatch.setattr(jupyter_core.paths, name, [])
    for name in ("ENV_CONFIG_PATH", "SYSTEM_CONFIG_PATH"):
        monkeypatch.setattr(jupyter_core.paths, name, [])
    monkeypatch.setenv("JUPYTER_NO_CONFIG", "")
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path / "config"))
    return tmp_path


def install(jupyter: Path, version: str) -> None:
    place = jupyter / "data" / "labextensions" / "flyte-jupyter"
    place.mkdir(parents=True)
    (place / "package.json").write_text(json.dumps({"version": version}))


def test_an_extension_that_is_not_installed_is_told_with_its_reason(
    jupyter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finding = lab.examine_extension()
    assert not finding.usable
    assert finding.sentence.startswith("the extension with the side bar is not installed. Every")
    (jupyter / "reason.txt").write_text("npm packages cannot be fetched.\n")
    monkeypatch.setattr(lab, "REASON", jupyter / "reason.txt")
    assert (
        "when this package was installed: npm packages cannot" in lab.examine_extension().sentence
    )


def test_an_extension_of_the_same_version_is_usable(jupyter: Path) -> None:
    install(jupyter, __version__)
    finding = lab.examine_extension()
    assert finding.usable
    assert finding.sentence == f"its extension {__version__} is installed and enabled."


def test_an_extension_of_another_version_is_not(jupyter: Path) -> None:
    install(jupyter, "0.0.9")
    finding = lab.examine_extension()
    assert not finding.usable
    assert f"of version 0.0.9 and the package of version {__version__}" in finding.sentence


@pytest.mark.parametrize("off", [{"flyte-jupyter": True}, {"flyte-jupyter:plugin": True}])
def test_an_extension_that_is_switched_off_is_told_with_what_switches_it_on(
    jupyter: Path, off: dict[str, bool]
) -> None:
    install(jupyter, __version__)
    folder = jupyter / "config" / "labconfig"
    folder.mkdir(parents=True)
    (folder / "page_config.json").write_text(json.dumps({"disabledExtensions": off}))
    finding = lab.examine_extension()
    assert not finding.usable
    assert "jupyter labextension enable flyte-jupyter" in finding.sentence
