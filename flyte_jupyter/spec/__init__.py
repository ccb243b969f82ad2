"""What the user declares, as values: environments, tasks, resources, images, policies."""

from __future__ import annotations

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
