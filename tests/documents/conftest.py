"""Kernels that execute documents, and the documents themselves, which are not in this repository.

Set ``FLYTE_JUPYTER_DOCUMENTS`` to the folder that has them.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

sys.path.insert(0, str(Path(__file__).parent))

from document_accounts import Account
from document_parts import Document, read_folder

from tests.clusters import Place

VARIABLE = "FLYTE_JUPYTER_DOCUMENTS"
# the images that the documents name, beside the default one
IMAGES = ("python:3.12", "python:3.12-slim", "pytorch:latest", "fastapi:latest")
# those of them that are in no registry
NOWHERE = ("pytorch:latest", "fastapi:latest")
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture(scope="session")
def documents() -> dict[str, Document]:
    """Every document of the folder by its digest."""
    folder = os.environ.get(VARIABLE)
    if not folder:
        pytest.skip(f"needs the documents: set {VARIABLE} to the folder that has them")
    return read_folder(Path(folder))


@pytest.fixture(scope="module", params=("local", "docker", "kubernetes"))
def target(request: pytest.FixtureRequest) -> Iterator[str]:
    """The target that a kernel takes where a document names none: each in turn."""
    if request.param == "local":
        yield "local"
        return
    if request.param == "kubernetes":
        place: Place = request.getfixturevalue("place")
        has_images(request.getfixturevalue("core"))
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("KUBECONFIG", place.kubeconfig)
            yield "kubernetes"
        return
    request.getfixturevalue("docker_engine")
    needs_image: Callable[[str], str] = request.getfixturevalue("needs_image")
    for image in IMAGES:
        needs_image(image)
    gone: Callable[[float], None] = request.getfixturevalue("gone")
    start = time.time()
    yield "docker"
    gone(start)


def has_images(core: Any) -> None:
    """Skip unless a node has the images that are in no registry."""
    there = {
        name
        for node in core.list_node().items
        for i in node.status.images
        for name in i.names or ()
    }
    for image in NOWHERE:
        if f"docker.io/library/{image}" not in there:
            pytest.skip(
                f"needs the image {image} in the cluster: python .ci/cluster.py load {image}"
            )


LOOK = """
import platform
rows = dict(line.rstrip().split("=", 1) for line in open("/etc/os-release") if "=" in line)
print(rows["VERSION_CODENAME"], platform.python_version())
"""


@pytest.fixture(scope="session")
def inside(docker_engine: Any) -> Callable[[str], tuple[str, str]]:
    """A function that returns release and Python of an image, as a container of it says them."""

    def look(image: str) -> tuple[str, str]:
        container = docker_engine.api.create_container(image, ["python3", "-c", LOOK])
        try:
            docker_engine.api.start(container)
            assert docker_engine.api.wait(container)["StatusCode"] == 0
            system, python = docker_engine.api.logs(container, stderr=False).decode().split()
        finally:
            docker_engine.api.remove_container(container, force=True)
        return system, python

    return look


@dataclass(frozen=True)
class Answer:
    """What a cell gave.

    Args:
        printed: standard output, without the end of its last line.
        shown: text of the displays and of the result.
        error: what it failed with, ``""`` if it did not: the lines that the notebook shows.
    """

    printed: str
    shown: str
    error: str


class Kernel:
    """A kernel with the extension loaded."""

    def __init__(self, client: NotebookClient) -> None:
        self._client = client

    def cell(self, source: str) -> Answer:
        """Execute a cell."""
        cell = nbformat.v4.new_code_cell(source)
        self._client.nb.cells.append(cell)
        self._client.execute_cell(cell, len(self._client.nb.cells) - 1)
        outputs: list[Any] = cell.outputs
        printed = "".join(o.text for o in outputs if o.output_type == "stream")
        shown = [o.data["text/plain"] for o in outputs if "data" in o]
        errors = [line for o in outputs if o.output_type == "error" for line in o.traceback]
        error = COLOURS.sub("", "\n".join(errors))
        return Answer(printed.removesuffix("\n"), "\n".join(shown), error)

    def does(self, source: str) -> Answer:
        """Execute a cell that has to succeed."""
        answer = self.cell(source)
        assert answer.error == "", f"{source}\n{answer.error}"
        return answer

    def value(self, expression: str) -> Any:
        """Return the value of an expression that is a literal."""
        from ast import literal_eval

        return literal_eval(self.does(expression).shown)


@contextmanager
def started(folder: Path, target: str) -> Iterator[Kernel]:
    """Start a kernel with a default target in a folder, and end it afterwards."""
    client = NotebookClient(
        nbformat.v4.new_notebook(),
        kernel_name="python3",
        timeout=300,
        allow_errors=True,
        resources={"metadata": {"path": str(folder)}},
    )
    with client.setup_kernel(env={**os.environ, "FLYTE_JUPYTER_TARGET": target}):
        kernel = Kernel(client)
        kernel.does("%load_ext flyte_jupyter")
        yield kernel


@pytest.fixture
def kernel(tmp_path: Path, target: str) -> Iterator[Kernel]:
    """A kernel of its own for a test."""
    with started(tmp_path, target) as kernel:
        yield kernel


@dataclass(frozen=True)
class Played:
    """A document whose blocks have been executed, verbatim and in order, in one kernel.

    Args:
        account: what is known of it.
        document: the document.
        kernel: the kernel.
        answers: what each block gave.
        declared: every environment with the functions of its tasks, after the last block.
        target: where its tasks run.
    """

    account: Account
    document: Document
    kernel: Kernel
    answers: tuple[Answer, ...]
    declared: dict[str, tuple[str, ...]]
    target: str


DECLARED = """
from flyte_jupyter import catalog
{
    name: tuple(task.func_name for task in catalog.current().tasks_of(name))
    for name in catalog.current().environments
}
"""


@pytest.fixture(scope="module")
def played(
    request: pytest.FixtureRequest,
    documents: dict[str, Document],
    target: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Played]:
    """A document, executed once for all tests about it on a target; its account parametrises it."""
    account: Account = request.param
    document = documents.get(account.digest)
    assert document is not None, f"no document in {os.environ[VARIABLE]} is {account.name}"
    with started(tmp_path_factory.mktemp(account.name), target) as kernel:
        for line in account.preamble:
            kernel.does(line)
        answers = tuple(kernel.cell(block) for block in document.python)
        declared = kernel.value(DECLARED)
        yield Played(account, document, kernel, answers, declared, target)
