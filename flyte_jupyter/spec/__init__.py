"""What the user declares, as values: environments, tasks, resources, images, policies.

The names are loaded when they are first asked for, so that a module of this room can be used
without paying for the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flyte_jupyter.spec.devices import (
        AMD_GPU,
        GPU,
        HABANA_GAUDI,
        TPU,
        Device,
        GPUAccelerator,
        Neuron,
        register_device,
    )
    from flyte_jupyter.spec.environment import TaskEnvironment
    from flyte_jupyter.spec.image import Image
    from flyte_jupyter.spec.pod import PodTemplate
    from flyte_jupyter.spec.policies import Backoff, Cache, RetryStrategy, ReusePolicy, Timeout
    from flyte_jupyter.spec.reference import ReferenceTask
    from flyte_jupyter.spec.resources import Resources
    from flyte_jupyter.spec.secret import Secret
    from flyte_jupyter.spec.settings import UNSET, Settings
    from flyte_jupyter.spec.task import Task

__all__ = [
    "AMD_GPU",
    "GPU",
    "HABANA_GAUDI",
    "TPU",
    "UNSET",
    "Backoff",
    "Cache",
    "Device",
    "GPUAccelerator",
    "Image",
    "Neuron",
    "PodTemplate",
    "ReferenceTask",
    "Resources",
    "RetryStrategy",
    "ReusePolicy",
    "Secret",
    "Settings",
    "Task",
    "TaskEnvironment",
    "Timeout",
    "register_device",
]

_MODULES = {
    "devices": "AMD_GPU GPU HABANA_GAUDI TPU Device GPUAccelerator Neuron register_device",
    "environment": "TaskEnvironment",
    "image": "Image",
    "pod": "PodTemplate",
    "policies": "Backoff Cache RetryStrategy ReusePolicy Timeout",
    "reference": "ReferenceTask",
    "resources": "Resources",
    "secret": "Secret",
    "settings": "UNSET Settings",
    "task": "Task",
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
