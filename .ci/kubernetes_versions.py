"""Proves the range of the Kubernetes client that pyproject.toml names, at both of its ends.

Makes an environment for each end, and runs there what touches the client most, against the cluster
that KUBECONFIG names.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
TESTS = ["tests/cluster/test_credentials.py", "tests/cluster/test_rights.py"]


def main() -> int:
    """Test each end; the exit status is 0 where all is well."""
    if not os.environ.get("KUBECONFIG"):
        print("name a cluster in KUBECONFIG: export KUBECONFIG=$(python .ci/cluster.py up)")
        return 2
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    row = next(one for one in wanted if one.startswith("kubernetes"))
    found = re.fullmatch(r"kubernetes>=(\d+),<(\d+)", row)
    if found is None:
        print(f"{row!r} is no range of whole versions")
        return 2
    first, beyond = map(int, found.groups())
    failed = [
        version for version in (f"{first}.0.0", f"{beyond - 1}.*") if not _works(f"=={version}")
    ]
    for version in failed:
        print(f"kubernetes {version} does not work")
    return 1 if failed else 0


def _works(version: str) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder, "venv")
        subprocess.run(["uv", "venv", "--quiet", "--python", sys.executable, place], check=True)
        python = place / "bin" / "python"
        install = ["uv", "pip", "install", "--quiet", "--python", python]
        subprocess.run([*install, f"kubernetes{version}", ".[test]"], cwd=ROOT, check=True)
        told = "from importlib.metadata import version; print('kubernetes', version('kubernetes'))"
        subprocess.run([python, "-c", told], check=True)
        return not subprocess.run([python, "-m", "pytest", "-q", *TESTS], cwd=ROOT).returncode


if __name__ == "__main__":
    sys.exit(main())
