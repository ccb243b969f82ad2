"""What becomes of every piece of code in the documents, as tables.

A block of Python is executed as it stands. Code inside of a sentence is a name that has to mean
something once the blocks are executed, or a fragment that is no Python and has a complete twin,
or no code at all.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

__all__ = ["ACCOUNTS", "BY_NAME", "MEANINGS", "NO_CODE", "TWINS", "Account", "Twin", "only"]


@dataclass(frozen=True)
class Account:
    """What is known of a document.

    Args:
        name: short name, for the tests.
        digest: of its text.
        preamble: what it takes for granted and does not write: imports, names, capacity.
        blocks: how many blocks of Python it has, the one without a fence included.
        environments: what they declare: every environment with the functions of its tasks.
    """

    name: str
    digest: str
    preamble: tuple[str, ...]
    blocks: int
    environments: dict[str, tuple[str, ...]]


HELLO = ("say_hello", "square", "hello_wf")
FLYTE = "import flyte"
LIST = "from typing import List"

ACCOUNTS = (
    Account(
        "alphafold",
        "f1a8d0b00311eb59",
        # the document decorates with an environment that it never declares
        (FLYTE, 'env = flyte.TaskEnvironment(name="orchestrator")'),
        2,
        {
            "orchestrator": ("alphafold_workflow",),
            "preprocessing": (),
            "alphafold": (),
            "visualization": (),
        },
    ),
    Account(
        "environments-and-overrides",
        "1e0c5b91219fcb37",
        (FLYTE, LIST),
        5,
        {
            "hello_world": HELLO,
            "env1": ("say_hello", "hello_wf"),
            "env2": ("square",),
            "x": ("foo", "main"),
        },
    ),
    Account(
        "depends-on",
        "28c65faeee599e6b",
        # it asks for two A100 and 32Gi: run with what this machine has
        (FLYTE, 'flyte.init(oversize="clamp")'),
        4,
        {
            "base-utils": ("load_config", "ml_pipeline"),
            "ml-training": ("train_model",),
            "base": (),
            "ml": (),
            "api": (),
            "base-template": (),
            "training-specialized": (),
        },
    ),
    Account(
        "task-environment",
        "c6116c87004958ab",
        (FLYTE, 'flyte.init(oversize="clamp")'),
        6,
        {
            "my_env": ("hello",),
            "compute_heavy": (),
            "gpu_training": (),
            "ml_env": (),
            "data_processing": ("load_data", "transform_data"),
            "light": ("preprocess",),
            "heavy": ("train_model",),
        },
    ),
    Account(
        "task-environments",
        "8518c0ce586ff2d2",
        (FLYTE, LIST),
        4,
        {"hello_world": HELLO, "env1": ("say_hello", "hello_wf"), "env2": ("square",)},
    ),
)

BY_NAME = {account.name: account for account in ACCOUNTS}


def only(*names: str) -> pytest.MarkDecorator:
    """Return the mark of a test that is about some of the documents; it takes ``played``."""
    accounts = [BY_NAME[name] for name in names]
    return pytest.mark.parametrize("played", accounts, indirect=True, ids=names)


def _parameter(name: str) -> str:
    return f"{name!r} in __import__('inspect').signature(flyte.TaskEnvironment).parameters"


def _task(name: str) -> str:
    return f"type({name}) is flyte.Task"


def _environment(name: str) -> str:
    return f"type({name}) is flyte.TaskEnvironment"


MEANINGS = {
    "TaskEnvironment": "callable(flyte.TaskEnvironment)",
    "flyte.TaskEnvironment": "callable(flyte.TaskEnvironment)",
    "@env.task": "callable(env.task)",
    **{name: _parameter(name) for name in ("name", "depends_on", "resources", "limits", "image")},
    **{name: _environment(name) for name in ("env", "env1", "env2")},
    **{name: _task(name) for name in HELLO},
    # good names for environments
    "data-processing": "flyte.TaskEnvironment('data-processing').name == 'data-processing'",
    "ml-training": "flyte.TaskEnvironment('ml-training').variable_name == 'ml_training'",
}
"""A name in a sentence, and what must be true of it when the blocks have been executed."""


@dataclass(frozen=True)
class Twin:
    """The complete form of a fragment.

    Args:
        cell: the code, a cell of its own; `hello` and `greet` are the twins' own tasks.
        gives: what it prints.
    """

    cell: str
    gives: str


TWINS = {
    'flyte.run(task_queue="gcp-useast1-1", ...)': Twin(
        'print(flyte.run(greet, task_queue="gcp-useast1-1").result())',
        "hello",
    ),
    'flyte run --task_queue "gcp-useast-1" ...': Twin(
        'value = %flyte run --task_queue "gcp-useast-1" hello --name Ada\nprint(value)',
        "hello Ada",
    ),
    'env=flyte.TaskEnvironment(task_queue="gcp-useast-1", ...': Twin(
        'env = flyte.TaskEnvironment(task_queue="gcp-useast-1", name="queued")\nprint(env.queue)',
        "gcp-useast-1",
    ),
    'await my_task.override(task_queue="gcp-useast-1", ...)': Twin(
        'my_task = hello\nprint(await my_task.override(task_queue="gcp-useast-1")("Ada"))',
        "hello Ada",
    ),
}
"""Fragments that are no Python, because they leave something out."""

NO_CODE = {
    "hello.py": "the name of a file, where a notebook has a cell",
    "reference_tasks": "how deployed tasks are called; here no parent needs it, since no parent "
    "needs the packages of what it calls",
}
