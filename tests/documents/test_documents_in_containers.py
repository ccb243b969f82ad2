"""On docker the environments of the documents are containers, each of the image that it names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from document_accounts import ACCOUNTS, BY_NAME, only

each = pytest.mark.parametrize("played", ACCOUNTS, indirect=True, ids=lambda a: a.name)
on_docker = pytest.mark.parametrize("target", ["docker"], indirect=True, scope="module")

WHERE = """
import importlib.metadata, os, platform, socket

def where() -> dict:
    return {
        "host": socket.gethostname(),
        "container": os.path.exists("/.dockerenv") or os.path.exists("/run/.containerenv"),
        "packages": sorted({each.name for each in importlib.metadata.distributions()}),
        "system": platform.freedesktop_os_release()["VERSION_CODENAME"],
        "python": platform.python_version(),
    }

from flyte_jupyter import catalog
runs = {
    name: flyte.run(declared.value.task(where))
    for name, declared in catalog.current().environments.items()
}
places = {name: run.result() for name, run in runs.items()}
here = where()
"""
# what the kernel has and no image of a document
OF_THE_KERNEL = {"ipykernel", "jupyterlab", "flyte_jupyter", "nbclient"}


@on_docker
@each
def test_every_environment_is_a_container_without_the_kernels_packages(played: Any) -> None:
    kernel = played.kernel
    kernel.does(WHERE)
    places, here = kernel.value("places"), kernel.value("here")
    assert set(places) >= set(played.account.environments)
    assert set(here["packages"]) >= OF_THE_KERNEL
    for name, place in places.items():
        assert place["container"], name
        assert place["host"] != here["host"], name
        assert not OF_THE_KERNEL & set(place["packages"]), name


@on_docker
@only("depends-on")
def test_an_environment_has_the_system_and_the_python_of_the_image_it_names(
    played: Any, inside: Callable[[str], tuple[str, str]]
) -> None:
    kernel = played.kernel
    kernel.does(WHERE)
    for name, image in (
        ("base", "python:3.12"),
        ("ml", "pytorch:latest"),
        ("api", "fastapi:latest"),
    ):
        place = kernel.value(f"places[{name!r}]")
        assert (place["system"], place["python"]) == inside(image), name


@on_docker
@only("task-environment")
def test_an_environment_has_the_packages_that_its_image_adds(played: Any) -> None:
    kernel = played.kernel
    kernel.does(WHERE)
    packages = {name: kernel.value(f"places[{name!r}]['packages']") for name in ("ml_env", "light")}
    assert {"pandas", "scikit-learn"} <= set(packages["ml_env"])
    assert not {"pandas", "scikit-learn"} & set(packages["light"])


@on_docker
def test_a_block_that_asks_for_accelerators_is_explained_without_any(
    documents: Any, kernel: Any
) -> None:
    account = BY_NAME["depends-on"]
    for source in (*account.preamble, documents[account.digest].python[0]):
        kernel.does(source)
    explained = kernel.does("%flyte_explain train_model").shown.splitlines()
    assert "    image = pytorch:latest  (environment)" in explained
    assert any(line.endswith("gpu A100:2  (environment)") for line in explained)
    assert "  on docker" in explained
    kernel.does("from flyte_jupyter.spec.graph import waves")
    plan = kernel.value("[[each.name for each in wave] for wave in waves([ml_env, base_env])]")
    assert plan == [["base-utils"], ["ml-training"]]
