"""What a container may use and do, as the engine is told: limits, devices, rights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flyte_jupyter.spec.resources import AUTO
from flyte_jupyter.spec.secret import MOUNT
from flyte_jupyter.targets.docker.devices import device_config, device_environ
from flyte_jupyter.targets.docker.facts import EngineFacts, engine_facts
from flyte_jupyter.targets.protocol import StartRequest

if TYPE_CHECKING:
    from flyte_jupyter.daemon.connect import Daemon

__all__ = ["LEAST_MEMORY", "engine_facts", "environ", "host_config", "limits_of"]

LEAST_MEMORY = 6 << 20
"""Bytes; engines refuse less."""

LEAST_CPU, LEAST_SHARES, MOST_SHARES = 10, 2, 262144
PROCESSES = 4096
SECRETS = "rw,noexec,nosuid,nodev,size=8m,mode=1777"


def host_config(request: StartRequest, daemon: Daemon) -> dict[str, Any]:
    """Return the part of ``HostConfig`` that the settings of an environment decide.

    Mounts, network and log are not part of it.

    Args:
        request: what a worker is started with.
        daemon: the engine.
    """
    return limits_of(request, engine_facts(daemon))


def environ(request: StartRequest, daemon: Daemon) -> dict[str, str]:
    """Return the variables of a container that its devices need.

    Args:
        request: what a worker is started with.
        daemon: the engine.
    """
    return device_environ(request.devices, engine_facts(daemon))


def limits_of(request: StartRequest, facts: EngineFacts) -> dict[str, Any]:
    """Return the part of ``HostConfig`` that the settings of an environment decide.

    Args:
        request: what a worker is started with.
        facts: what the engine can do.
    """
    config: dict[str, Any] = {
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges"],
        "Privileged": False,
        "IpcMode": "private",
        # a crash says enough without a copy of its memory in the working directory
        "Ulimits": [{"Name": "core", "Soft": 0, "Hard": 0}],
    }
    if facts.limits_pids:
        config["PidsLimit"] = PROCESSES
    if not facts.rootless:
        # where the machine itself runs out of memory, a task goes before the notebook
        config["OomScoreAdj"] = 500
    config |= _memory(request, facts)
    config |= _cpu(request, facts)
    config |= _space(request, facts)
    if request.secret_files:
        config["Tmpfs"] = {MOUNT: SECRETS}
    if request.devices:
        config |= device_config(request.devices, facts)
    return config


def _memory(request: StartRequest, facts: EngineFacts) -> dict[str, Any]:
    if request.memory is None or not facts.limits_memory:
        return {}
    limit = max(request.memory, LEAST_MEMORY)
    asked = None if request.resources is None else request.resources.memory_request
    config = {"Memory": limit, "MemorySwap": limit}
    if asked:
        config["MemoryReservation"] = min(max(asked, LEAST_MEMORY), limit)
    return config


def _cpu(request: StartRequest, facts: EngineFacts) -> dict[str, Any]:
    config: dict[str, Any] = {}
    if request.cpu is not None and facts.weighs_cpu:
        shares = request.cpu * 1024 // 1000
        config["CpuShares"] = min(max(shares, LEAST_SHARES), MOST_SHARES)
    limit = None if request.resources is None else request.resources.cpu_limit
    if limit is not None and facts.limits_cpu:
        # engines refuse more than their machine has, which would be no limit anyway
        most = facts.processors * 1000 or limit
        config["NanoCpus"] = min(max(limit, LEAST_CPU), most) * 1_000_000
    return config


def _space(request: StartRequest, facts: EngineFacts) -> dict[str, Any]:
    resources = request.resources
    if resources is None:
        return {}
    config: dict[str, Any] = {}
    if resources.shm_bytes == AUTO:
        config["ShmSize"] = request.memory or facts.memory
    elif isinstance(resources.shm_bytes, int):
        config["ShmSize"] = resources.shm_bytes
    if resources.disk_bytes is not None and facts.limits_disk:
        config["StorageOpt"] = {"size": str(resources.disk_bytes)}
    return config
