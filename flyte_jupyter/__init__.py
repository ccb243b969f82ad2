"""Run the functions of a notebook, each in its own container.

``import flyte_jupyter as flyte`` gives the names of Flyte 2; ``%load_ext flyte_jupyter`` gives the
magics. Everything is imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_FACE = {
    "flyte_jupyter.api": (
        "Outputs",
        "Run",
        "deploy",
        "explain",
        "init",
        "map",
        "reference_task",
        "reference_tasks",
        "rerun",
        "run",
        "run_cell",
        "shut_down",
        "with_runcontext",
    ),
    "flyte_jupyter.notebook.launch": ("launch_form",),
    "flyte_jupyter.session.attach": ("attach",),
    "flyte_jupyter.session.deployments": ("deployments", "rollback", "undeploy"),
    "flyte_jupyter.session.graph": ("graph",),
    "flyte_jupyter.spec": (
        "AMD_GPU",
        "Backoff",
        "Cache",
        "Device",
        "GPU",
        "GPUAccelerator",
        "HABANA_GAUDI",
        "Image",
        "Neuron",
        "PodTemplate",
        "ReferenceTask",
        "Resources",
        "RetryStrategy",
        "ReusePolicy",
        "Secret",
        "Task",
        "TaskEnvironment",
        "Timeout",
        "TPU",
    ),
}
_WHERE = {name: module for module, names in _FACE.items() for name in names}

__all__ = [
    "__version__",
    "errors",
    "load_ipython_extension",
    "remote",
    "unload_ipython_extension",
    *_WHERE,
]

if TYPE_CHECKING:
    from flyte_jupyter import errors, remote
    from flyte_jupyter.api import (
        Outputs,
        Run,
        deploy,
        explain,
        init,
        map,
        reference_task,
        reference_tasks,
        rerun,
        run,
        run_cell,
        shut_down,
        with_runcontext,
    )
    from flyte_jupyter.notebook.launch import launch_form
    from flyte_jupyter.session.attach import attach
    from flyte_jupyter.session.deployments import deployments, rollback, undeploy
    from flyte_jupyter.session.graph import graph
    from flyte_jupyter.spec import (
        AMD_GPU,
        GPU,
        HABANA_GAUDI,
        TPU,
        Backoff,
        Cache,
        Device,
        GPUAccelerator,
        Image,
        Neuron,
        PodTemplate,
        ReferenceTask,
        Resources,
        RetryStrategy,
        ReusePolicy,
        Secret,
        Task,
        TaskEnvironment,
        Timeout,
    )


def __getattr__(name: str) -> Any:
    module = _WHERE.get(name)
    if module is not None:
        if module == "flyte_jupyter.spec":
            # The session's catalog must know every declaration, from the first one on.
            importlib.import_module("flyte_jupyter.catalog").current()
            open_panel = importlib.import_module("flyte_jupyter.notebook.panel").open_panel
            importlib.import_module("flyte_jupyter.spec.listeners").open_panels_by(open_panel)
        value = getattr(importlib.import_module(module), name)
    elif name in ("errors", "remote"):
        value = importlib.import_module(f"flyte_jupyter.{name}")
    else:
        hint = ""
        if not name.startswith("_"):  # whoever looks for those only asks whether they are there
            from flyte_jupyter.spec.naming import did_you_mean

            hint = did_you_mean(name, __all__)
        raise AttributeError(f"module 'flyte_jupyter' has no attribute {name!r}{hint}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def load_ipython_extension(shell: Any) -> None:
    """Add the magics, the completion and the name ``flyte`` to a shell (``%load_ext``)."""
    from flyte_jupyter.notebook.extension import load

    load(shell)


def unload_ipython_extension(shell: Any) -> None:
    """Take away what :func:`load_ipython_extension` added (``%unload_ext``)."""
    from flyte_jupyter.notebook.extension import unload

    unload(shell)


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    """Tell ``jupyter labextension develop`` where the bundle is."""
    return [{"src": "labextension", "dest": "flyte-jupyter"}]
