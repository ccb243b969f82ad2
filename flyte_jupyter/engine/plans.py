"""What the engine works out once for a set of settings: needs, limits, the request for a worker."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from flyte_jupyter.engine.admission import Admission, Need
from flyte_jupyter.engine.run import Action
from flyte_jupyter.errors import AdmissionError
from flyte_jupyter.spec import Device, ReusePolicy, Settings, Timeout
from flyte_jupyter.spec.settings import to_plain
from flyte_jupyter.targets.protocol import Inventory, Prepared, StartRequest, Target

__all__ = ["Plan", "Plans", "need_of", "request_for"]

DEFAULT_CPU = 1000
MOST = 1000


@dataclass(eq=False, slots=True)
class Plan:
    """How actions with these settings are run.

    Args:
        settings: what is in force.
        group: the environment, where its workers share something.
        digest: hash of the settings.
        need: what an attempt asks of the target.
        refusal: why the target can never give that, ``None`` if it can.
        request: how its workers are started, without devices; ``None`` until it is prepared.
        policy: whether workers are kept.
        max_runtime: seconds for one attempt, 0 for no limit; so for the other two.
        max_queued: seconds in the queue.
        deadline: seconds for everything together.
        retries: repetitions after the first attempt.
    """

    settings: Settings
    group: str
    digest: str
    need: Need
    refusal: AdmissionError | None
    policy: ReusePolicy | None
    max_runtime: float
    max_queued: float
    deadline: float
    retries: int
    request: StartRequest | None = None
    shelf: Any = None

    @property
    def hurried(self) -> bool:
        """True where a clock runs beside the action."""
        return bool(self.max_runtime or self.max_queued or self.deadline)

    def request_with(self, devices: tuple[str, ...]) -> StartRequest:
        """Return the request for a worker with certain devices."""
        assert self.request is not None
        if self.need.count or self.request.devices is not None:
            return replace(self.request, devices=devices)
        return self.request


class Plans:
    """The plans of one target, by the identity of the settings.

    Args:
        target: where the actions run.
        admission: what it has.
    """

    def __init__(self, target: Target, admission: Admission) -> None:
        self._target = target
        self._admission = admission
        self._plans: dict[tuple[int, str], Plan] = {}

    def of(self, action: Action) -> Plan:
        """Return the plan for an action."""
        return self.of_settings(action.unit.name, action.settings, action.unit.environment)

    def of_settings(self, task: str, settings: Settings, environment: str) -> Plan:
        """Return the plan for the settings of an environment.

        Args:
            task: named where they ask for too much.
            settings: what is in force.
            environment: the environment's name.
        """
        key = (id(settings), environment if self._target.groups else "")
        plan = self._plans.get(key)
        if plan is None or plan.settings is not settings:
            if len(self._plans) >= MOST:
                self._plans.clear()
            plan = self._plans[key] = self._make(task, settings, key[1])
        return plan

    def _make(self, task: str, settings: Settings, group: str) -> Plan:
        timeout = settings.timeout or Timeout()
        # where the target itself admits, nothing is counted here
        need = need_of(settings, self._admission.has) if self._target.admits else Need()
        text = json.dumps(to_plain(settings), sort_keys=True)
        refusal = self._admission.check(task, need) if self._target.admits else None
        return Plan(
            settings=settings,
            group=group,
            digest=hashlib.sha256(text.encode()).hexdigest()[:16],
            need=_share(need, settings) if refusal is None else need,
            refusal=refusal,
            policy=settings.reusable,
            max_runtime=_max_runtime(settings),
            max_queued=_seconds(timeout.max_queued_time),
            deadline=_seconds(timeout.deadline),
            retries=0 if settings.retries is None else settings.retries.count,
        )

    def is_prepared(self, plan: Plan) -> bool:
        """Return whether there is nothing to do before a worker can be started."""
        prepared = self._target.prepared(plan.settings)
        if prepared is None:
            return False
        if plan.request is None or plan.request.prepared is not prepared:
            plan.request = request_for(self._target, plan.settings, plan.group, prepared)
            plan.shelf = None
        return True

    async def prepare(self, plan: Plan, progress: Callable[[str], None]) -> None:
        """Make the environment startable.

        Raises:
            ImageBuildError: it cannot be made so.
        """
        prepared = await self._target.prepare(plan.settings, progress)
        plan.request = request_for(self._target, plan.settings, plan.group, prepared)
        plan.shelf = None


def request_for(target: Target, settings: Settings, group: str, prepared: Prepared) -> StartRequest:
    """Return how a worker is started, without devices.

    Args:
        target: where.
        settings: what is in force.
        group: the environment, where its workers share something.
        prepared: the environment made startable.
    """
    resources, policy = settings.resources, settings.reusable
    wants_device = resources is not None and resources.device is not None
    request = StartRequest(
        prepared=prepared,
        environ=tuple((k, v) for k, v in (settings.env_vars or {}).items() if v is not None),
        memory=None if resources is None else resources.memory_limit,
        cpu=None if resources is None else resources.cpu_request,
        devices=() if wants_device else None,
        concurrency=1 if policy is None else policy.concurrency,
        group=group,
    )
    if not target.confines:
        return request
    if not target.admits:
        request = replace(
            request,
            queue=settings.queue,
            service_account=settings.service_account,
            pod_template=settings.pod_template,
            timeout=_max_runtime(settings) if policy is None else 0.0,
        )
    return replace(
        request,
        resources=resources,
        network=settings.network is not False,
        secret_files=any(secret.path for secret in settings.secrets or ()),
    )


def _max_runtime(settings: Settings) -> float:
    return _seconds((settings.timeout or Timeout()).max_runtime)


def need_of(settings: Settings, has: Inventory) -> Need:
    """Return what an attempt under certain settings asks of the target.

    Args:
        settings: what is in force.
        has: what the target has; where it has no such part of a device, a whole one is asked for.
    """
    resources = settings.resources
    if resources is None:
        return Need(DEFAULT_CPU)
    device = resources.device
    cpu = resources.cpu_request
    return Need(
        DEFAULT_CPU if cpu is None else cpu,
        resources.memory_request or 0,
        _accelerator(device, has) if device else "",
        device.quantity if device else 0,
    )


def _accelerator(device: Device, has: Inventory) -> str:
    if device.device is None:
        return "" if device.device_class == "GPU" else device.device_class
    part = f"{device.device}/{device.partition}"
    return part if part in has.accelerators else device.device


def _share(need: Need, settings: Settings) -> Need:
    """Return a call's part of what it asks for, where several calls share one worker."""
    calls = 1 if settings.reusable is None else settings.reusable.concurrency
    if calls == 1:
        return need
    return replace(need, cpu=-(-need.cpu // calls), memory=-(-need.memory // calls))


def _seconds(value: timedelta | None) -> float:
    return 0.0 if value is None else value.total_seconds()
