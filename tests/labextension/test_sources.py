"""The extension's sources: their own tests, and what must agree with the package."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from flyte_jupyter.notebook.comm import TARGET, protocol

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "labextension"


def test_what_is_plain_logic_is_right() -> None:
    node = shutil.which("node")
    if node is None or not (SOURCES / "node_modules" / "@rspack" / "core").exists():
        pytest.skip("without Node, or what the extension is built with, its logic is not tried")
    done = subprocess.run(
        [node, "test/run.mjs"], cwd=SOURCES, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^# pass [1-9]", done.stdout, re.MULTILINE)


def test_the_types_agree() -> None:
    compiler = SOURCES / "node_modules" / "typescript" / "bin" / "tsc"
    node = shutil.which("node")
    if node is None or not compiler.exists():
        pytest.skip("types are checked where `jlpm install` has brought JupyterLab's own")
    done = subprocess.run(
        [node, str(compiler), "--noEmit"], cwd=SOURCES, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_both_packages_have_one_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert json.loads((SOURCES / "package.json").read_text())["version"] == project["version"]


def test_both_ends_of_the_comm_speak_one_protocol() -> None:
    source = (SOURCES / "src" / "protocol.ts").read_text()
    assert f"export const TARGET = '{TARGET}'" in source
    assert f"export const VERSION = {protocol.VERSION};" in source
    parts = re.search(r"PARTS: readonly Part\[\] = \[(.*?)\]", source, re.DOTALL)
    assert parts is not None
    assert tuple(re.findall(r"'(\w+)'", parts[1])) == protocol.PARTS
    beats = re.search(r"HEARTBEAT = ([\d_]+);", source)
    assert beats is not None
    assert int(beats[1]) / 1000 * 2 < protocol.SILENCE


def test_the_lock_names_no_registry() -> None:
    for name in ("yarn.lock", ".yarnrc.yml", "package.json"):
        text = (SOURCES / name).read_text()
        assert not re.search(r"https?://", text), name
