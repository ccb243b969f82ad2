"""Whether JupyterLab has the extension of this package, of the same version, and lets it work."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from flyte_jupyter.doctor.finding import Finding

__all__ = ["examine_extension", "why_missing"]

NAME = "flyte-jupyter"
SUBJECT = "JupyterLab"
REASON = Path(__file__).parents[1] / "labextension_missing.txt"
AGAIN = "Everything else works without it; to get it, install flyte_jupyter again."


def why_missing() -> str:
    """Return why this package was installed without the extension; empty if it was not."""
    try:
        return REASON.read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def examine_extension() -> Finding:
    """Return what is found out of the extension, where Jupyter of this Python looks for it."""
    from flyte_jupyter import __version__

    package = _package()
    if package is None:
        why = why_missing()
        words = f"it was left out when this package was installed: {why}" if why else AGAIN
        found = "the extension with the side bar is not installed."
        return Finding(SUBJECT, False, f"{found} {words}", (AGAIN,) if why else ())
    version, where = str(_read(package).get("version")), (str(package.parent),)
    if version != __version__:
        words = f"the extension is of version {version} and the package of version {__version__}"
        return Finding(SUBJECT, False, f"{words}. {AGAIN}", where)
    off = next((file for file in _settings() if _is_off(file)), None)
    if off is not None:
        words = f"its extension is switched off: jupyter labextension enable {NAME}"
        return Finding(SUBJECT, False, words, (f"by {off}", *where))
    return Finding(SUBJECT, True, f"its extension {version} is installed and enabled.", where)


def _package() -> Path | None:
    from jupyter_core.paths import jupyter_path

    for folder in jupyter_path("labextensions"):
        file = Path(folder, NAME, "package.json")
        if file.is_file():
            return file
    return None


def _settings() -> Iterator[Path]:
    from jupyter_core.paths import jupyter_config_path

    for folder in jupyter_config_path():
        yield Path(folder, "labconfig", "page_config.json")
    for folder in jupyter_config_path():
        yield from sorted(Path(folder, "labconfig").glob("page_config.d/*.json"))


def _is_off(file: Path) -> bool:
    said = _read(file).get("disabledExtensions") if os.path.exists(file) else None
    # older ones are a list of names
    names = [name for name, off in said.items() if off] if isinstance(said, dict) else said or []
    return any(name == NAME or name.startswith(f"{NAME}:") for name in names)


def _read(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
