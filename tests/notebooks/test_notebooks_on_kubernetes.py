"""The notebooks give on a cluster what is saved in them, each task in a pod of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.clusters import Place

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
# all cells of a notebook may take so many seconds, and this is no test of how fast they are
LIMIT = 600
# What the target is and makes of an environment is told there; every kernel looks for itself what an
# image in a cluster has.
OWN = ("%flyte_explain", "!{command} deploy")
IMAGE = "python:{}.{}-slim".format(*sys.version_info)

# Appended to each notebook: where every environment is. It goes to a file, since what is in a
# notebook is compared with what is saved there, and pods have new names each time.
WHERE = """
import json
import flyte_jupyter
from flyte_jupyter import catalog

def where() -> list:
    import importlib.metadata, socket
    boot = open("/proc/sys/kernel/random/boot_id").read().strip()
    packages = sorted({each.name for each in importlib.metadata.distributions()})
    return [socket.gethostname(), boot, packages]

declared = [each.value for each in catalog.current().environments.values()]
runs = {each.name: flyte_jupyter.run(each.task(where)) for each in declared}
with open("where.json", "w") as file:
    json.dump({name: run.result() for name, run in runs.items()}, file)
# nbval kills a kernel, which then leaves its pods to the cluster for a while
flyte_jupyter.shut_down()
"""
ON_ACCELERATORS = """
before, run_alphafold = run_alphafold, run_alphafold.override(
    resources=flyte.Resources(cpu=1, memory="1Gi", gpu="A100:2")
)
again = flyte.run(alphafold_workflow, fasta)
assert again.result() == picture
assert "gpu A100:2" in next(a.resources for a in again.actions if a.environment == "alphafold")
run_alphafold = before
"""


pytestmark = pytest.mark.timeout(LIMIT + 30)


def execute(path: Path, place: Place, folder: Path, *cells: str) -> dict[str, Any]:
    """Have nbval execute a notebook and more cells on the cluster, and return where all of it is.

    Args:
        path: the notebook.
        place: where in the cluster.
        folder: a folder of its own.
        cells: what comes behind it.
    """
    notebook: Any = nbformat.read(path, as_version=4)
    for one in notebook.cells:
        if one.source.startswith(OWN):
            one.metadata.tags = [*one.metadata.get("tags", ()), "nbval-ignore-output"]
    notebook.cells += [nbformat.v4.new_code_cell(cell, execution_count=1) for cell in cells]
    # a notebook may name those beside it, and tells the name of its folder
    beside = shutil.copytree(path.parent, folder / path.parent.name)
    copy = beside / path.name
    nbformat.write(notebook, copy)
    settings = ["-c", str(ROOT / "pyproject.toml"), "--rootdir", str(folder), f"--timeout={LIMIT}"]
    on_cluster = {"FLYTE_JUPYTER_TARGET": "kubernetes", "KUBECONFIG": place.kubeconfig}
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-n0",
            "-p",
            "no:cacheprovider",
            *settings,
            str(copy),
        ],
        cwd=ROOT,
        env={**os.environ, **on_cluster},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    places: dict[str, Any] = json.loads((beside / "where.json").read_text())
    return places


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_gives_the_same_on_kubernetes(
    path: Path, core: Any, place: Place, tmp_path: Path
) -> None:
    boots = {one.metadata.name: one.status.node_info.boot_id for one in core.list_node().items}
    places = execute(path, place, tmp_path, WHERE)
    assert places
    for name, (host, boot, packages) in places.items():
        pod = place.pods[host]
        assert pod.metadata.labels["flyte-jupyter/environment"] == name
        assert [each.image for each in pod.spec.containers] == [IMAGE]
        assert boots[pod.spec.node_name] == boot
        assert "ipykernel" not in packages
    assert len({host for host, _, _ in places.values()}) == len(places)


def test_a_step_of_a_workflow_goes_where_the_accelerators_are(
    core: Any, place: Place, node: Callable[..., None], tmp_path: Path
) -> None:
    node({"nvidia.com/gpu": 2}, {"nvidia.com/gpu.product": "NVIDIA-A100-SXM4-80GB"})
    before = set(place.pods)
    execute(ROOT / "notebooks" / "protein-structure.ipynb", place, tmp_path, ON_ACCELERATORS, WHERE)
    taken = {
        pod.metadata.labels["flyte-jupyter/environment"]: pod.spec.node_name
        for name, pod in place.workers().items()
        if name not in before
        and (pod.spec.containers[0].resources.limits or {}).get("nvidia.com/gpu") == "2"
    }
    assert list(taken) == ["alphafold"]
    assert taken["alphafold"] in {one.metadata.name for one in core.list_node().items}
